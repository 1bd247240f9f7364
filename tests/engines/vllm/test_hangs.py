"""vLLM's processes, stopped where they are: with the starter chat model, and a patience of a second."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from server.core import ChatJob, Event, TextDelta
from server.engines.pulse import Patience
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.errors import EngineHung, ModelUnavailable
from server.settings import load_settings

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(300)]

QUICK = Patience(silence=2, step=60, stopped=0.5, interval=0.1)
STORY = ChatJob(messages=({"role": "user", "content": "Tell me a story."},), max_tokens=400, ignore_eos=True)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def engine() -> AsyncGenerator[VllmEngine, None]:
    path = load_settings().models_dir.resolve() / "smollm2-135m-instruct"
    assert path.is_dir(), "scripts/models brings the starter models"
    made = VllmEngine(options(path), QUICK)
    yield made
    await made.stop()


def options(path: Path) -> VllmOptions:
    return VllmOptions(name="chat", path=path, dtype="float32", kv_cache=1 << 27, max_model_len=512, max_num_seqs=2)


async def pieces(engine: VllmEngine) -> AsyncGenerator[Event, None]:
    async with aclosing(await engine.read(STORY)) as reading, aclosing(reading.run()) as events:
        async for event in events:
            yield event


async def test_a_stopped_worker_and_a_load_that_is_stopped(
    engine: VllmEngine, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.start()
    (core,) = engine.pids
    (computing,) = psutil.Process(core).children()
    assert sum(isinstance(event, TextDelta) for event in [event async for event in pieces(engine)]) > 100
    assert not engine.hung  # for all the time that a whole answer took
    events = pieces(engine)
    await anext(events)
    os.kill(computing.pid, signal.SIGSTOP)
    with pytest.raises(EngineHung):
        async for _ in events:
            pass
    assert (engine.alive, engine.hung) == (False, True)
    with pytest.raises(EngineHung):
        await engine.read(STORY)
    await engine.stop()
    assert not psutil.pid_exists(core)
    assert not psutil.pid_exists(computing.pid)
    assert f"process {computing.pid} is stopped. Killing it, with process ids {core}, {computing.pid}" in caplog.text

    again = VllmEngine(engine._options, QUICK)
    loading = asyncio.create_task(again.start())
    while not again._started.pids:
        await asyncio.sleep(0.01)
    (core,) = again._started.pids
    os.kill(core, signal.SIGSTOP)
    with pytest.raises(ModelUnavailable, match="its process hung, and was ended"):
        await loading
    assert not psutil.pid_exists(core)
