"""Blocking work on a batch's files, in threads."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from anyio import to_thread

Result = TypeVar("Result")


async def in_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    """Its end is waited for even by whoever is cancelled meanwhile: so no two of one kind ever run at once."""
    working = asyncio.ensure_future(to_thread.run_sync(work, *arguments))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise
