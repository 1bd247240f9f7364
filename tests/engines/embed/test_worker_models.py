"""The starter model in its worker process: many requests at once, and one that is hung up on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest
from numpy.typing import NDArray

from server.core import EmbeddingJob, Embeddings, Task
from server.engines.base import Engine, answer
from server.engines.cl100k import TABLE
from server.engines.worker.engine import WorkerEngine
from server.models.config import weights
from server.models.config.catalog import Catalog
from server.models.config.spec import EmbedModel
from server.models.factory import WORKERS, worker_options
from server.models.memory.estimate import estimate
from server.models.probe import check
from server.settings import Settings
from tests.models.devices import machine

pytestmark = [pytest.mark.anyio, pytest.mark.models]

SETTINGS = Settings()


@pytest.fixture(scope="module")
def spec() -> EmbedModel:
    catalog = Catalog.load(SETTINGS.model_configs, SETTINGS.models_dir, None)
    found, _ = catalog.resolve("text-embedding-3-small", Task.EMBEDDING)
    assert isinstance(found, EmbedModel)
    return found


@pytest.fixture
async def engine(spec: EmbedModel) -> AsyncIterator[WorkerEngine]:
    made = WorkerEngine(
        WORKERS[EmbedModel],
        worker_options(spec, SETTINGS.models_dir),
        name=spec.name,
        concurrency=spec.parallel,
    )
    await made.start()
    yield made
    await made.stop()


async def vector(engine: Engine, *inputs: str) -> NDArray[np.float32]:
    async with aclosing(answer(engine, EmbeddingJob(inputs=inputs))) as events:
        (made,) = [event async for event in events if isinstance(event, Embeddings)]
    return np.frombuffer(made.data, "<f4").reshape(len(inputs), made.dimensions)


async def test_requests_at_once_get_their_own_vectors(engine: WorkerEngine) -> None:
    texts = [f"Number {number} of {'many ' * (number % 7)}texts." for number in range(40)]
    alone = await vector(engine, *texts)
    found = await asyncio.gather(*(vector(engine, text) for text in texts))
    assert np.concatenate(found) == pytest.approx(alone, abs=1e-4)
    assert engine.running == 0


async def test_who_hangs_up_leaves_nothing_behind(engine: WorkerEngine) -> None:
    reading = await engine.read(EmbeddingJob(inputs=("a long text " * 60,) * 500))
    working = asyncio.create_task(anext(reading.run()))  # type: ignore[arg-type]
    small = await vector(engine, "Hello.")
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await reading.aclose()
    async with asyncio.timeout(30):
        while engine.running:
            await asyncio.sleep(0)
    assert await vector(engine, "Hello.") == pytest.approx(small, abs=1e-4)


async def test_it_passes_its_probe_and_takes_what_was_foreseen(engine: WorkerEngine, spec: EmbedModel) -> None:
    await check(spec, engine, weights.location(spec, SETTINGS.models_dir))
    await vector(engine, *["word " * 250] * 16)
    held = engine.footprint().host
    foreseen = estimate(spec, SETTINGS.models_dir, machine(2**34)).host
    assert 0.6 * foreseen < held < 1.1 * foreseen


def test_the_table_of_token_ids_is_installed() -> None:
    assert (SETTINGS.models_dir / TABLE).is_file()
