"""How many large bodies there are at once, in bytes; and the one thread in which they are read.

Why so: docs/decisions/016-bodies.md.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from anyio import CapacityLimiter, to_thread

from server.errors import Overloaded, RateLimited

T = TypeVar("T")

WAIT = 30.0
"""Seconds that a body waits for others to be read."""
TOGETHER = 8
"""How many bodies of the greatest size are held at once."""


class BodyRoom:
    """Bytes that bodies hold from their announcement until they are read, all together and by account.

    Half of the room is the most for one account: its slow senders keep nobody else waiting. Who comes first is served
    first, but for those whose own account has to wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._of: Counter[str] = Counter()
        self._waiting: deque[_Waiting] = deque()
        self._reading = CapacityLimiter(1)

    @property
    def taken(self) -> int:
        return self._taken

    @asynccontextmanager
    async def holding(self, account: str, size: int) -> AsyncGenerator[None, None]:
        """size: bytes; more than an account may have counts as that. Raises RateLimited where its own bodies don't
        leave it room in time, Overloaded where others' don't."""
        size = min(size, self._most // 2)
        waiting = _Waiting(account, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._admit()
        try:
            try:
                async with asyncio.timeout(WAIT):
                    await waiting.admitted
            except TimeoutError:
                if self._own(waiting):
                    message = "Rate limit reached: this account sends more large bodies at once than are read."
                    raise RateLimited(message, headers={"Retry-After": "1", "retry-after-ms": "1000"}) from None
                raise Overloaded("The server is busy with large bodies. Please try again shortly.") from None
            yield
        finally:
            if waiting.admitted.done() and not waiting.admitted.cancelled():
                self._taken -= size
                self._of[account] -= size
                if not self._of[account]:
                    del self._of[account]
            else:
                self._waiting.remove(waiting)
            self._admit()

    async def read(self, work: Callable[[], T]) -> T:
        """What `work` returns, in a thread: one body at a time, since two would only take turns. Raises Overloaded."""
        try:
            async with asyncio.timeout(WAIT):
                return await to_thread.run_sync(work, limiter=self._reading)
        except TimeoutError:
            raise Overloaded("The server is busy with large bodies. Please try again shortly.") from None

    def _own(self, waiting: "_Waiting") -> bool:
        return self._of[waiting.account] + waiting.size > self._most // 2

    def _admit(self) -> None:
        kept: deque[_Waiting] = deque()
        while self._waiting:
            first = self._waiting.popleft()
            if first.admitted.cancelled():
                kept.append(first)  # it takes itself out
            elif self._own(first):
                kept.append(first)
            elif self._taken + first.size > self._most:
                kept.append(first)
                break
            else:
                self._taken += first.size
                self._of[first.account] += first.size
                first.admitted.set_result(None)
        kept.extend(self._waiting)
        self._waiting = kept


class _Waiting(NamedTuple):
    account: str
    size: int
    admitted: "asyncio.Future[None]"
