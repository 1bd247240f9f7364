"""Which line of a batch is begun next, and what becomes of one that broke something."""

from collections import deque
from collections.abc import Callable, Collection, Iterable

AMONG_OTHERS = 3
"""Tries of a line at which an engine failed, beside other lines. Which of them it was is not known."""
ALONE = 3
"""More tries of it, while nothing else of the batch is under way."""


class Pending:
    """Lines that are to be begun, in the file's order for each model. No clock and no effects.

    A line at which an engine failed goes behind all others, so that it meets others the next time; one that has met
    that often is tried by itself, when all others are done; and one that fails then as well is given up. So a line that
    kills engines kills six, and takes nobody with it.
    """

    def __init__(self, lines: Iterable[tuple[int, str]]) -> None:
        """lines: number and model of each."""
        self._waiting: dict[str, deque[int]] = {}
        for number, model in lines:
            self._waiting.setdefault(model, deque()).append(number)
        self._alone: deque[int] = deque()
        self._failures: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values())) + len(self._alone)

    @property
    def models(self) -> Collection[str]:
        """Of lines that may run beside others."""
        return [model for model, lines in self._waiting.items() if lines]

    def take(self, room: Callable[[str, int], bool]) -> int | None:
        """The next line that runs beside others. room: whether there is some for a model, and a line of it."""
        heads = [(lines[0], model) for model, lines in self._waiting.items() if lines]
        for line, model in sorted(heads):
            if room(model, line):
                return self._waiting[model].popleft()
        return None

    def alone(self) -> int | None:
        """The next line that is to run by itself, once all others are done."""
        return self._alone[0] if self._alone and not self.models else None

    def take_alone(self) -> None:
        self._alone.popleft()

    def put_back(self, line: int, model: str) -> None:
        """It was not its fault: it is begun again before the others."""
        if self._failures.get(line, 0) >= AMONG_OTHERS:
            self._alone.appendleft(line)
        else:
            self._waiting.setdefault(model, deque()).appendleft(line)

    def failed(self, line: int, model: str) -> bool:
        """An engine failed at it. Whether it is tried once more."""
        count = self._failures[line] = self._failures.get(line, 0) + 1
        if count < AMONG_OTHERS:
            self._waiting.setdefault(model, deque()).append(line)
        elif count < AMONG_OTHERS + ALONE:
            self._alone.append(line)
        else:
            return False
        return True
