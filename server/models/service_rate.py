"""How much work a model gets done while others wait for it: what an estimate of a wait is made of."""

from math import exp, inf

MEMORY = 60.0
"""Seconds after which a measurement counts for a third."""
ENOUGH = 8
"""Requests that must have ended before there is a rate: the first ones say how long a request is, not how many end."""


class ServiceRate:
    """Work a second, from the requests that end while others wait. What ends in idle times tells of the callers, not of
    the model. Moments are given, in seconds of one clock."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._seconds = 0.0
        self._work = 0.0
        self._ended = 0

    @property
    def rate(self) -> float | None:
        """Work a second; None while it is unknown."""
        return self._work / self._seconds if self._ended >= ENOUGH and 0 < self._seconds < inf else None

    def waits(self, at: float) -> None:
        """Somebody waits for a model that is there. Without that moment, 28 requests that end together would be the
        work of no time."""
        if self._since is None:
            self._since = at

    def ended(self, work: float, at: float) -> None:
        """A request of this much work has ended, or has been given up, while others wait."""
        if self._since is None:
            self._since = at
            return
        passed = max(0.0, at - self._since)
        kept = exp(-passed / MEMORY)
        self._since = at
        self._seconds = self._seconds * kept + passed
        self._work = self._work * kept + work
        self._ended += 1

    def idle(self) -> None:
        """Nobody waits any more, or the model is not there."""
        self._since = None
