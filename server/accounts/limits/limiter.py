"""Requests and tokens a minute and requests at once, for a key and for its account: in memory, or in Redis."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from server.accounts.keys.identity import NO_LIMITS
from server.accounts.limits.headers import duration, rate_headers, retry_after
from server.accounts.limits.memory_windows import MemoryWindows
from server.accounts.limits.windows import Limit, Whose, Window, Windows
from server.core import Caller, Limits
from server.errors import RateLimited, Unavailable

log = logging.getLogger(__name__)

LOOK = 2.0
"""Seconds between two looks at Redis."""


class LimitsError(Exception):
    """The counts can't be reached. The message is for the operator."""


class Ticket:
    """A request that was let in. Say with `used` how many tokens it took, once that is known, on every path."""

    def __init__(self, limits: Sequence[Limit] = (), windows: Sequence[Window] | None = None) -> None:
        """windows: None for a caller without any limit."""
        self._limits = limits
        self._windows = windows
        self.tokens = 0

    @property
    def headers(self) -> dict[str, str]:
        """All six `x-ratelimit-*` of the OpenAI API; none for a caller without any limit."""
        return {} if self._windows is None else rate_headers(self._limits, self._windows)

    def used(self, tokens: int) -> None:
        self.tokens = tokens


class RateLimiter:
    """Each minute begins with its first request and is counted whole (a fixed window).

    A request counts for its key and for its account, or, where either refuses it, for neither. Tokens are those used,
    known only afterwards: a request is let in while any are left, and what it then uses beyond the limit is gone from
    this minute. Requests at once are counted in this process.
    """

    def __init__(self, url: str = "memory://", clock: Callable[[], float] = time.monotonic) -> None:
        """url: memory:// or one for Redis, see `RedisWindows`. clock: for memory://, seconds that never go back.

        Raises LimitsError, worded for the operator, for what is no URL.
        """
        self._windows: Windows
        if url.startswith("memory:"):
            self._windows = MemoryWindows(clock)
        else:
            from server.accounts.limits.redis_windows import RedisWindows

            try:
                self._windows = RedisWindows(url)
            except ValueError:  # whose words may hold part of a password
                raise LimitsError(
                    "SAGEHOLD_LIMITS_URL: it can't be read as a URL: the port is a number, in a password : / @ are "
                    "written %3A %2F %40, and each parameter has a value of its kind."
                ) from None
        self._running: Counter[tuple[Whose, str]] = Counter()
        self._watched = not isinstance(self._windows, MemoryWindows)
        self.trouble: str | None = None
        """Why the counts can't be read, for the operator, as `keep_watch` last found it."""

    async def check(self) -> None:
        """Raises LimitsError, worded for the operator, where the counts can't be reached."""
        try:
            await self._windows.ping()
        except TypeError as error:  # the library's, for a parameter of the URL that there isn't
            raise LimitsError(f"SAGEHOLD_LIMITS_URL: it has a parameter that there isn't: {error}") from error
        except Unavailable as error:
            reason = str(error.__cause__).rstrip(".")
            raise LimitsError(
                f"SAGEHOLD_LIMITS_URL: {self._windows.where} does not answer: {reason}. Start it, or correct the URL; "
                "memory:// counts without Redis."
            ) from error

    async def keep_watch(self, every: float = LOOK) -> None:
        """Ask Redis every so many seconds whether it answers, for /ready; requests find out by themselves."""
        while self._watched:
            await asyncio.sleep(every)
            await self.look()

    async def look(self) -> None:
        """One look. Raises nothing."""
        try:
            await self.check()
        except LimitsError as error:
            if self.trouble is None:
                log.error("requests of callers with limits are refused: %s", error)
            self.trouble = str(error)
        else:
            if self.trouble is not None:
                log.warning("Redis answers again")
            self.trouble = None

    def admit(self, caller: Caller) -> AbstractAsyncContextManager[Ticket]:
        """Let a request in for the length of the block.

        Raises RateLimited, which says when to come again, and Unavailable where the counts can't be read.
        """
        if caller.limits == NO_LIMITS and caller.account_limits == NO_LIMITS:
            return nullcontext(Ticket())
        return self._limited(caller)

    @asynccontextmanager
    async def arriving(self, caller: Caller) -> AsyncGenerator[None, None]:
        """The time before a request is let in, in which its body comes. It is one of those at once, but is not counted
        in its minute yet.

        Raises as `admit` does, for a caller who would be refused now.
        """
        limits, places = _limits(caller), _places(caller)
        await self._begin(limits, places)
        try:
            if limits:
                windows = await self._windows.look(limits)
                if any(window.remaining == 0 for window in windows):
                    raise _full(limits, windows)
            yield
        finally:
            self._end(places)

    @asynccontextmanager
    async def _limited(self, caller: Caller) -> AsyncGenerator[Ticket, None]:
        limits, places = _limits(caller), _places(caller)
        await self._begin(limits, places)
        try:
            ticket = Ticket(limits, await self._take(limits) if limits else ())
            try:
                yield ticket
            finally:
                if ticket.tokens > 0 and (spent := [limit for limit in limits if limit.kind == "tokens"]):
                    await self._windows.add(spent, ticket.tokens)
        finally:
            self._end(places)

    async def _begin(self, limits: Sequence[Limit], places: Mapping[tuple[Whose, str], int]) -> None:
        """Take a place among the requests at once, in each of `places`, until `_end`.

        Raises RateLimited where one has none left, and then none is taken.
        """
        for place, most in places.items():
            if self._running[place] >= most:
                windows = await self._windows.look(limits) if limits else ()
                raise RateLimited(
                    f"Rate limit reached: this {place[0]} may have {most} requests in flight.",
                    headers={**rate_headers(limits, windows), **retry_after(1.0)},
                )
        for place in places:
            self._running[place] += 1

    def _end(self, places: Iterable[tuple[Whose, str]]) -> None:
        for place in places:
            self._running[place] -= 1
            if not self._running[place]:
                del self._running[place]

    async def aclose(self) -> None:
        await self._windows.aclose()

    async def _take(self, limits: Sequence[Limit]) -> Sequence[Window]:
        free, windows = await self._windows.take(limits)
        if free:
            return windows
        raise _full(limits, windows)


