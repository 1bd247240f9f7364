"""What `scripts/bench media` found, as rows and as a table for a document. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from scripts.benchmarks.figures import Spread, ratio
from scripts.benchmarks.load import DISTURBED
from scripts.benchmarks.media_goals import BESIDE, COMPARISONS, OURS, Comparison, Goal


@dataclass(frozen=True, slots=True)
class Sample:
    """One side's work in one round. seconds: by measure. others: share of the machine that others took, 0–1.

    wrong: word error rate of what was heard, where something was.
    """

    work: str
    side: str
    round: int
    seconds: Mapping[str, float]
    others: float
    wrong: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ours, older, theirs: seconds of this server, of the one beside it, and of the library called
    directly; ratio, older_ratio: by round, of this server and of the one beside it."""

    name: str
    label: str
    ours: Spread
    older: Spread | None
    theirs: Spread | None
    ratio: Spread
    older_ratio: Spread | None
    goal: Goal | None
    verdict: str


def rows(samples: Sequence[Sample], goals: Mapping[str, Goal]) -> list[Row]:
    """A row for each comparison of which both sides were measured, in the order of COMPARISONS."""
    taken: dict[tuple[str, str], list[float]] = {}
    for sample in samples:
        for measure, seconds in sample.seconds.items():
            taken.setdefault((measure, sample.side), []).append(seconds)
    return [
        _row(comparison, taken, goals.get(comparison.name))
        for comparison in COMPARISONS
        if comparison.above in taken and comparison.below in taken
    ]


def _row(comparison: Comparison, taken: Mapping[tuple[str, str], list[float]], goal: Goal | None) -> Row:
    gain = _by_round(comparison.above, comparison.below, taken)
    # What our own side is compared with is another's, but for two measures of our own.
    ends = (comparison.above, comparison.below)
    mine = comparison.below if comparison.below[1] == OURS and comparison.above[1] != OURS else comparison.above
    theirs = next((end for end in ends if end[1] not in (OURS, BESIDE)), None)
    older_ends = [(measure, BESIDE if side == OURS else side) for measure, side in ends]
    compared = BESIDE not in (comparison.above[1], comparison.below[1]) and all(end in taken for end in older_ends)
    older = (mine[0], BESIDE)
    return Row(
        comparison.name,
        comparison.label,
        Spread.of(taken[mine]),
        Spread.of(taken[older]) if older in taken else None,
        Spread.of(taken[theirs]) if theirs else None,
        gain,
        _by_round(older_ends[0], older_ends[1], taken) if compared else None,
        goal,
        goal.verdict(gain.median) if goal else "",
    )


def _by_round(above: tuple[str, str], below: tuple[str, str], taken: Mapping[tuple[str, str], list[float]]) -> Spread:
    """Of the rounds that both were measured in: the first ones, where one of them is measured in fewer."""
    count = min(len(taken[above]), len(taken[below]))
    return ratio(taken[above][:count], taken[below][:count])


def markdown(found: Sequence[Row], samples: Sequence[Sample], facts: Mapping[str, Any]) -> str:
    """The tables. Seconds and ratios are medians, with the range over the rounds in brackets."""
    older = any(row.older for row in found)
    head = ["", "this server, s", *(["beside it, s"] if older else []), "called directly, s", "ratio by round"]
    head += [*(["ratio of the one beside"] if older else []), "aim", ""]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in found:
        cells = [row.label, row.ours.shown(3), *([_shown(row.older, 3)] if older else []), _shown(row.theirs, 3)]
        cells += [row.ratio.shown(2), *([_shown(row.older_ratio, 2)] if older else [])]
        cells += [str(row.goal or ""), row.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    parts = [
        'Ratios are how many times as fast this server is, but for those that say "its time by".',
        "\n".join(lines),
        *_words(samples),
        *_others(samples),
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _shown(spread: Spread | None, digits: int) -> str:
    return spread.shown(digits) if spread else ""


def _words(samples: Sequence[Sample]) -> list[str]:
    """The word error rates of what was heard, by work and side."""
    wrong: dict[str, dict[str, list[float]]] = {}
    for sample in samples:
        if sample.wrong is not None:
            wrong.setdefault(sample.work, {}).setdefault(sample.side, []).append(sample.wrong)
    if not wrong:
        return []
    sides = list(dict.fromkeys(side for found in wrong.values() for side in found))
    lines = [f"| words heard wrong, mean of the rounds | {' | '.join(sides)} |", "|---" * (len(sides) + 1) + "|"]
    for work, found in wrong.items():
        cells = [f"{mean(found[side]):.1%}" if side in found else "" for side in sides]
        lines.append(f"| {work} | {' | '.join(cells)} |")
    return ["\n".join(lines)]


def _others(samples: Sequence[Sample]) -> list[str]:
    disturbed = sum(sample.others > DISTURBED for sample in samples)
    return [f"Others took more than {DISTURBED:.0%} of the machine in {disturbed} of {len(samples)} measurements."]


def as_dicts(found: Sequence[Row]) -> list[dict[str, Any]]:
    return [{**asdict(row), "goal": str(row.goal) if row.goal else None} for row in found]
