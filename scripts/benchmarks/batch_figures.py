"""What `scripts/bench batches` found, as tables for a document. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from scripts.benchmarks.batch_runs import Run
from scripts.benchmarks.figures import Spread, ratio

RULE = "|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Seen:
    """One round's chats. alone, beside: seconds until each first token. tokens: of the batch's answers a second, while
    chats were measured beside it."""

    alone: list[float]
    beside: list[float]
    tokens: float


def markdown(runs: Sequence[Run], seen: Sequence[Seen]) -> str:
    """Tables for a document: medians, ranges over the rounds, ratios round by round."""
    parts = []
    if runs:
        sides = {side: [one for one in runs if one.side == side] for side in dict.fromkeys(one.side for one in runs)}
        ours = [one.throughput for one in next(iter(sides.values()))]
        lines = [
            "| | answers, tok/s | the work, s | whole command, s | ours by it |",
            "|---|---|---|---|---|",
        ]
        for side, found in sides.items():
            speeds = [one.throughput for one in found]
            shown = [
                Spread.of(speeds).shown(),
                Spread.of(one.seconds for one in found).shown(),
                Spread.of(one.whole for one in found).shown(),
                ratio(ours, speeds).shown(3),
            ]
            lines.append(f"| {' | '.join([side, *shown])} |")
        parts.append("\n".join(lines))
    if seen:
        alone = [first for one in seen for first in one.alone]
        beside = [first for one in seen for first in one.beside]
        lines = [
            "| first token of a chat | alone, s | beside a batch, s | ratio | batch, tok/s |",
            "|---|---|---|---|---|",
        ]
        for name, value in (("median", median), ("99%", _p99)):
            by_round = ratio([value(one.beside) for one in seen], [value(one.alone) for one in seen])
            tokens = Spread.of(one.tokens for one in seen).shown(0)
            lines.append(
                f"| {name} | {value(alone):.3f} | {value(beside):.3f} | {value(beside) / value(alone):.2f}; by round "
                f"{by_round.shown(2)} | {tokens} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[-1]
