"""Loads and wakes on one GPU come one at a time.

What a load takes can then be seen by how much the device has less, and an engine that measures what is free while it
starts measures itself alone.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack, asynccontextmanager


class Turns:
    """A lock for each GPU. Several are taken in the order of their numbers, so that loads never wait in a ring."""

    def __init__(self) -> None:
        self._locks: dict[int, asyncio.Lock] = {}
        self._departures: Counter[int] = Counter()

    @asynccontextmanager
    async def take(self, gpus: Collection[int]) -> AsyncGenerator[None, None]:
        """Alone on these GPUs for the length of the block. Without GPUs nobody is waited for."""
        async with AsyncExitStack() as held:
            for number in sorted(gpus):
                await held.enter_async_context(self._locks.setdefault(number, asyncio.Lock()))
            yield

    @property
    def taken(self) -> frozenset[int]:
        """GPUs on which somebody loads now."""
        return frozenset(number for number, lock in self._locks.items() if lock.locked())

    def departed(self, gpus: Collection[int]) -> None:
        """Note that a model has given back memory there: engines that die don't wait for their turn."""
        self._departures.update(gpus)

    def departures(self, gpus: Collection[int]) -> int:
        """How often a model has left these GPUs. The same number before and after a load means that nobody left."""
        return sum(self._departures[number] for number in gpus)
