"""Whether others want the cores that this process's threads compute on."""

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

TASKS = Path("/proc/self/task")
LEAST = 10_000_000
"""Nanoseconds on a core from which on a thread has computed."""
COMPUTES = 0.1
"""Share of the time since the last look for which a thread had a core, of those that count."""
TOO_MUCH, CALM = 0.25, 0.15
"""Share of its time that a thread waits for a core, smoothed: others want it, or nobody does. Alone on two cores, 16
chats make 0.05 to 0.13; one busy process beside them 0.25 to 0.5."""
NEWEST = 0.35
"""Weight of the newest look."""
REST, LONGEST_REST = 1.0, 16.0
"""Seconds of calm before it is believed: at first, and where it ended in less than twice as long again and again."""


def is_told() -> bool:
    """Whether the kernel counts how long threads wait for a core (CONFIG_SCHED_INFO)."""
    try:
        ran, _, _ = map(int, Path("/proc/self/schedstat").read_text().split())
    except (OSError, ValueError):
        return False
    return ran > 0


class Waits:
    """How long this process's threads wait for cores."""

    def __init__(self) -> None:
        self._last = self._read()
        self._ran = time.process_time()

    def look(self) -> float | None:
        """Since the last look: of the threads that computed, the largest share of its time that one waited for a core,
        0–1. None where none computed."""
        ran = time.process_time()
        # Reading takes 20 µs for each thread, by which an idle process would seem busy.
        if ran - self._ran < LEAST / 1e9:
            return None
        self._ran = ran
        before, self._last = self._last, self._read()
        changes = [
            (ran - before[thread][0], waited - before[thread][1])
            for thread, (ran, waited) in self._last.items()
            if thread in before
        ]
        most = max((ran for ran, _ in changes), default=0)
        shares = [waited / (ran + waited) for ran, waited in changes if ran > COMPUTES * most and ran > LEAST]
        return max(shares, default=None)

    @staticmethod
    def _read() -> Mapping[str, tuple[int, int]]:
        """By thread: nanoseconds that it ran and that it waited (Linux, Documentation/scheduler/sched-stats.rst)."""
        found = {}
        for task in TASKS.iterdir():
            with suppress(OSError, ValueError):  # it has ended
                ran, waited, _ = map(int, (task / "schedstat").read_text().split())
                found[task.name] = ran, waited
        return found


class Judge:
    """Remembers whether others want the cores."""

    def __init__(self) -> None:
        self._contended = False
        self._level = 0.0
        self._rest = REST
        self._calm_since: float | None = None
        self._freed = -LONGEST_REST

    def contended(self, share: float, now: float) -> bool:
        """share: as `Waits.look` tells. now: seconds, by a clock that never goes back."""
        self._level += NEWEST * (share - self._level)
        if not self._contended:
            if self._level > TOO_MUCH:
                again = now - self._freed < 2 * self._rest
                self._rest = min(2 * self._rest, LONGEST_REST) if again else REST
                self._contended, self._calm_since = True, None
        elif self._level > CALM:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= self._rest:
            self._contended, self._freed = False, now
        return self._contended
