"""How long to leave a failing thing alone: twice as long after each failure in a row, up to a limit."""

from collections.abc import Callable

FIRST = 5.0
LONGEST = 300.0
"""Seconds after the first failure, and at most."""


class Backoff:
    """Counts failures in a row, on the clock it is given."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._until = clock()

    def failed(self) -> None:
        """Begin a wait, longer than the one before."""
        # The exponent is bounded: a float overflows after a thousand failures.
        self._until = self._clock() + min(LONGEST, FIRST * 2 ** min(self._failures, 16))
        self._failures += 1

    def over(self) -> None:
        """It worked: the next failure is a first one again."""
        self._failures = 0
        self._until = self._clock()

    @property
    def remaining(self) -> float:
        """Seconds to wait still; 0 or less when it may be tried."""
        return self._until - self._clock()
