"""A model in a process of its own: the engine that the front end sees. `child.py` is the loop that the child runs.

The end of a process is the only way to be sure that its memory came back, and a fault in it must not take the
front end along.

    parent to child  ("load", factory, options, concurrency)  ("read", id, job)  ("run", id, limit)  ("cancel", id)
                     ("took", id, bytes)  ("ping",)
    child to parent  ("ready",)  ("failed", error)  ("facts", id, facts)  ("event", id, event)  ("end", id)
                     ("error", id, error)  ("pong", step)

Every job ends by one `end` or `error`, cancelled ones too. `took` says that the job's reader has taken events of that
`frames.weight`: at frames.WINDOW of what was not taken, the child waits. When either end closes the socket, the other
is done: the child exits, the parent fails the jobs in flight. Once it is ready, the child is pinged between two looks
of `Watch`, and answers with the last step of the job that has gone longest without one.
"""

import asyncio
import itertools
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from server.core import Event, Facts, Job, Usage
from server.engines.base import Engine, Footprint
from server.engines.devices import footprint
from server.engines.openmp import patience as openmp_patience
from server.engines.pulse import Patience, Sign
from server.engines.watch import Watch
from server.engines.worker import frames
from server.errors import EngineFailed, EngineHung, ModelUnavailable, SageholdError
from server.observability.raw_output import output_of

log = logging.getLogger(__name__)

Message = Event | Facts | SageholdError | None
"""What the child says of a job; None at its end."""

STOP_GRACE = 5.0
"""Seconds a worker gets to leave by itself before it is killed."""


