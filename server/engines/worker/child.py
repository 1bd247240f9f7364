"""The child of a `WorkerEngine`: loads one model, works on jobs in a few threads, and ends with its parent.

`engine.py` has the protocol between the two.
"""

import contextlib
import itertools
import logging
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from server.core import Job
from server.engines import cancellation, cause, heap
from server.engines.base import WAITING, BlockingReading, Handler
from server.engines.free_memory import give_back
from server.engines.parent import die_with_parent
from server.engines.worker import frames
from server.errors import EngineFailed, ModelUnavailable, SageholdError
from server.observability.logs import configure_child
from server.offline import go_offline

log = logging.getLogger(__name__)

IDLE = 10.0
"""Seconds without a job after which freed memory is given back: until then it is kept for the next one."""


@dataclass(slots=True, eq=False)
class _Place:
    """A job in the child. busy: a thread reads or runs it now. It is not busy before its turn, nor between the two.

    step: of all steps that the child has taken, the number of this job's last one. untaken: what its reader has not
    taken of its events, in bytes of `frames.weight`.
    """

    number: int
    job: Job
    reading: BlockingReading | None = None
    busy: bool = False
    step: int = 0
    cancelled: bool = False
    untaken: int = 0


class _Child:
    """The child's loop: the main thread reads messages, a small pool works on jobs.

    Invariant: at most `concurrency` jobs have been read and have not ended, since each may hold what it has decoded;
    the others wait in `_queue`. A job that is cancelled while it is busy is ended by its thread, any other by a thread
    of the pool. The main thread never works on a job, so that it answers pings whatever becomes of them.
    """

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        self._name = name
        self._sending = threading.Lock()
        self._changing = threading.Lock()
        self._taken = threading.Condition(self._changing)
        self._places: dict[int, _Place] = {}
        self._queue: deque[_Place] = deque()
        self._steps = itertools.count(1)
        self._ended: float | None = None

    def serve(self) -> None:
        """Load, then work until the parent closes the socket."""
        _, factory, options, concurrency = frames.receive_blocking(self._connection)
        try:
            # In a thread that ends: OpenMP's threads that a load began would stay with it, and libgomp lets those that
            # compute spin for a moment only where there are more of them in all than cores.
            with ThreadPoolExecutor(1, thread_name_prefix="load") as loading:
                self._handler = loading.submit(self._load, factory, options).result()
        except SageholdError as error:
            self._send(("failed", error))
            return
        except Exception as error:
            log.exception("%s could not be loaded", self._name)
            places = [Path(options["path"])] if isinstance(options.get("path"), str) else []
            reason = cause.described(error, *places)
            self._send(("failed", ModelUnavailable(f"The model could not be loaded: {reason}")))
            return
        give_back()  # what loading left would be taken for the model's own
        self._send(("ready",))
        self._free = concurrency
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="job")
        while True:
            match frames.receive_blocking(self._connection):
                case ("read", number, job):
                    self._enter(_Place(number, job))
                case ("run", number, limit):
                    self._begin(self._run, number, limit)
                case ("took", number, weight):
                    self._took(number, weight)
                case ("cancel", number):
                    self._cancel(number)
                case ("ping",):
                    self._send(("pong", self._slowest()))
                    self._rest()

    def _rest(self) -> None:
        """Give memory back, once after the last job."""
        with self._changing:
            if self._places or self._ended is None or monotonic() - self._ended < IDLE:
                return
            self._ended = None
        give_back()

    def _load(self, factory: str, options: Mapping[str, Any]) -> Handler:
        module, _, function = factory.partition(":")
        with heap.permanent():  # not while it loads: what that leaves as rings must be given back
            create = getattr(import_module(module), function)
        handler: Handler = create(options)
        return handler

    # ------------------------------------------------------------ whose turn it is

    def _enter(self, place: _Place) -> None:
        with self._changing:
            self._places[place.number] = place
            self._queue.append(place)
            self._advance()

    def _advance(self) -> None:
        """Let those read whose turn it is; under the lock."""
        while self._free and self._queue:
            self._free -= 1
            place = self._queue.popleft()
            self._busy(place)
            self._pool.submit(self._read, place)

    def _begin(self, work: Callable[..., None], number: int, *arguments: Any) -> None:
        with self._changing:
            place = self._places.get(number)
            if place is not None and not place.busy:
                self._busy(place)
                self._pool.submit(work, place, *arguments)

    def _busy(self, place: _Place) -> None:
        place.busy = True
        place.step = next(self._steps)

    def _slowest(self) -> int | None:
        """The last step of the job that has gone longest without one; None while no thread works.

        A job that waits for its reader is not late.
        """
        with self._changing:
            working = (place for place in self._places.values() if place.busy and place.untaken < frames.WINDOW)
            return min((place.step for place in working), default=None)

    def _cancel(self, number: int) -> None:
        with self._changing:
            place = self._places.get(number)
            if place is None:
                return
            place.cancelled = True
            self._taken.notify_all()
            waiting = place in self._queue
            if waiting:
                self._queue.remove(place)
                del self._places[number]
        if waiting:
            self._send(("end", number))
        else:
            self._begin(self._forget, number)

    def _took(self, number: int, weight: int) -> None:
        with self._changing:
            if (place := self._places.get(number)) is not None:
                place.untaken -= weight
                self._taken.notify_all()

    def _end(self, place: _Place, ending: tuple[Any, ...]) -> None:
        with self._changing:
            del self._places[place.number]
            self._ended = monotonic()
            self._free += 1
            self._advance()
        self._send(ending)

    # ------------------------------------------------------------ in the pool's threads

    def _read(self, place: _Place) -> None:
        failure = self._caught(place, self._reading)
        with self._changing:
            idle = failure is None and not place.cancelled
            place.busy = not idle
        if idle:
            assert place.reading is not None
            self._send(("facts", place.number, place.reading.facts))
        elif failure is not None:
            self._end(place, failure)
        else:
            self._forget(place)

    def _reading(self, place: _Place) -> None:
        if not place.cancelled:
            place.reading = self._handler.read(place.job)

    def _run(self, place: _Place, limit: int | None) -> None:
        failure = self._caught(place, self._events, limit)
        self._end(place, self._closed(place) or failure or ("end", place.number))

    def _events(self, place: _Place, limit: int | None) -> None:
        assert place.reading is not None
        events = place.reading.run(limit)
        for event in events:
            if place.cancelled:
                # A generator's close runs its clean-up now rather than whenever it is collected.
                getattr(events, "close", lambda: None)()
                return
            if event is WAITING:
                continue
            place.step = next(self._steps)
            if event is not None:
                self._send(("event", place.number, event))
                self._wait_for_reader(place, frames.weight(event))

    def _wait_for_reader(self, place: _Place, weight: int) -> None:
        """Go on when less than a window is untaken, or when the job is cancelled."""
        with self._changing:
            place.untaken += weight
            while place.untaken >= frames.WINDOW and not place.cancelled:
                self._taken.wait()
                place.step = next(self._steps)

    def _forget(self, place: _Place) -> None:
        self._end(place, self._closed(place) or ("end", place.number))

    def _closed(self, place: _Place) -> tuple[Any, ...] | None:
        return self._caught(place, lambda place: place.reading and place.reading.close())

    def _caught(self, place: _Place, work: Callable[..., Any], *arguments: Any) -> tuple[Any, ...] | None:
        """Do it; the message that says how it failed, or None."""
        try:
            with cancellation.asking(lambda: place.cancelled):
                work(place, *arguments)
        except cancellation.GivenUp:
            return None
        except SageholdError as error:
            return ("error", place.number, error)
        except Exception:
            log.exception("%s failed on a job", self._name)
            return ("error", place.number, EngineFailed())
        return None

    def _send(self, message: tuple[Any, ...]) -> None:
        data = frames.encode(message)
        with self._sending:
            self._connection.sendall(data)


def main() -> None:
    """Entry point of the child: `python -m server.engines.worker.child FD NAME PARENT`."""
    die_with_parent(int(sys.argv[3]))
    go_offline()
    name = sys.argv[2]
    configure_child(name)
    with socket.socket(fileno=int(sys.argv[1])) as connection, contextlib.suppress(EOFError, ConnectionError):
        _Child(connection, name).serve()
    # Threads may still be inside a long native call; nothing of theirs is worth waiting for.
    os._exit(0)


if __name__ == "__main__":
    main()
