"""Whether the job that a worker's thread works on was given up: for handlers with steps that take seconds.

Between two events the worker looks itself. A handler that is in the midst of one asks `given_up`, and raises GivenUp.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_current = threading.local()


class GivenUp(Exception):
    """Nobody waits for the job any more. It is no failure."""


def given_up() -> bool:
    """False also where no worker works on the job, as in a test."""
    asked: Callable[[], bool] | None = getattr(_current, "asked", None)
    return asked is not None and asked()


def asked() -> Callable[[], bool]:
    """What `given_up` is in this thread, for others that work on the same job."""
    return getattr(_current, "asked", None) or (lambda: False)


@contextmanager
def asking(asked: Callable[[], bool]) -> Iterator[None]:
    """For the length of the block, `given_up` of this thread is what `asked` says."""
    _current.asked = asked
    try:
        yield
    finally:
        _current.asked = None
