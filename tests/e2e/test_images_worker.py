"""A real pipeline in a real worker process: drawing, hanging up, and being killed."""

import asyncio
import importlib
import os
import signal
from collections.abc import AsyncGenerator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from server.core import Facts, ImageJob, Picture, Usage
from server.engines.worker.engine import WorkerEngine
from server.errors import EngineFailed, InvalidRequest
from tests.reading import ran

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built: Path = importlib.import_module("tests.tiny_pipeline").build(tmp_path_factory.mktemp("tiny") / "pipeline")
    return built


@pytest.fixture
async def engine(folder: Path) -> AsyncGenerator[WorkerEngine]:
    options = {"path": str(folder), "size": (32, 32), "steps": 4, "threads": 1}
    made = WorkerEngine("server.engines.diffusers.handler:create", options, name="tiny")
    await made.start()
    yield made
    await made.stop()


async def test_a_worker_draws_refuses_hangs_up_and_dies_cleanly(engine: WorkerEngine) -> None:
    events = [event async for event in ran(engine, ImageJob(prompt="a heart", n=2, partial_images=1))]
    assert isinstance(events[0], Facts)
    drawn = [event for event in events if isinstance(event, Picture)]
    assert [(one.index, one.partial) for one in drawn] == [(0, 0), (1, 0), (0, None), (1, None)]
    assert {Image.open(BytesIO(one.data)).size for one in drawn} == {(32, 32)}
    assert isinstance(events[-1], Usage)

    with pytest.raises(InvalidRequest, match="32x32"):
        await anext(ran(engine, ImageJob(prompt="a heart", width=1000, height=1000)))

    # A thousand steps take longer than the test may; closing ends them between two.
    endless = ran(engine, ImageJob(prompt="a heart", n=10, steps=1000))
    assert isinstance(await anext(endless), Facts)
    await endless.aclose()
    while engine.running:
        await asyncio.sleep(0.01)

    doomed = ran(engine, ImageJob(prompt="a heart", n=10, steps=1000))
    assert isinstance(await anext(doomed), Facts)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EngineFailed):
        await anext(doomed)
    assert not engine.alive
