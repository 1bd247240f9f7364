"""What a client saw and what the server spent, as figures of one round; and of many rounds, side by side. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

from scripts.benchmarks.figures import Spread, ratio

RATE, PROCESSOR, FIRST, FIRST_P99 = "rate", "processor", "first", "first_p99"
WHOLE, WHOLE_P99, GAP, GAP_P99, STEADY, BEHIND = "whole", "whole_p99", "gap_max", "gap_p99", "steady_gap_max", "behind"
LOST, CLIENT, STALL, WAITED, OTHERS = "lost", "client", "client_stall", "waited", "others"

WIDE = 140
"""Characters that a table takes at least: it has three columns of ranges."""

PLAIN: Mapping[str, str] = {
    RATE: "requests/s",
    PROCESSOR: "server's processor time a request, µs",
    WHOLE: "answered after, median, ms",
    WHOLE_P99: "answered after, p99, ms",
    CLIENT: "client's processor, % of a core",
    WAITED: "server waited for a core, % of the time",
    OTHERS: "others, % of the machine",
}
STREAMS: Mapping[str, str] = {
    RATE: "chunks/s",
    PROCESSOR: "server's processor time a chunk, µs",
    FIRST: "first text after, median, ms",
    FIRST_P99: "first text after, p99, ms",
    LOST: "chunks lost",
    CLIENT: "client's processor, % of a core",
    WAITED: "server waited for a core, % of the time",
    OTHERS: "others, % of the machine",
}
PACED: Mapping[str, str] = {
    GAP_P99: "99% of gaps below, ms",
    GAP: "largest gap, ms",
    STEADY: "largest gap while all streamed, ms",
    BEHIND: "furthest behind the pace, ms",
    STALL: "longest stall of the client itself, ms",
    **STREAMS,
}
RATIOS = (RATE, PROCESSOR, FIRST, FIRST_P99, WHOLE, WHOLE_P99, GAP_P99, GAP, STEADY)
"""What is divided round by round; the others tell whether a round can be trusted."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Milliseconds in which a stream brought nothing. steady: the largest while all streams were under way, or of all
    where they never were at the same time.
    """

    p99: float
    largest: float
    steady: float

    @classmethod
    def of(cls, waits: Sequence[tuple[float, float]], begun: float, ended: float) -> "Gaps":
        """waits: when each read came, and how long after the stream's read before, in seconds; two or more. The streams
        were all under way from `begun` to `ended`.

        A stream that brings chunks at 0, at 20 and, two at once, at 60 ms has the gaps 20 and 40 ms. Between the two
        there is none: a stream that stood still and then brings all at once must not look quicker for it.
        """
        gaps = [wait for _, wait in waits]
        spread = quantiles(gaps, n=100, method="inclusive")
        largest = max(gaps)
        steady = max((wait for at, wait in waits if begun < at - wait and at <= ended), default=largest)
        return cls(1000 * spread[-1], 1000 * largest, 1000 * steady)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client saw of one load. seconds: from the first request to the last answer's end; processor: the
    client's own processor seconds; times in milliseconds. Of paced streams only: gaps; behind, how much longer than its
    tokens' time the slowest answer took; stall, how long the client itself stood still at most.
    """

    seconds: float
    processor: float
    answers: int
    chunks: int
    lost: int
    first: float
    first_p99: float
    whole: float
    whole_p99: float
    gaps: Gaps | None = None
    behind: float = 0.0
    stall: float = 0.0

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "Seen":
        """From what `asdict` made of it."""
        gaps = fields["gaps"]
        return cls(**{**fields, "gaps": gaps and Gaps(**gaps)})

    def figures(self, served: float, waited: float, others: float) -> dict[str, float]:
        """served: the server's processor seconds. waited: seconds in which its event loop could have worked and had no
        core. others: share of the machine's processor time that neither server nor client took.
        """
        units = self.chunks or self.answers
        figures = {
            RATE: units / self.seconds,
            PROCESSOR: 1e6 * served / units,
            WHOLE: self.whole,
            WHOLE_P99: self.whole_p99,
            FIRST: self.first,
            FIRST_P99: self.first_p99,
            LOST: float(self.lost),
            CLIENT: 100 * self.processor / self.seconds,
            WAITED: 100 * waited / self.seconds,
            OTHERS: 100 * others,
            BEHIND: self.behind,
            STALL: self.stall,
        }
        if self.gaps is not None:
            figures |= {GAP_P99: self.gaps.p99, GAP: self.gaps.largest, STEADY: self.gaps.steady}
        return figures


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one side under one load, with or without keys."""

    side: str
    auth: str
    case: str
    round: int
    figures: Mapping[str, float]


def column(samples: Iterable[Sample], side: str, auth: str, case: str, figure: str) -> list[float]:
    """A figure of every round, in the order of the rounds."""
    found = [one for one in samples if (one.side, one.auth, one.case) == (side, auth, case)]
    return [one.figures[figure] for one in sorted(found, key=lambda one: one.round)]


def gain(samples: Sequence[Sample], sides: Sequence[str], auth: str, case: str, figure: str) -> Spread | None:
    """The first side's figure divided by the second's, round by round; None where that would say nothing."""
    if len(sides) < 2 or figure not in RATIOS:
        return None
    ours, theirs = (column(samples, side, auth, case, figure) for side in sides[:2])
    return ratio(ours, theirs) if all(theirs) else None


def summary(samples: Sequence[Sample], sides: Sequence[str], labels: Mapping[str, Sequence[str]]) -> list[Any]:
    """For each load, with and without keys, and each figure that `labels` names for it: spreads and ratios."""
    rows = []
    for auth, case in dict.fromkeys((one.auth, one.case) for one in samples):
        for figure in labels[case]:
            spreads = {side: Spread.of(column(samples, side, auth, case, figure)).as_dict() for side in sides}
            divided = gain(samples, sides, auth, case, figure)
            rows.append(
                {"auth": auth, "case": case, "figure": figure, "sides": spreads}
                | ({"ratio": divided.as_dict()} if divided else {})
            )
    return rows


def as_dicts(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    return [asdict(sample) for sample in samples]
