"""Workers that hang: each is found, told in the log, ended, and its jobs get their error. Real processes."""

import asyncio
import logging
import os
import re
import signal
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from server.core import AudioChunk, Event, Facts, Job, SpeechJob, Usage
from server.engines import watch
from server.engines.base import WAITING, Waiting
from server.engines.pulse import Patience, Process
from server.engines.worker.engine import WorkerEngine
from server.engines.worker.frames import WINDOW
from server.errors import EngineHung, ModelUnavailable
from tests.reading import Handles

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

QUICK = Patience(silence=0.4, step=30, stopped=0.2, interval=0.05)


class Hanging(Handles):
    """Hangs in the way that the job's text names."""

    def handle(self, job: Job) -> Iterator[Facts | Event | Waiting | None]:
        assert isinstance(job, SpeechJob)
        yield Facts()
        yield AudioChunk(b"begun")
        match job.text:
            case "long":
                for _ in range(8):
                    yield AudioChunk(bytes(WINDOW // 2))
            case "regex":
                re.match(r"(a+)+$", "a" * 60 + "b")  # it keeps the interpreter's lock, for longer than anybody lives
            case "deadlock":
                lock = threading.Lock()
                lock.acquire()
                lock.acquire()
            case "waits":
                gate = threading.Event()
                while not gate.wait(0.01):
                    yield WAITING
        yield Usage()


def create(options: Mapping[str, Any]) -> Hanging:
    if options.get("stopped"):
        os.kill(os.getpid(), signal.SIGSTOP)
    return Hanging()


def engine(**options: Any) -> WorkerEngine:
    beside = {"PYTHONPATH": str(Path(__file__).parent)}
    return WorkerEngine("test_hangs:create", options, name="hanging", environment=beside, concurrency=2, patience=QUICK)


async def begun(worker: WorkerEngine, text: str) -> AsyncGenerator[Event, None]:
    """The events of a job after its first."""
    reading = await worker.read(SpeechJob(text=text))
    events = reading.run()
    assert await anext(events) == AudioChunk(b"begun")
    return events


async def ended_hung(worker: WorkerEngine, events: AsyncGenerator[Event, None]) -> None:
    with pytest.raises(EngineHung) as caught:
        await anext(events)
    assert (caught.value.status, caught.value.code) == (503, "engine_hung")
    assert worker.hung
    assert not worker.alive
    with pytest.raises(EngineHung):
        await worker.read(SpeechJob(text="again"))
    pid = worker.pid
    await worker.stop()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("regex", "it does not answer"),
        ("deadlock", "it neither goes on with its work nor computes"),
        ("waits", "it neither goes on with its work nor computes"),
    ],
    ids=["spins with the lock", "deadlock", "waits for what never comes"],
)
async def test_a_handler_that_hangs(text: str, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    worker = engine()
    await worker.start()
    pid = worker.pid
    await ended_hung(worker, await begun(worker, text))
    (line,) = [record for record in caplog.records if record.name == "server.engines.watch"]
    assert line.levelno == logging.ERROR
    assert line.getMessage() == f"worker hanging hangs: {reason}. Killing it, with process ids {pid}"


async def test_who_waits_for_its_reader_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, seen = [0], watch.seen

    def counted(pids: Iterable[int]) -> Mapping[int, Process]:
        looks[0] += 1
        return seen(pids)

    monkeypatch.setattr(watch, "seen", counted)
    worker = engine()
    await worker.start()
    events = await begun(worker, "long")
    until = looks[0] + 3 * QUICK.silence / QUICK.interval
    while looks[0] < until and not worker.hung:
        await asyncio.sleep(QUICK.interval)
    heard = [len(event.data) async for event in events if isinstance(event, AudioChunk)]
    assert heard == [WINDOW // 2] * 8
    await worker.stop()


async def test_a_stopped_process_fails_all_its_jobs() -> None:
    worker = engine()
    await worker.start()
    first = await worker.read(SpeechJob(text="plain"))
    second = await worker.read(SpeechJob(text="plain"))
    third = asyncio.create_task(worker.read(SpeechJob(text="plain")))  # it waits for its turn in the child
    while worker.running < 3:
        await asyncio.sleep(0)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(EngineHung):
        await third
    await ended_hung(worker, first.run())
    with pytest.raises(EngineHung):
        await anext(second.run())


async def test_jobs_that_a_process_did_not_take_end_however_long_the_kernel_takes_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one that waits for its disk: it can't be killed, and what was not sent to it yet is never taken."""
    worker = engine()
    await worker.start()
    assert worker.pid is not None
    pid, kill = worker.pid, os.kill
    kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(os, "kill", lambda *_: None)
    try:
        with pytest.raises(EngineHung):
            await asyncio.wait_for(worker.read(SpeechJob(text="x" * (16 << 20))), 5)
    finally:
        kill(pid, signal.SIGKILL)
        await worker.stop()


async def test_a_process_that_is_stopped_while_it_loads() -> None:
    worker = engine(stopped=True)
    with pytest.raises(ModelUnavailable, match="hung, and was ended, while it loaded"):
        await worker.start()
    assert not worker.alive
