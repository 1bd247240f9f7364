"""The worker process: events, errors, cancellation, death. Real processes around a small handler."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from server.core import AudioChunk, Event, Facts, Job, SpeechJob, Usage
from server.engines.worker import child, frames
from server.engines.worker.engine import WorkerEngine
from server.errors import EngineFailed, InvalidRequest, ModelUnavailable
from tests.reading import Handles, ran

pytestmark = pytest.mark.anyio
HERE = "test_worker"


class Scripted(Handles):
    """Does what the job's text says."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def handle(self, job: Job) -> Iterator[Facts | Event]:
        assert isinstance(job, SpeechJob)
        if job.text == "bad":
            raise InvalidRequest("no good", param="input")
        if job.text == "held":
            yield from self.held()
        yield Facts()
        match job.text:
            case "unreadable":
                yield Usage(details={"x": Unreadable()})
            case "bug":
                raise ZeroDivisionError
            case "threads":
                yield AudioChunk(" ".join(thread.name for thread in threading.enumerate()).encode())
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "forever":
                try:
                    while True:
                        yield AudioChunk(b"tick")
                        time.sleep(0.01)
                finally:
                    Path(self.options["marker"]).write_text("closed")
            case text:
                yield AudioChunk(text.encode())
        yield Usage(characters=len(job.text))

    def held(self) -> Iterator[Facts]:
        """Notes when it is read and when it is closed."""
        self.note("read")
        try:
            yield Facts()
        finally:
            self.note("closed")

    def note(self, what: str) -> None:
        with Path(self.options["notes"]).open("a") as notes:
            notes.write(f"{what}\n")


def create(options: Mapping[str, Any]) -> Scripted:
    if reason := options.get("refuse"):
        raise ModelUnavailable(reason)
    if path := options.get("path"):
        raise OSError(f"Error no file named model.bin found in directory {path}.\nMaybe /opt/other?")
    if options.get("crash"):
        os._exit(3)
    return Scripted(options)


def engine(concurrency: int = 1, **options: Any) -> WorkerEngine:
    beside = {"PYTHONPATH": str(Path(__file__).parent)}
    return WorkerEngine(f"{HERE}:create", options, name="scripted", environment=beside, concurrency=concurrency)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncGenerator[WorkerEngine, None]:
    made = engine(marker=str(tmp_path / "marker"), notes=str(tmp_path / "notes"))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def wide(tmp_path: Path) -> AsyncGenerator[WorkerEngine, None]:
    """It works on two jobs at once."""
    made = engine(2, notes=str(tmp_path / "notes"))
    await made.start()
    yield made
    await made.stop()


def say(text: str) -> SpeechJob:
    return SpeechJob(text=text)


async def collect(worker: WorkerEngine, text: str) -> list[Facts | Event]:
    return [event async for event in ran(worker, say(text))]


async def test_a_failed_load_tells_its_cause_without_the_paths(tmp_path: Path) -> None:
    broken = engine(path=str(tmp_path / "our models" / "x"))
    with pytest.raises(ModelUnavailable) as raised:
        await broken.start()
    assert raised.value.message == (
        "The model could not be loaded: OSError: Error no file named model.bin found in directory x. Maybe other?"
    )


async def test_events_come_in_order_and_whole(worker: WorkerEngine) -> None:
    text = "x" * 3_000_000  # larger than any socket buffer
    assert await collect(worker, text) == [Facts(), AudioChunk(text.encode()), Usage(characters=3_000_000)]
    assert worker.running == 0


async def test_the_thread_of_the_load_has_ended(worker: WorkerEngine) -> None:
    """With it OpenMP's threads that the load began: more of them than cores, and none spins."""
    (_, told, _) = await collect(worker, "threads")
    assert isinstance(told, AudioChunk)
    names = told.data.decode().split()
    assert "MainThread" in names
    assert not [name for name in names if name.startswith("load")]


