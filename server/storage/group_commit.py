"""Many small writes, one transaction: what arrives while a commit is under way goes with the next."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_AT_ONCE = 256


class GroupCommit(Generic[Item, Result]):
    """Hands items to `commit` in the order of their arrival, never two batches at a time.

    `commit` gets a batch and returns a result for each, all or nothing. When it raises, the items of the batch are
    tried one by one, so that one bad item spoils nothing but itself; but `outage` concerns them all.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        outage: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> None:
        self._commit = commit
        self._outage = outage
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._worker: asyncio.Task[None] | None = None

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """The future is done once the item is on the disk. Cancelling who waits does not take the item back."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return future

    async def aclose(self) -> None:
        """Wait until everything that was submitted is written."""
        while self._worker is not None and not self._worker.done():
            await asyncio.shield(self._worker)

    async def _work(self) -> None:
        while self._waiting:
            batch = self._waiting[:MOST_AT_ONCE]
            del self._waiting[:MOST_AT_ONCE]
            if not await self._try(batch) and len(batch) > 1:
                for one in batch:
                    await self._try([one])

    async def _try(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> bool:
        try:
            results = await self._commit([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait for the items
            hopeless = isinstance(error, self._outage)
            if hopeless or len(batch) == 1:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            return hopeless
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
        return True
