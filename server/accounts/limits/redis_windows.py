"""Windows in Redis, for several servers that count together: each question is one script, and one round trip."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import anyio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from server.accounts.limits.windows import MINUTE, Limit, Window, window_of
from server.errors import Unavailable

logger = logging.getLogger(__name__)

COUNT = """
-- KEYS: a counter for each window. ARGV: the seconds of a window, then two numbers for each window: by how much it
-- must be used up to be full (-1: it never is), and what to count in it. Counts in all windows, or in none if one is
-- full. Returns 1 or 0 for that, then what each window has used and the seconds until its end.
local free = 1
for i, key in ipairs(KEYS) do
    local most = tonumber(ARGV[2 * i])
    if most >= 0 and tonumber(redis.call("GET", key) or 0) >= most then free = 0 end
end
local answer = {free}
for i, key in ipairs(KEYS) do
    local amount = tonumber(ARGV[2 * i + 1])
    if free == 1 and amount > 0 and redis.call("INCRBY", key, amount) == amount then
        redis.call("EXPIRE", key, ARGV[1])
    end
    table.insert(answer, tonumber(redis.call("GET", key) or 0))
    table.insert(answer, redis.call("TTL", key))
end
return answer
"""
NEVER_FULL = -1
WAIT = 2.0
"""Seconds that Redis may take for an answer: a request that needs it waits no longer."""
MARGIN = 0.5
"""Redis gives the end of a window to the nearest second."""


class RedisWindows:
    def __init__(self, url: str) -> None:
        """url: redis://[user:password@]host:port/db (rediss:// with TLS, redis+unix:// for a socket)."""
        self._redis = Redis.from_url(
            url.removeprefix("redis+") if "+unix" in url else url,
            socket_connect_timeout=WAIT,
            socket_timeout=WAIT,
            # The library's own three tries, with pauses, make a request wait for seconds where nobody listens.
            retry=Retry(NoBackoff(), 1),
        )
        self._count = self._redis.register_script(COUNT)

    async def take(self, limits: Sequence[Limit]) -> tuple[bool, Sequence[Window]]:
        with _reading():
            return await self._ask(limits, [(limit.most, int(limit.kind == "requests")) for limit in limits])

    async def look(self, limits: Sequence[Limit]) -> Sequence[Window]:
        with _reading():
            return (await self._ask(limits, [(NEVER_FULL, 0)] * len(limits)))[1]

    async def add(self, limits: Sequence[Limit], amount: int) -> None:
        try:
            with anyio.CancelScope(shield=True):
                await self._ask(limits, [(NEVER_FULL, amount)] * len(limits))
        except RedisError as error:
            logger.warning("%d tokens could not be counted: %s", amount, error)

    async def ping(self) -> None:
        with _reading():
            await self._redis.ping()

    @property
    def where(self) -> str:
        options = self._redis.connection_pool.connection_kwargs
        host = f"{options.get('host') or 'localhost'}:{options.get('port', 6379)}"
        return f"Redis at {options.get('path') or host}"

    async def aclose(self) -> None:
        await self._redis.aclose()

    async def _ask(self, limits: Sequence[Limit], counted: Sequence[tuple[int, int]]) -> tuple[bool, Sequence[Window]]:
        arguments = [MINUTE, *(number for pair in counted for number in pair)]
        free, *figures = await self._count(keys=[_name(limit) for limit in limits], args=arguments)
        windows = [
            window_of(limit, used, max(0, ends) + MARGIN)
            for limit, used, ends in zip(limits, figures[::2], figures[1::2], strict=True)
        ]
        return bool(free), windows


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise Unavailable("The rate limits can't be read right now.") from error


def _name(limit: Limit) -> str:
    # As the library `limits` named them, so that servers of an older version count in the same windows.
    return f"LIMITS:LIMITER/{limit.whose}/{limit.owner}/{limit.kind}/{limit.most}/1/minute"
