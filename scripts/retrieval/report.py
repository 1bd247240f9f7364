"""What is shown and kept of a measurement: tables on the screen, the same in Markdown, and rows as JSON."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from scripts.quality.figures import verdict
from scripts.retrieval.measures import Compared


def show(title: str, measured: Mapping[str, Compared], console: Console) -> None:
    """A line for each way, a column for each measure; then the differences, each with its verdict."""
    table = Table(title=title)
    for column in ("", *measured):
        table.add_column(column)
    for row in rows(measured):
        table.add_row(*row)
    console.print(table)
    for line in differences(measured):
        console.print(line, markup=False, highlight=False)


def markdown(measured: Mapping[str, Compared]) -> str:
    lines = [_line(["", *measured]), _line(["---"] * (len(measured) + 1)), *(_line(row) for row in rows(measured))]
    return "\n".join([*lines, "", *(f"- {line}" for line in differences(measured))]) + "\n"


def rows(measured: Mapping[str, Compared]) -> list[list[str]]:
    """Percent, with intervals."""
    ways = next(iter(measured.values())).means
    return [[way, *(one.means[way].shown() for one in measured.values())] for way in ways]


def differences(measured: Mapping[str, Compared]) -> list[str]:
    return [
        f"{name}, {a} against {b}: {difference.shown(signed=True)}: {verdict(difference, higher_is_better=True)}"
        for name, one in measured.items()
        for (a, b), difference in one.differences.items()
    ]


def _line(words: Sequence[str]) -> str:
    return f"| {' | '.join(words)} |"