def _full(limits: Sequence[Limit], windows: Sequence[Window]) -> RateLimited:
    """The refusal where one window or more is used up: it names the one that is the last to be free again."""
    full = [(limit, window) for limit, window in zip(limits, windows, strict=True) if window.remaining == 0]
    limit, window = max(full, key=lambda one: one[1].reset)
    return RateLimited(
        f"Rate limit reached: this {limit.whose} may use {limit.most} {limit.kind} per minute. "
        f"Please try again in {duration(window.reset)}.",
        headers={**rate_headers(limits, windows), **retry_after(window.reset)},
    )


def _limits(caller: Caller) -> list[Limit]:
    """The limits of requests and tokens a minute that hold for a caller: its key's and its account's."""
    limits = []
    for whose, owner, given in _owners(caller):
        if given.requests_per_minute is not None:
            limits.append(Limit(whose, owner, "requests", given.requests_per_minute))
        if given.tokens_per_minute is not None:
            limits.append(Limit(whose, owner, "tokens", given.tokens_per_minute))
    return limits


def _places(caller: Caller) -> dict[tuple[Whose, str], int]:
    """Whose requests at once are limited, and how many may be in flight."""
    return {
        (whose, owner): given.concurrent_requests
        for whose, owner, given in _owners(caller)
        if given.concurrent_requests is not None
    }


def _owners(caller: Caller) -> tuple[tuple[Whose, str, Limits], ...]:
    return ("key", caller.key_id, caller.limits), ("account", caller.account_id, caller.account_limits)
