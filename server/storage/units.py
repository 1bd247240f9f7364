"""Units of work that nobody breaks off: background work is ended between two of them, and a request after its own.

A shield of anyio's holds against its own scopes and not against `Task.cancel`. A statement whose task was cancelled
runs on in its thread, its connection must be thrown away, and at the end of a server nobody is there to be told.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

Result = TypeVar("Result")

_within: WeakSet[asyncio.Task[Any]] = WeakSet()
_ending: WeakSet[asyncio.Task[Any]] = WeakSet()


@contextmanager
def unit() -> Iterator[None]:
    """Around a unit of work; one within another counts as the outer one."""
    task = asyncio.current_task()
    if task is None or task in _within:
        yield
        return
    _within.add(task)
    try:
        yield
    finally:
        _within.discard(task)
        if task in _ending:
            _ending.discard(task)
            task.cancel()


def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task: at once, or when the unit of work that it is in has ended."""
    if task in _within:
        _ending.add(task)
    else:
        task.cancel()


async def to_its_end(work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` returns. Whoever is cancelled meanwhile waits for its end, however it ends."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody is there to be told
        raise
