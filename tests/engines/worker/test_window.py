"""A worker waits for the readers of its jobs, and for nobody else's."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from server.core import AudioChunk, Event, Facts, Job, SpeechJob, Usage
from server.engines.worker.engine import WorkerEngine
from server.engines.worker.frames import WINDOW
from tests.reading import Handles, ran

pytestmark = pytest.mark.anyio

PIECE = WINDOW // 4
PIECES = 24


class Talkative(Handles):
    """Says PIECES pieces of PIECE bytes, or the job's text where that is not "long"."""

    def handle(self, job: Job) -> Iterator[Facts | Event]:
        assert isinstance(job, SpeechJob)
        yield Facts()
        if job.text == "long":
            for number in range(PIECES):
                yield AudioChunk(bytes([number]) * PIECE, 1)
        else:
            yield AudioChunk(job.text.encode(), len(job.text))
        yield Usage(characters=1)


def create(options: Mapping[str, Any]) -> Talkative:
    return Talkative()


@pytest.fixture(params=[1, 2])
async def worker(request: pytest.FixtureRequest) -> AsyncGenerator[WorkerEngine, None]:
    beside = {"PYTHONPATH": str(Path(__file__).parent)}
    made = WorkerEngine("test_window:create", {}, name="talkative", environment=beside, concurrency=request.param)
    await made.start()
    yield made
    await made.stop()


async def said(worker: WorkerEngine, text: str) -> bytes:
    return b"".join([event.data async for event in ran(worker, SpeechJob(text=text)) if isinstance(event, AudioChunk)])


@pytest.mark.parametrize("worker", [2], indirect=True)
async def test_no_more_is_made_than_the_reader_may_leave(worker: WorkerEngine) -> None:
    reading = await worker.read(SpeechJob(text="long"))
    heard, most = [], 0
    async for event in reading.run():
        if isinstance(event, AudioChunk):
            assert await said(worker, "another") == b"another"  # others are not held up by who does not read
            most = max(most, worker._jobs[1].qsize() if 1 in worker._jobs else 0)
            heard.append(event.data)
    assert heard == [bytes([number]) * PIECE for number in range(PIECES)]
    assert 0 < most <= WINDOW // PIECE + 1
    await reading.aclose()
    assert worker.running == 0


@pytest.mark.parametrize("worker", [1], indirect=True)
async def test_a_job_that_waits_for_its_reader_can_be_given_up(worker: WorkerEngine) -> None:
    reading = await worker.read(SpeechJob(text="long"))
    events = reading.run()
    assert await anext(events) == AudioChunk(bytes([0]) * PIECE, 1)
    for _ in range(WINDOW // PIECE - 1):
        assert isinstance(await worker._jobs[1].get(), AudioChunk)  # the child does not know, and waits
    await events.aclose()
    await reading.aclose()
    assert await said(worker, "next") == b"next"
    assert worker.running == 0
