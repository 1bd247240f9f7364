"""What a check is, what it measures, and when that is good enough. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Status(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # this machine can't show it: no GPU, a model that is not installed
    NOT_RUN = "not run"  # the time was over before its turn


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. Numbers may have bounds, `least` and `most`, both allowed; text may have to be `wanted`.

    Without any of the three it is shown and decides nothing.
    """

    name: str
    value: float | str
    unit: str = ""
    least: float | None = None
    most: float | None = None
    wanted: str | None = None

    @property
    def missed(self) -> str | None:
        """What is wrong with it, or None. Text where a number is bounded is wrong, and so is NaN."""
        if self.wanted is not None and self.value != self.wanted:
            return f"{self.name}: {self.value}, not {self.wanted}"
        if self.least is None and self.most is None:
            return None
        if isinstance(self.value, str):
            return f"{self.name}: {self.value}, where a number is expected"
        if self.least is not None and not self.value >= self.least:
            return f"{self.name}: {self.shown}, expected at least {plain(self.least)}"
        if self.most is not None and not self.value <= self.most:
            return f"{self.name}: {self.shown}, expected at most {plain(self.most)}"
        return None

    @property
    def shown(self) -> str:
        """The value for people, with its unit."""
        value = self.value if isinstance(self.value, str) else plain(self.value)
        return f"{value} {self.unit}".strip()

    @property
    def bounds(self) -> str:
        """What is expected, for people; empty where nothing is."""
        if self.wanted is not None:
            return self.wanted
        parts = [f"≥ {plain(self.least)}"] if self.least is not None else []
        return ", ".join([*parts, f"≤ {plain(self.most)}"] if self.most is not None else parts)


def plain(value: float) -> str:
    """Three significant digits, and no exponent: 0.953, 12.3, 8190."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a check. reason: why it did not pass. notes: what else is worth reading. seconds: it took."""

    name: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError if it is no outcome."""
        return cls(
            name=str(data["name"]),
            status=Status(data["status"]),
            reason=str(data["reason"]),
            seconds=float(data["seconds"]),
            figures=tuple(Figure(**figure) for figure in data["figures"]),
            notes=tuple(map(str, data["notes"])),
        )


@dataclass(slots=True)
class Findings:
    """What a check fills in as it goes, so that what one has found by then is kept when it breaks off."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def tell(
        self,
        name: str,
        value: float | str,
        unit: str = "",
        *,
        least: float | None = None,
        most: float | None = None,
        wanted: str | None = None,
    ) -> None:
        self.figures.append(Figure(name, value, unit, least, most, wanted))

    def note(self, text: str) -> None:
        self.notes.append(text)


def judge(name: str, figures: Sequence[Figure], seconds: float, notes: Sequence[str] = ()) -> Outcome:
    """The outcome of a check that ran to its end: passed if no figure misses what is expected of it.

    A check that measured nothing has shown nothing, and fails.
    """
    missed = [figure.missed for figure in figures if figure.missed is not None]
    if not figures:
        missed = ["nothing was measured"]
    status = Status.FAILED if missed else Status.PASSED
    return Outcome(name, status, "; ".join(missed), seconds, tuple(figures), tuple(notes))


class Skip(Exception):
    """Raised by a check that can't be made on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to be shown.

    program: `module:function` in scripts/acceptance; called with a Setting and Findings, in a process of its own.
    stand: the servers that must be up for it, see stands.py. limit: seconds it may take, the stand's start not counted.
    ends_stand: the stand is not to be used after it.
    """

    name: str
    title: str
    expected: str
    program: str
    limit: float
    stand: str | None = None
    needs_gpu: bool = False
    ends_stand: bool = False
