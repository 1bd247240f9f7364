"""The server's end, as requests meet it: none begins any more, and those that take too long are cut short."""

import asyncio
import time
from collections.abc import Iterable
from weakref import WeakSet

Task = asyncio.Task[object]

_CUT: WeakSet[Task] = WeakSet()
"""Tasks of requests that were cut short and have not taken note of it."""


class Shutdown:
    """How far the end has come. Built once; `begin` is called at the first signal, `cut` once the grace is over.

    begun: no request is let in any more.
    """

    def __init__(self) -> None:
        self.begun = False
        self._begun_at = 0.0
        self._waiting: set[Task] = set()

    def begin(self) -> None:
        """Let no request in, and cut short those that wait for a model: they have nothing yet that could be lost."""
        if not self.begun:
            self.begun = True
            self._begun_at = time.monotonic()
            self.cut(self._waiting)

    def left(self, grace: float) -> float:
        """Seconds that are left of the grace, which begins with the end."""
        return grace if not self.begun else max(0.0, self._begun_at + grace - time.monotonic())

    def cut(self, requests: Iterable[Task]) -> None:
        """End the tasks of requests. Each is cancelled; its `taken_back` turns that into the error ServerStopping.

        An exception can't be raised into a task from outside, and whatever it waits for must learn of the end in the
        way that it knows.
        """
        for task in list(requests):
            if not task.done():
                _CUT.add(task)
                task.cancel()

    def waits(self) -> Task:
        """The current request waits for a model, until `waited` is called with what this returns."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        return task

    def waited(self, task: Task) -> None:
        self._waiting.discard(task)


def taken_back() -> bool:
    """Whether the current task was cancelled because it was cut short. Asked where a CancelledError is caught.

    The cancellation is then over, and ServerStopping is to be raised in its place: the error's own way through the
    request leads to the client.
    """
    task = asyncio.current_task()
    if task is None or task not in _CUT:
        return False
    _CUT.discard(task)
    task.uncancel()
    return True
