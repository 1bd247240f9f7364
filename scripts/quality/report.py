"""What is shown and kept: a table on the screen, the same in Markdown, and all rows as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.benchmarks.report import keep
from scripts.quality.figures import Figures, as_dicts, by_kind, by_seed, figures, verdict
from scripts.quality.frame import Measure, Row

COLUMNS = ("mode", "n", "{unit}, % (95% CI)", "difference from {first}", "passes", "tokens", "seconds", "credits")


def columns(measure: Measure[Any], first: str) -> list[str]:
    return [column.format(unit=measure.UNIT, first=first) for column in COLUMNS]


def cells(one: Figures) -> list[str]:
    """A mode's line: percent and percentage points, means for each item, and the median of the seconds."""
    return [
        one.mode,
        str(one.n),
        one.score.shown(),
        "" if one.difference is None else one.difference.shown(signed=True),
        f"{one.passes:.1f}",
        f"{one.tokens:.0f}",
        f"{one.seconds:.2f}",
        f"{one.credits:.3g}",
    ]


def verdicts(measure: Measure[Any], by_mode: Sequence[Figures]) -> list[str]:
    """A line for each mode after the first: against the first and against the one before it."""
    lines = []
    for place, one in enumerate(by_mode[1:], start=1):
        assert one.difference is not None
        assert one.step is not None
        line = f"{one.mode} against {by_mode[0].mode}: {_verdict(measure, one.difference)}"
        if place > 1:
            step = f"{_verdict(measure, one.step)} ({one.step.shown(signed=True)})"
            line += f"; against {by_mode[place - 1].mode}: {step}"
        lines.append(line)
    return lines


def _verdict(measure: Measure[Any], difference: Any) -> str:
    return verdict(difference, higher_is_better=measure.HIGHER_IS_BETTER)


def failures(by_mode: Sequence[Figures]) -> str | None:
    failed = {one.mode: one.failed for one in by_mode if one.failed}
    return f"Failed requests, counted as the worst score: {failed}" if failed else None


def markdown(measure: Measure[Any], rows: Sequence[Row], modes: Sequence[str]) -> str:
    """The modes' table, the verdicts, and tables of the scores by kind of item and by seed."""
    by_mode = figures(rows, modes)
    lines = [_line(columns(measure, modes[0])), _line(["---"] * len(COLUMNS)), *(_line(cells(one)) for one in by_mode)]
    lines += ["", *(f"- {line}" for line in verdicts(measure, by_mode))]
    if failed := failures(by_mode):
        lines += [f"- {failed}"]
    for name, groups in groupings(rows, modes).items():
        lines += ["", _line([name, "n", *modes]), _line(["---"] * (len(modes) + 2))]
        lines += [_line(group_cells(group, of)) for group, of in groups.items()]
    return "\n".join(lines) + "\n"


def groupings(rows: Sequence[Row], modes: Sequence[str]) -> dict[str, Mapping[Any, list[Figures]]]:
    """The figures by kind and by seed; a grouping of one group is left out."""
    found: dict[str, Mapping[Any, list[Figures]]] = {"kind": by_kind(rows, modes), "seed": by_seed(rows, modes)}
    return {name: groups for name, groups in found.items() if len(groups) > 1}


def group_cells(group: object, of: Sequence[Figures]) -> list[str]:
    """A group's line: how many items, and each mode's score in percent."""
    return [str(group), str(of[0].n), *(f"{100 * one.score.mean:.1f}" for one in of)]


def _line(words: Sequence[str]) -> str:
    return f"| {' | '.join(words)} |"


def show(measure: Measure[Any], rows: Sequence[Row], modes: Sequence[str], console: Console) -> None:
    by_mode = figures(rows, modes)
    table = Table(*columns(measure, modes[0]), title=measure.NAME, title_justify="left")
    for one in by_mode:
        table.add_row(*cells(one))
    console.print(table)
    for name, groups in groupings(rows, modes).items():
        table = Table(name, "n", *modes)
        for group, of in groups.items():
            table.add_row(*group_cells(group, of))
        console.print(table)
    for line in [*verdicts(measure, by_mode), *filter(None, [failures(by_mode)])]:
        console.print(line)


def keep_all(
    file: Path, measure: Measure[Any], rows: Sequence[Row], modes: Sequence[str], facts: Mapping[str, Any]
) -> None:
    """Figures, figures by kind, and every row with its detail."""
    kept = [{"item": asdict(row.item), "mode": row.mode, **asdict(row.outcome)} for row in rows]
    summary = {
        "unit": measure.UNIT,
        "higher_is_better": measure.HIGHER_IS_BETTER,
        "figures": as_dicts(figures(rows, modes)),
        "by_kind": {kind: as_dicts(of) for kind, of in by_kind(rows, modes).items()},
        "by_seed": {str(seed): as_dicts(of) for seed, of in by_seed(rows, modes).items()},
    }
    keep(file, f"quality of {measure.NAME}", {**facts, **summary, "rows": kept})