def test_memory_is_given_back_once_after_the_last_job(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[None] = []
    monkeypatch.setattr(child, "give_back", lambda: given.append(None))
    monkeypatch.setattr(child, "IDLE", 0.0)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs, contextlib.suppress(EOFError):
            child._Child(theirs, "scripted").serve()

    def told(*message: Any) -> Any:
        ours.sendall(frames.encode(message))
        return frames.receive_blocking(ours)

    def pinged() -> None:
        assert told("ping") == ("pong", None)

    with ours:
        thread = threading.Thread(target=serve)
        thread.start()
        assert told("load", f"{HERE}:create", {}, 1) == ("ready",)
        pinged()
        pinged()
        assert len(given) == 1  # what the load left, before it was ready
        assert told("read", 1, say("a"))[0] == "facts"
        ours.sendall(frames.encode(("run", 1, None)))
        while frames.receive_blocking(ours)[0] != "end":
            pass
        for _ in range(3):
            pinged()  # the answer comes before the memory is looked after
        assert len(given) == 2
    thread.join()


async def test_an_error_of_the_request_keeps_its_kind_and_param(worker: WorkerEngine) -> None:
    with pytest.raises(InvalidRequest, match="no good") as raised:
        await collect(worker, "bad")
    assert raised.value.param == "input"
    assert worker.alive
    assert worker.running == 0


async def test_a_bug_in_the_handler_fails_its_own_job_only(worker: WorkerEngine) -> None:
    with pytest.raises(EngineFailed):
        await collect(worker, "bug")
    assert (await collect(worker, "fine"))[1] == AudioChunk(b"fine")


async def test_a_job_that_was_read_does_nothing_until_it_is_run(wide: WorkerEngine) -> None:
    reading = await wide.read(say("die"))
    assert reading.facts == Facts()
    assert (await collect(wide, "fine"))[1] == AudioChunk(b"fine")
    assert wide.running == 1
    await reading.aclose()
    assert (await collect(wide, "after"))[1] == AudioChunk(b"after")
    assert wide.alive
    assert wide.running == 0


async def test_closing_a_reading_lets_go_of_what_it_opened_in_the_child(worker: WorkerEngine, tmp_path: Path) -> None:
    reading = await worker.read(say("held"))
    assert (tmp_path / "notes").read_text() == "read\n"
    await reading.aclose()
    await collect(worker, "after")
    assert (tmp_path / "notes").read_text() == "read\nclosed\n"
    assert worker.running == 0


async def test_no_more_jobs_are_read_than_can_be_worked_on(wide: WorkerEngine, tmp_path: Path) -> None:
    """What a job has decoded must not lie there for each of a long queue."""
    first, second = await wide.read(say("held")), await wide.read(say("held"))
    third = asyncio.create_task(wide.read(say("held")))
    await first.aclose()
    await (await third).aclose()
    await second.aclose()
    while wide.running:  # until the child has said of each that it is closed
        await asyncio.sleep(0.01)
    assert (await collect(wide, "after"))[1] == AudioChunk(b"after")
    assert (tmp_path / "notes").read_text().split() == ["read", "read", "closed", "read", "closed", "closed"]


async def test_a_job_given_up_while_it_waits_is_never_read(worker: WorkerEngine, tmp_path: Path) -> None:
    first = await worker.read(say("held"))
    waiting = asyncio.create_task(worker.read(say("held")))
    while worker.running < 2:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await first.aclose()
    await collect(worker, "after")
    assert (tmp_path / "notes").read_text().split() == ["read", "closed"]
    assert worker.running == 0


async def test_closing_the_stream_closes_the_handlers_generator(worker: WorkerEngine, tmp_path: Path) -> None:
    events = ran(worker, say("forever"))
    assert await anext(events) == Facts()
    assert await anext(events) == AudioChunk(b"tick")
    assert worker.running == 1
    await events.aclose()
    # One thread works: the next job's end proves that the first has stopped.
    await collect(worker, "after")
    assert worker.running == 0
    assert (tmp_path / "marker").read_text() == "closed"


async def test_a_killed_worker_fails_what_is_in_flight_and_says_so_afterwards(worker: WorkerEngine) -> None:
    events = ran(worker, say("forever"))
    await anext(events)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(EngineFailed):
        async for _ in events:
            pass
    assert not worker.alive
    assert not worker.hung
    with pytest.raises(EngineFailed):
        await collect(worker, "again")


async def test_a_worker_that_dies_on_a_job_fails_it(worker: WorkerEngine) -> None:
    with pytest.raises(EngineFailed):
        await collect(worker, "die")
    assert not worker.alive


async def test_a_reason_not_to_load_reaches_the_caller() -> None:
    with pytest.raises(ModelUnavailable, match="weights are missing"):
        await engine(refuse="The weights are missing.").start()


async def test_a_crash_while_loading_is_told_as_such() -> None:
    with pytest.raises(ModelUnavailable, match="ended while it loaded"):
        await engine(crash=True).start()


async def test_stop_ends_the_process(worker: WorkerEngine) -> None:
    pid = worker.pid
    assert pid is not None
    await worker.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await worker.stop()


class Unreadable(Exception):
    """Pickles, and can't be unpickled."""

    def __reduce__(self) -> Any:
        return (_explode, ())


def _explode() -> None:
    raise RuntimeError("not to be read")


async def test_a_message_that_can_not_be_read_ends_the_worker(worker: WorkerEngine) -> None:
    with pytest.raises(EngineFailed):
        await collect(worker, "unreadable")
    assert not worker.alive
