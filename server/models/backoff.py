"""How long to leave a failing thing alone: twice as long after each failure in a row, up to a limit."""

from collections.abc import Callable

FIRST = 5.0
LONGEST = 300.0
"""Seconds after the first failure, and at most."""


class Backoff:
    """Counts failures in a row, on the clock it is given.

    at_once: after how many of them there is no wait. longest: seconds of a wait at most.
    """

    def __init__(self, clock: Callable[[], float], *, at_once: int = 0, longest: float = LONGEST) -> None:
        self._clock = clock
        self._at_once = at_once
        self._longest = longest
        self._failures = 0
        self._until = clock()

    def failed(self) -> None:
        """Begin a wait, longer than the one before."""
        self._failures += 1
        counted = self._failures - self._at_once
        # The exponent is bounded: a float overflows after a thousand failures.
        wait = min(self._longest, FIRST * 2 ** min(counted - 1, 16)) if counted > 0 else 0.0
        self._until = self._clock() + wait

    def over(self) -> None:
        """It worked: the next failure is a first one again."""
        self._failures = 0
        self._until = self._clock()

    @property
    def remaining(self) -> float:
        """Seconds to wait still; 0 or less when it may be tried."""
        return self._until - self._clock()
