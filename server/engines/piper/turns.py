"""Whose turn it is: the steps of all texts that are spoken share a few threads; a text's next steps are begun early.

One step by two threads of a processor is 1.3 times as fast as by one, and two steps side by side, each by one thread,
are 1.7 times as fast as one after the other (two cores, the starter voice). So a step that nothing runs beside has all
threads, and every other has one.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from types import TracebackType
from typing import Generic, Self, TypeVar

from server.engines.base import WAITING, Waiting

MOST_AT_ONCE = 8
"""Steps that are computed at once at most, whatever the number of cores: each has memory of its own."""

LOOK = 0.1
"""Seconds between two looks whether a text that waits for a step was given up."""

T = TypeVar("T")
Step = Callable[[bool], T]
"""Computes a step. The flag says whether nothing runs beside it, so that it may have all threads."""


def at_once(threads: int) -> int:
    """Steps that are computed at once, where a config says `threads`, which is 0 for all cores."""
    return min(threads or len(os.sched_getaffinity(0)), MOST_AT_ONCE)


class Turns:
    """A pool of threads that computes steps in the order in which they were handed in.

    A text hands in a step when one of its own is done, so texts take turns: a text of one step beside two long ones
    waits for two steps at most. How many a text has in the pool at a time falls with the number of texts: with four
    threads, a text alone has four, each of two has two, and each of four or more has one.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="step")
        self._lock = Lock()
        self._texts = 0

    @property
    def share(self) -> int:
        """Steps that each text may have in the pool."""
        return max(1, self._threads // max(1, self._texts))

    @property
    def alone(self) -> bool:
        return self._texts == 1

    def text(self, steps: Iterator[Step[T]]) -> "Text[T]":
        """A text's steps, which are taken from the iterator as their turn comes near."""
        return Text(self, steps)

    def count(self, change: int) -> None:
        """Of the texts that are spoken now."""
        with self._lock:
            self._texts += change

    def submit(self, step: Step[T], alone: bool) -> Future[T]:
        return self._pool.submit(step, alone)


class Text(Generic[T]):
    """One text's steps at work: a context manager, and an iterator over what they gave, in their order.

    The first is under way once it is entered. Before any other result is handed out, the steps after it are under way;
    the first goes out before they begin, while there are cores to send it. When it is left, no step of it runs or waits
    any more.
    """

    def __init__(self, turns: Turns, steps: Iterator[Step[T]]) -> None:
        self._turns = turns
        self._steps = steps
        self._next: Step[T] | None = None
        self._first = True
        self._under_way: list[Future[T]] = []

    def __enter__(self) -> Self:
        self._turns.count(1)
        try:
            self._next = next(self._steps, None)
            self._fill(1)
        except BaseException:
            self._turns.count(-1)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wait([future for future in self._under_way if not future.cancel()])
        self._turns.count(-1)

    def __iter__(self) -> Iterator[T | Waiting]:
        """What the steps gave, and WAITING now and then while a step waits for its turn or is computed.

        Raises what a step raised, in that step's place.
        """
        first = True
        while self._under_way:
            if not wait(self._under_way[:1], LOOK).done:
                yield WAITING
                continue
            done = self._under_way.pop(0).result()
            if first:
                first = False
                yield done
                self._fill(self._turns.share)
            else:
                self._fill(self._turns.share)
                yield done

    def _fill(self, most: int) -> None:
        while self._next is not None and len(self._under_way) < most:
            step, self._next = self._next, next(self._steps, None)
            # The first, since the listener waits for it; the last, where no other is left to fill the cores.
            by_itself = self._turns.alone and not self._under_way and (self._first or self._next is None)
            self._first = False
            self._under_way.append(self._turns.submit(step, by_itself))
