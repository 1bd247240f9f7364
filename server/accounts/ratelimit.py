"""Requests and tokens a minute and requests at once, for a key and for its account: in memory, or in Redis."""

import logging
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import anyio
from limits import RateLimitItemPerMinute
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string
from redis.asyncio import ConnectionPool

from server.core import Caller, Limits
from server.errors import RateLimited, Unavailable

logger = logging.getLogger(__name__)

WHOSE = ("key", "account")
Kind = Literal["requests", "tokens"]


@dataclass(frozen=True, slots=True)
class Window:
    """How much of a limit is left, and in how many seconds all of it will be."""

    limit: int
    remaining: int
    reset: float


Windows = Mapping[Kind, Window]
Owners = tuple[tuple[str, Limits], ...]
"""The key and the account, each by its id and with its limits."""
UNLIMITED = Limits()
NO_LIMIT = 2**31 - 1
"""Told as limit and remainder of what has none: clients read these headers as numbers, and most take 32 bits."""
ENDLESS = Window(NO_LIMIT, NO_LIMIT, 0.0)


class Admitted:
    """A request that was let in. Tell it the tokens that were used, once they are known, on every path."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.tokens = 0

    @property
    def headers(self) -> dict[str, str]:
        """All six `x-ratelimit-*` of the OpenAI API; none for a caller without any limit.

        A kind that is not limited is told as NO_LIMIT, with nothing used of it.
        """
        return _headers(self.windows)

    def used(self, tokens: int) -> None:
        self.tokens = tokens


class RateLimiter:
    """Each minute begins with its first request and is counted whole (a fixed window).

    Tokens are those used, known only afterwards: a request is let in while any are left, and what it then uses
    beyond the limit is gone from this minute. Requests at once are counted in this process.
    """

    def __init__(self, url: str = "memory://", clock: Callable[[], float] = time.time) -> None:
        """url: memory:// or redis://[user:password@]host:port/db (rediss:// with TLS, redis+unix:// for a socket)."""
        options: dict[str, Any] = {"wrap_exceptions": True}
        self._pool = None
        self._margin = 0.0
        if not url.startswith("memory:"):
            self._pool = ConnectionPool.from_url(url.removeprefix("redis+") if "+unix" in url else url)
            options |= {"implementation": "redispy", "connection_pool": self._pool}
            self._margin = 0.5  # Redis tells the end of a window to the nearest second
        self._windows = FixedWindowRateLimiter(storage_from_string(f"async+{url}", **options))
        self._clock = clock
        self._running: Counter[tuple[str, str]] = Counter()

    @asynccontextmanager
    async def admit(self, caller: Caller) -> AsyncGenerator[Admitted, None]:
        """Let a request in for the length of the block. Raises RateLimited, which tells when to come again."""
        owners = ((caller.key_id, caller.limits), (caller.account_id, caller.account_limits))
        slots = _slots(owners)
        for slot, most in slots.items():
            if self._running[slot] >= most:
                raise RateLimited(
                    f"Rate limit reached: this {slot[0]} may have {most} requests in flight.",
                    headers={**_headers(await self._asked(self._tightest(owners))), **_retry_after(1.0)},
                )
        self._running.update(slots.keys())
        try:
            admitted = Admitted(await self._asked(self._count(owners)))
            try:
                yield admitted
            finally:
                if admitted.tokens > 0:
                    # A client that has gone must not get its tokens back.
                    with anyio.CancelScope(shield=True):
                        await self._spend(owners, admitted.tokens)
        finally:
            self._running.subtract(slots.keys())
            for slot in slots:
                if self._running[slot] <= 0:
                    del self._running[slot]

    @staticmethod
    async def _asked(question: Awaitable[Windows]) -> Windows:
        try:
            return await question
        except StorageError as error:
            raise Unavailable("The rate limits can't be read right now.") from error

    async def _count(self, owners: Owners) -> Windows:
        limits = _items(owners)
        full: list[tuple[str, Kind, Window]] = []
        for whose, owner, kind, item in limits:
            if kind == "tokens" and not await self._windows.test(item, whose, owner, kind):
                full.append((whose, kind, await self._window(item, whose, owner, kind)))
        if not full:
            for whose, owner, kind, item in limits:
                if kind == "requests" and not await self._windows.hit(item, whose, owner, kind):
                    full.append((whose, kind, await self._window(item, whose, owner, kind)))
        tightest = await self._tightest(owners)
        if full:
            whose, kind, window = max(full, key=lambda found: found[2].reset)
            raise RateLimited(
                f"Rate limit reached: this {whose} may use {window.limit} {kind} per minute. "
                f"Please try again in {duration(window.reset)}.",
                headers={**_headers(tightest), **_retry_after(window.reset)},
            )
        return tightest

    async def _tightest(self, owners: Owners) -> Windows:
        """For each kind the window with the least left; both kinds, or none where nothing is limited at all."""
        if all(limits == UNLIMITED for _, limits in owners):
            return {}
        tightest: dict[Kind, Window] = {"requests": ENDLESS, "tokens": ENDLESS}
        for whose, owner, kind, item in _items(owners):
            window = await self._window(item, whose, owner, kind)
            if tightest[kind] is ENDLESS or window.remaining < tightest[kind].remaining:
                tightest[kind] = window
        return tightest

    async def _spend(self, owners: Owners, tokens: int) -> None:
        try:
            for whose, owner, kind, item in _items(owners):
                if kind == "tokens":
                    await self._windows.hit(item, whose, owner, kind, cost=tokens)
        except StorageError as error:
            logger.warning("%d tokens could not be counted: %s", tokens, error)

    async def _window(self, item: RateLimitItemPerMinute, *identifiers: str) -> Window:
        stats = await self._windows.get_window_stats(item, *identifiers)
        return Window(
            item.amount, max(0, int(stats.remaining)), max(0.0, stats.reset_time - self._clock()) + self._margin
        )

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()


def _slots(owners: Owners) -> dict[tuple[str, str], int]:
    """Where requests at once are limited: whose, and how many."""
    return {
        (whose, owner): limits.concurrent_requests
        for whose, (owner, limits) in zip(WHOSE, owners, strict=True)
        if limits.concurrent_requests is not None
    }


def _items(owners: Owners) -> list[tuple[str, str, Kind, RateLimitItemPerMinute]]:
    items: list[tuple[str, str, Kind, RateLimitItemPerMinute]] = []
    for whose, (owner, limits) in zip(WHOSE, owners, strict=True):
        if limits.requests_per_minute is not None:
            items.append((whose, owner, "requests", RateLimitItemPerMinute(limits.requests_per_minute)))
        if limits.tokens_per_minute is not None:
            items.append((whose, owner, "tokens", RateLimitItemPerMinute(limits.tokens_per_minute)))
    return items


def _headers(windows: Windows) -> dict[str, str]:
    headers = {}
    for kind, window in windows.items():
        headers[f"x-ratelimit-limit-{kind}"] = str(window.limit)
        headers[f"x-ratelimit-remaining-{kind}"] = str(window.remaining)
        headers[f"x-ratelimit-reset-{kind}"] = duration(window.reset)
    return headers


def _retry_after(seconds: float) -> dict[str, str]:
    # Rounded up: who comes back too early is refused again.
    return {
        "Retry-After": str(max(1, math.ceil(seconds))),
        "retry-after-ms": str(max(1, math.ceil(seconds * 1000))),
    }


def duration(seconds: float) -> str:
    """As in the OpenAI API's headers: 20ms, 1s, 6m0s."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    shown = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{shown}" if minutes else shown