class WorkerEngine(Engine):
    """An `Engine` whose handler lives in a child process.

    factory: "package.module:function", called in the child with `options`; see `Handler`.
    concurrency: jobs that the child works on at the same time, each in a thread; more wait their turn.
    patience: with a child that does not answer, and with a job that does not go on.
    """

    def __init__(
        self,
        factory: str,
        options: Mapping[str, Any],
        *,
        name: str,
        concurrency: int = 1,
        environment: Mapping[str, str] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._factory = factory
        self._options = dict(options)
        self._name = name
        self._concurrency = concurrency
        self._environment = dict(environment or {})
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._pump: asyncio.Task[None] | None = None
        self._loaded: asyncio.Future[None] | None = None
        self._jobs: dict[int, asyncio.Queue[Message]] = {}
        self._ids = itertools.count(1)
        self._alive = False
        self._watch = Watch(
            f"worker {name}",
            lambda: self.pids,
            patience=patience or Patience(),
            ping=self._ping,
            sign=lambda: self._sign,
            on_hang=self._give_up,
        )
        self._sign = Sign()
        self._pinged = False

    # ------------------------------------------------------------ lifecycle

    async def start(self) -> None:
        """Spawn the child and load the model in it."""
        ours, theirs = socket.socketpair()
        with theirs, output_of(self._name) as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "server.engines.worker.child",
                str(theirs.fileno()),
                self._name,
                str(os.getpid()),
                pass_fds=[theirs.fileno()],
                env={**os.environ, **openmp_patience(), **self._environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A Ctrl-C in the terminal is for the front end, which then ends its workers in order.
                start_new_session=True,
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._alive = True
        self._loaded = asyncio.get_running_loop().create_future()
        self._pump = asyncio.create_task(self._receive(reader), name=f"worker {self._name}")
        self._watch.start()
        try:
            self._send(("load", self._factory, self._options, self._concurrency))
            await self._loaded
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the socket, which ends the child; kill it if it doesn't leave."""
        self._alive = False
        await self._watch.stop()
        if self._writer is not None:
            self._writer.close()
        if self._process is not None and self._process.returncode is None:
            try:
                await asyncio.wait_for(self._process.wait(), STOP_GRACE)
            except TimeoutError:
                log.warning("worker %s does not leave; killing it", self._name)
                self._process.kill()
                await self._process.wait()
        if self._pump is not None:
            await self._pump

    @property
    def alive(self) -> bool:
        return self._alive

    @property
    def hung(self) -> bool:
        return self._watch.hung

    @property
    def running(self) -> int:
        """Jobs whose end the child has not reported, cancelled ones included until they have really stopped."""
        return len(self._jobs)

    @property
    def pid(self) -> int | None:
        """The child's process id, for operators and fault tests."""
        return self._process.pid if self._process else None

    @property
    def pids(self) -> list[int]:
        return [self._process.pid] if self._process and self._alive else []

    def footprint(self) -> Footprint:
        return footprint.of_processes(self.pids)

    # ------------------------------------------------------------ jobs

    async def read(self, job: Job) -> "WorkerReading":
        if not self._alive:
            raise self._failure()
        number = next(self._ids)
        messages = self._jobs[number] = asyncio.Queue()
        reading = WorkerReading(self, number, messages)
        self._send(("read", number, job))
        try:
            await reading.read()
        except BaseException:
            await reading.aclose()
            raise
        return reading

    def send(self, message: tuple[Any, ...]) -> None:
        """To the child, if it lives."""
        if self._alive:
            self._send(message)

    def _ping(self) -> None:
        """Unless it loads, which keeps the interpreter's lock for seconds, or has not answered the ping before."""
        if self._alive and self._sign.answers is not None and not self._pinged:
            self._pinged = True
            self._send(("ping",))

    def _give_up(self) -> None:
        """Fail the jobs now, however long the kernel takes to end the child."""
        assert self._writer is not None
        self._writer.transport.abort()  # a close would wait until the rest is sent

    def _failure(self) -> EngineFailed:
        """What became of the jobs in flight, once they can't be finished."""
        return EngineHung() if self.hung else EngineFailed()

    def _send(self, message: Any) -> None:
        assert self._writer is not None
        self._writer.write(frames.encode(message))

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        """Hand the child's messages to the jobs they belong to until the socket closes."""
        assert self._loaded is not None
        assert self._process is not None
        try:
            while True:
                self._deliver(await frames.receive(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception:
            # A message that can't be read leaves the two ends out of step: no job in there can be finished.
            log.exception("worker %s sent what can't be read; ending it", self._name)
            self._process.kill()
        finally:
            was_alive, self._alive = self._alive, False
            if not self._loaded.done():
                how = "hung, and was ended," if self.hung else "ended"
                self._loaded.set_exception(ModelUnavailable(f"The model's process {how} while it loaded."))
            for queue in self._jobs.values():
                queue.put_nowait(self._failure())
            self._jobs.clear()
            if was_alive:
                code = await self._process.wait()
                log.error("worker %s (pid %d) ended with %s", self._name, self._process.pid, _ending(code))

    def _deliver(self, received: tuple[Any, ...]) -> None:
        assert self._loaded is not None
        match received:
            case ("event" | "facts", number, message):
                if number in self._jobs:
                    self._jobs[number].put_nowait(message)
            case ("end", number):
                if queue := self._jobs.pop(number, None):
                    queue.put_nowait(None)
            case ("error", number, error):
                if queue := self._jobs.pop(number, None):
                    queue.put_nowait(error)
            # A start that was cancelled takes its future along; the child may be just ready, or failed.
            case ("ready",) if not self._loaded.done():
                self._sign = Sign(answers=0)
                self._loaded.set_result(None)
            case ("pong", step):
                self._pinged = False
                self._sign = Sign(answers=(self._sign.answers or 0) + 1, step=step)
            case ("failed", error) if not self._loaded.done():
                self._loaded.set_exception(error)


class WorkerReading:
    """A job that the child has read. What it has opened for the job stays open there until this is run or closed."""

    facts: Facts
    unread = cached = 0

    def __init__(self, engine: WorkerEngine, number: int, messages: "asyncio.Queue[Message]") -> None:
        self._engine = engine
        self._number = number
        self._messages = messages
        self._ended = False
        self._took = 0

    async def read(self) -> None:
        """Wait until the child has read the job. Raises InvalidRequest, EngineFailed."""
        facts = await self._next()
        assert isinstance(facts, Facts)
        self.facts = facts

    async def run(self, limit: int | None = None) -> AsyncGenerator[Event, None]:
        self._engine.send(("run", self._number, limit))
        whole = False
        while (event := await self._next()) is not None:
            assert not isinstance(event, Facts)
            whole = isinstance(event, Usage)
            yield event
            self._took += frames.weight(event)
            if self._took >= frames.WINDOW // 4:
                self._engine.send(("took", self._number, self._took))
                self._took = 0
        if not whole:  # or the answer would be cut without an error
            raise EngineFailed

    async def aclose(self) -> None:
        if not self._ended:
            self._ended = True
            self._engine.send(("cancel", self._number))

    async def _next(self) -> Event | Facts | None:
        message = await self._messages.get()
        if message is None or isinstance(message, SageholdError):
            self._ended = True
        if isinstance(message, SageholdError):
            raise message
        return message


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
