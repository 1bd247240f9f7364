"""The starter model: a seed's picture alone and in company, in this process and by the worker."""

import asyncio
import itertools
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from server.core import ImageJob, Picture, Task
from server.engines.base import answer
from server.engines.diffusers.batcher import Batch
from server.engines.worker.engine import WorkerEngine
from server.models.config.catalog import Catalog
from server.models.config.spec import DiffusersModel
from server.models.factory import WORKERS, worker_options
from server.settings import Settings
from tests.tiny_drawing import in_company, pictures, pixels

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(300)]

SETTINGS = Settings()
PROMPTS = ("red heart", "green tree", "blue car", "yellow sun", "cat face", "house", "pizza", "snowman with a red hat")
FIELDS: dict[str, Any] = {"steps": 12, "scheduler": "EulerAncestralDiscreteScheduler"}


@pytest.fixture(scope="module")
def spec() -> DiffusersModel:
    found, _ = Catalog.load(SETTINGS.model_configs, SETTINGS.models_dir, None).resolve("starter-image", Task.IMAGE)
    assert isinstance(found, DiffusersModel)
    return found


def apart(one: Picture, other: Picture) -> int:
    """Levels of 255 by which the two differ at most, in any pixel and channel."""
    return int(np.abs(pixels(one) - pixels(other)).max())


def test_a_seed_is_the_same_picture_alone_and_in_company(spec: DiffusersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a level of 255 in any channel: oneDNN and MKL add up in another order where there are other rows, and what
    differs in its last bit is rounded to another level here and there."""
    from server.engines.diffusers.handler import create

    handler = create(worker_options(spec, SETTINGS.models_dir))
    alone = [pictures(handler, prompt=prompt, seed=seed, **FIELDS)[0] for seed, prompt in enumerate(PROMPTS)]
    sizes: list[int] = []
    attend = Batch.attend

    def attended(batch: Batch) -> list[int]:
        sizes.append(len(batch.rows))
        return attend(batch)

    monkeypatch.setattr(Batch, "attend", attended)
    together = in_company(
        handler, *(ImageJob(prompt=prompt, seed=seed, **FIELDS) for seed, prompt in enumerate(PROMPTS))
    )
    assert sizes == [8] * 12
    found = [event for events in together for event in events if isinstance(event, Picture)]
    assert max(apart(one, other) for one, other in zip(alone, found, strict=True)) <= 1
    for one, other in itertools.pairwise(found):
        assert apart(one, other) > 50


async def test_who_hangs_up_leaves_the_others_their_pictures(spec: DiffusersModel) -> None:
    engine = WorkerEngine(
        WORKERS[DiffusersModel], worker_options(spec, SETTINGS.models_dir), name=spec.name, concurrency=spec.parallel
    )
    await engine.start()
    try:

        async def drawn(seed: int, **more: Any) -> list[Picture]:
            job = ImageJob(prompt=PROMPTS[seed], seed=seed, **FIELDS | more)
            async with aclosing(answer(engine, job)) as events:
                return [event async for event in events if isinstance(event, Picture)]

        alone = [(await drawn(seed))[0] for seed in range(4)]
        leaving = asyncio.create_task(drawn(4, steps=200))
        staying = [asyncio.create_task(drawn(seed)) for seed in range(4)]
        (first,) = await staying[0]
        leaving.cancel()
        found = [first, *[(await one)[0] for one in staying[1:]]]
        assert max(apart(one, other) for one, other in zip(alone, found, strict=True)) <= 1
        await asyncio.wait([leaving])
        assert (await drawn(5))[0].seed == 5
    finally:
        await engine.stop()
    assert engine.running == 0
