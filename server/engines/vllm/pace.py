"""How long a step of an engine takes by its tokens, as it was lately, and how many tokens a step of some length has."""

from dataclasses import dataclass

FORGETS = 0.99
"""What a step counts for after each further one: the last hundred count."""
ENOUGH = 8
"""Steps after which there is a pace."""


@dataclass(slots=True)
class Pace:
    """A line through the steps seen, by least squares: seconds = base + each x tokens. Of both it is known that they
    are not negative."""

    _count: float = 0.0
    _tokens: float = 0.0
    _seconds: float = 0.0
    _squares: float = 0.0
    _products: float = 0.0

    def saw(self, tokens: int, seconds: float) -> None:
        self._count = self._count * FORGETS + 1
        self._tokens = self._tokens * FORGETS + tokens
        self._seconds = self._seconds * FORGETS + seconds
        self._squares = self._squares * FORGETS + tokens * tokens
        self._products = self._products * FORGETS + tokens * seconds

    def tokens(self, times: float) -> float | None:
        """How many make a step so many times as long as a step of hardly any. None while that is unknown: too few
        steps were seen, or all of one size."""
        if self._count < ENOUGH * 0.9:
            return None
        spread = self._squares - self._tokens**2 / self._count
        if spread < 1:
            return None
        each = (self._products - self._tokens * self._seconds / self._count) / spread
        base = (self._seconds - each * self._tokens) / self._count
        if each <= 0 or base <= 0:
            return None
        return (times - 1) * base / each
