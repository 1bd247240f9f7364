"""Several windows of one job in the works at once, so that they meet in a batch, and their events in order."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Literal, Protocol, TypeVar

from server.engines import cancellation
from server.engines.whisper.batcher import GLANCE, on_behalf_of


class Piece(Protocol):
    """last: there is no other after it. What is worked on alone needs no thread."""

    @property
    def last(self) -> bool: ...


P = TypeVar("P", bound=Piece)
Result = TypeVar("Result")


class _Stream(Generic[Result]):
    """What a thread makes of a piece, as it comes, for the job's own thread to take. ended: all of it was taken."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Literal["result", "error", "end"], Any]] = queue.SimpleQueue()
        self.ended = False

    def fill(self, results: Iterator[Result]) -> None:
        try:
            for result in results:
                self._queue.put(("result", result))
        except BaseException as error:  # noqa: BLE001 - it is raised where the results are taken
            self._queue.put(("error", error))
        else:
            self._queue.put(("end", None))

    def taken(self, *, all_of_it: bool) -> Iterator[Result]:
        """What is there, or all that will be. Raises what the work raised, and GivenUp."""
        while not self.ended:
            try:
                kind, value = self._queue.get(block=all_of_it, timeout=GLANCE)
            except queue.Empty:
                if cancellation.given_up():
                    raise cancellation.GivenUp from None
                if not all_of_it:
                    return
                continue
            if kind == "error":
                raise value
            if kind == "end":
                self.ended = True
            else:
                yield value


def ahead(pieces: Iterator[P | None], work: Callable[[P], Iterator[Result]], width: int) -> Iterator[Result | None]:
    """The results of the work on each piece, in the pieces' order, while up to `width` of them are in work.

    pieces: None for a step on the way to the next one, which is passed on, as after each piece but the last. Whoever
    leaves early closes the generator: then it waits until each thread has noticed, which is a step of `work`.
    """
    left = threading.Event()
    given_up = cancellation.asked()
    job = object()

    def fill(piece: P, stream: _Stream[Result]) -> None:
        with on_behalf_of(job), cancellation.asking(lambda: left.is_set() or given_up()):
            stream.fill(work(piece))

    pool: ThreadPoolExecutor | None = None
    streams: deque[_Stream[Result]] = deque()
    try:
        for piece in pieces:
            if piece is None:
                yield None
                continue
            if pool is None:
                if piece.last:
                    yield from work(piece)
                    return
                pool = ThreadPoolExecutor(width, thread_name_prefix="window")
            stream: _Stream[Result] = _Stream()
            pool.submit(fill, piece, stream)
            streams.append(stream)
            while streams:
                yield from streams[0].taken(all_of_it=len(streams) == width)
                if not streams[0].ended:
                    break
                streams.popleft()
                yield None
        for stream in streams:
            yield from stream.taken(all_of_it=True)
            yield None
    finally:
        left.set()
        if pool is not None:
            pool.shutdown(cancel_futures=True)
