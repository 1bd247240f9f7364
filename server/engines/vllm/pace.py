"""How long a step of an engine takes by its tokens, as it was lately, and how many tokens a step of some length has."""

from dataclasses import dataclass

FORGETS = 0.99
"""What a step counts for after each further one: the last hundred count."""
ENOUGH = 8
"""Steps after which there is a pace."""
LATELY = 0.7
"""What the cost of a further token counts for after each further step of many: the last three or four steps count."""


@dataclass(slots=True)
class Pace:
    """A line through the steps seen, by least squares: seconds = base + each x tokens. Of both it is known that they
    are not negative."""

    _count: float = 0.0
    _tokens: float = 0.0
    _seconds: float = 0.0
    _squares: float = 0.0
    _products: float = 0.0
    _each: float | None = None
    """Seconds of a further token, by the last steps of many."""

    def saw(self, tokens: int, seconds: float) -> None:
        self._count = self._count * FORGETS + 1
        self._tokens = self._tokens * FORGETS + tokens
        self._seconds = self._seconds * FORGETS + seconds
        self._squares = self._squares * FORGETS + tokens * tokens
        self._products = self._products * FORGETS + tokens * seconds
        if (line := self._line()) is not None:
            base, each = line
            if tokens * (self._each or each) >= base / 4:  # of a step of few, most is the base
                now = min(max((seconds - base) / tokens, each / 4), 4 * each)
                self._each = now if self._each is None else LATELY * self._each + (1 - LATELY) * now

    def tokens(self, times: float) -> float | None:
        """How many make a step so many times as long as a step of hardly any. None while that is unknown: too few
        steps were seen, or all of one size."""
        if (line := self._line()) is None:
            return None
        base, each = line
        return (times - 1) * base / each

    def tokens_of_a_prompt(self, times: float) -> float | None:
        """The same, by the last steps of many. A token far into a long prompt looks at all before it, and takes several
        times as long as one at its beginning; a hundred steps later the prompt is read."""
        if (line := self._line()) is None:
            return None
        base, each = line
        return (times - 1) * base / (each if self._each is None else self._each)

    def _line(self) -> tuple[float, float] | None:
        """Seconds of a step of hardly any tokens, and of each further one."""
        if self._count < ENOUGH * 0.9:
            return None
        spread = self._squares - self._tokens**2 / self._count
        if spread < 1:
            return None
        each = (self._products - self._tokens * self._seconds / self._count) / spread
        base = (self._seconds - each * self._tokens) / self._count
        return (base, each) if each > 0 and base > 0 else None
