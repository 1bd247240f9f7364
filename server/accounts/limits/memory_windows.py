"""Windows in this process: plain arithmetic. Why not a library's: docs/decisions/010-limits-without-a-library.md."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.accounts.limits.windows import MINUTE, Limit, Window, window_of


@dataclass(slots=True)
class Count:
    """What was used since a window began, and the moment it ends, by the clock of `MemoryWindows`."""

    used: int
    ends: float


class MemoryWindows:
    """No method waits. So whether all windows are free is asked and counted in one step, that nothing can interrupt.

    Invariant: windows are in the order of their ends, since all are equally long. So those that have ended are the
    first ones, and they go when another begins: what is kept is what was used within the last minute.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: seconds that never go back."""
        self._clock = clock
        self._counts: OrderedDict[Limit, Count] = OrderedDict()

    def __len__(self) -> int:
        """How many windows are kept."""
        return len(self._counts)

    async def take(self, limits: Sequence[Limit]) -> tuple[bool, Sequence[Window]]:
        now = self._clock()
        free = all(self._used(limit, now) < limit.most for limit in limits)
        if free:
            for limit in limits:
                if limit.kind == "requests":
                    self._add(limit, 1, now)
        return free, self._windows(limits, now)

    async def look(self, limits: Sequence[Limit]) -> Sequence[Window]:
        return self._windows(limits, self._clock())

    async def add(self, limits: Sequence[Limit], amount: int) -> None:
        now = self._clock()
        for limit in limits:
            self._add(limit, amount, now)

    async def ping(self) -> None:
        pass

    @property
    def where(self) -> str:
        return "this process"

    async def aclose(self) -> None:
        pass

    def _used(self, limit: Limit, now: float) -> int:
        count = self._counts.get(limit)
        return 0 if count is None or count.ends <= now else count.used

    def _windows(self, limits: Sequence[Limit], now: float) -> list[Window]:
        return [self._window(limit, now) for limit in limits]

    def _window(self, limit: Limit, now: float) -> Window:
        count = self._counts.get(limit)
        if count is None or count.ends <= now:
            return window_of(limit, 0, 0.0)
        return window_of(limit, count.used, count.ends - now)

    def _add(self, limit: Limit, amount: int, now: float) -> None:
        count = self._counts.get(limit)
        if count is not None and now < count.ends:
            count.used += amount
            return
        while self._counts and next(iter(self._counts.values())).ends <= now:
            self._counts.popitem(last=False)
        self._counts[limit] = Count(amount, now + MINUTE)
