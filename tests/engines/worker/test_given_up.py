"""A job in the midst of a long step ends when it is given up, and an answer without its end is an error."""

import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from server.core import AudioChunk, Event, Facts, Job, SpeechJob, Usage
from server.engines.cancellation import GivenUp, given_up
from server.engines.worker.engine import WorkerEngine
from server.errors import EngineFailed
from tests.reading import Handles, ran

pytestmark = pytest.mark.anyio


class Deep(Handles):
    def handle(self, job: Job) -> Iterator[Facts | Event]:
        assert isinstance(job, SpeechJob)
        yield Facts()
        yield AudioChunk(b"begun", 1)
        while job.text == "long":  # one step, without an event
            if given_up():
                raise GivenUp
            time.sleep(0.001)
        if job.text != "torn":
            yield Usage(characters=1)


def create(options: Mapping[str, Any]) -> Deep:
    return Deep()


@pytest.fixture
async def worker() -> AsyncGenerator[WorkerEngine, None]:
    made = WorkerEngine("test_given_up:create", {}, name="deep", environment={"PYTHONPATH": str(Path(__file__).parent)})
    await made.start()
    yield made
    await made.stop()


async def test_a_long_step_is_left_when_the_job_is_given_up(worker: WorkerEngine) -> None:
    reading = await worker.read(SpeechJob(text="long"))
    events = reading.run()
    assert await anext(events) == AudioChunk(b"begun", 1)
    await events.aclose()
    await reading.aclose()
    # One thread works, so that this ends only when the first job has.
    assert [event async for event in ran(worker, SpeechJob(text="short"))][1:] == [
        AudioChunk(b"begun", 1),
        Usage(characters=1),
    ]
    assert worker.running == 0


async def test_an_answer_without_its_end_is_an_error(worker: WorkerEngine) -> None:
    events = ran(worker, SpeechJob(text="torn"))
    assert [await anext(events), await anext(events)] == [Facts(), AudioChunk(b"begun", 1)]
    with pytest.raises(EngineFailed):
        await anext(events)
    assert worker.alive
