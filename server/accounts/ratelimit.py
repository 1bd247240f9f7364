"""Requests and tokens a minute and requests at once, for a key and for its account: in memory, or in Redis."""

import logging
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
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


class Admitted:
    """A request that was let in. Tell it the tokens that were used, once they are known, on every path."""

    def __init__(self, windows: dict[Kind, Window]) -> None:
        self.windows = windows
        self.tokens = 0

    @property
    def headers(self) -> dict[str, str]:
        """`x-ratelimit-*` as the OpenAI API has them; a limit that nobody set has none."""
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
        slots = self._take_slots(owners)
        try:
            try:
                admitted = Admitted(await self._count(owners))
            except StorageError as error:
                raise Unavailable("The rate limits can't be read right now.") from error
            try:
                yield admitted
            finally:
                if admitted.tokens > 0:
                    # A client that has gone must not get its tokens back.
                    with anyio.CancelScope(shield=True):
                        await self._spend(owners, admitted.tokens)
        finally:
            self._running.subtract(slots)
            for slot in slots:
                if self._running[slot] <= 0:
                    del self._running[slot]

    def _take_slots(self, owners: tuple[tuple[str, Limits], ...]) -> list[tuple[str, str]]:
        slots = []
        for whose, (owner, limits) in zip(WHOSE, owners, strict=True):
            if limits.concurrent_requests is None:
                continue
            slot = (whose, owner)
            if self._running[slot] >= limits.concurrent_requests:
                raise RateLimited(
                    f"Rate limit reached: this {whose} may have {limits.concurrent_requests} requests in flight.",
                    headers=_retry_after(1.0),
                )
            slots.append(slot)
        self._running.update(slots)
        return slots

    async def _count(self, owners: tuple[tuple[str, Limits], ...]) -> dict[Kind, Window]:
        limits = list(_items(owners))
        full: list[tuple[str, Kind, Window]] = []
        for whose, owner, kind, item in limits:
            if kind == "tokens" and not await self._windows.test(item, whose, owner, kind):
                full.append((whose, kind, await self._window(item, whose, owner, kind)))
        if not full:
            for whose, owner, kind, item in limits:
                if kind == "requests" and not await self._windows.hit(item, whose, owner, kind):
                    full.append((whose, kind, await self._window(item, whose, owner, kind)))
        tightest: dict[Kind, Window] = {}
        for whose, owner, kind, item in limits:
            window = await self._window(item, whose, owner, kind)
            if kind not in tightest or window.remaining < tightest[kind].remaining:
                tightest[kind] = window
        if full:
            whose, kind, window = max(full, key=lambda found: found[2].reset)
            raise RateLimited(
                f"Rate limit reached: this {whose} may use {window.limit} {kind} per minute. "
                f"Please try again in {duration(window.reset)}.",
                headers={**_headers(tightest), **_retry_after(window.reset)},
            )
        return tightest

    async def _spend(self, owners: tuple[tuple[str, Limits], ...], tokens: int) -> None:
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


def _items(owners: tuple[tuple[str, Limits], ...]) -> list[tuple[str, str, Kind, RateLimitItemPerMinute]]:
    items: list[tuple[str, str, Kind, RateLimitItemPerMinute]] = []
    for whose, (owner, limits) in zip(WHOSE, owners, strict=True):
        if limits.requests_per_minute is not None:
            items.append((whose, owner, "requests", RateLimitItemPerMinute(limits.requests_per_minute)))
        if limits.tokens_per_minute is not None:
            items.append((whose, owner, "tokens", RateLimitItemPerMinute(limits.tokens_per_minute)))
    return items


def _headers(windows: dict[Kind, Window]) -> dict[str, str]:
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
