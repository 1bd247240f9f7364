"""Guessing is slow: who sends wrong keys again and again waits for each further answer."""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

FREE = 5
"""Wrong keys a minute that are answered at once: people paste wrongly, and programs have one bad configuration."""
WINDOW = 60.0
FIRST, LONGEST = 0.05, 1.0
MOST_WAITING = 256
MOST_ADDRESSES = 4096


@dataclass(slots=True)
class _Failures:
    since: float
    count: int = 0


class FailedKeys:
    """Counts wrong keys by client address, an IPv6 network of 64 bits counting as one.

    Memory is bounded: the addresses that failed longest ago are forgotten, and while MOST_WAITING
    requests wait, further wrong keys are refused without a wait. A right key never comes here.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._waiting = 0

    async def failed(self, address: str | None) -> None:
        """Count a failure and wait as long as it deserves: from 50 ms doubling to a second, from the sixth on."""
        delay = self._count(_network(address))
        if delay <= 0 or self._waiting >= MOST_WAITING:
            return
        self._waiting += 1
        try:
            await self._sleep(delay)
        finally:
            self._waiting -= 1

    def _count(self, network: str) -> float:
        now = self._clock()
        failures = self._failures.get(network)
        if failures is None or now - failures.since >= WINDOW:
            failures = self._failures[network] = _Failures(now)
        self._failures.move_to_end(network)
        while len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)
        failures.count += 1
        beyond = failures.count - FREE
        if beyond <= 0:
            return 0.0
        doublings = min(beyond - 1, 10)
        return min(LONGEST, FIRST * (1 << doublings))


def _network(address: str | None) -> str:
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return ""  # a socket without addresses: all its clients count together
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
