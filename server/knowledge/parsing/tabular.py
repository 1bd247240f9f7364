"""Rows to text: each row says what its cells are, so that it can be found and understood by itself."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain, islice

from server.knowledge.parsing import clean
from server.knowledge.parsing.outline import Outline

SAMPLE = 20
"""Rows that are looked at to tell whether the first one names the columns."""
TOGETHER = 4_000
"""Characters of rows in a block."""
LONGEST_NAME = 60
_NUMBER = re.compile(r"[-+(]?[\d.,:/ %€$£-]*\d[\d.,:/ %€$£)-]*")


def put_rows(rows: Iterable[Sequence[str]], outline: Outline, *, headed: bool | None = None) -> None:
    """A line for each row: `Name: Ada; Role: engineer` where the first row names the columns, `Ada\tengineer` where
    none does. Empty rows are left out. headed: whether it does; None to judge by what it looks like.
    """
    filled = (row for row in ([clean.line(cell) if cell else cell for cell in row] for row in rows) if any(row))
    sample = list(islice(filled, SAMPLE))
    if headed is None and any(sum(map(bool, row)) > 1 for row in sample):
        while sum(map(bool, sample[0])) == 1:  # the table's title, above its names
            outline.text("".join(sample.pop(0)))
    if not sample:
        return
    if headed is None:
        headed = _headed(sample)
    names = sample.pop(0) if headed and len(sample) > 1 else None
    lines: list[str] = []
    size = 0
    for row in chain(sample, filled):
        line = _line(row, names)
        if size + len(line) > TOGETHER and lines:
            outline.text("\n".join(lines), lines=True)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    outline.text("\n".join(lines), lines=True)


def put_table(rows: Sequence[Sequence[str]], outline: Outline, *, headed: bool | None = None) -> None:
    """A table within a text: one of two columns is often names and their values, `Country: France`."""
    if headed is None and rows and max(map(len, rows)) == 2:
        outline.text("\n".join(": ".join(filter(None, map(clean.line, row))) for row in rows), lines=True)
    else:
        put_rows(rows, outline, headed=headed)


def _line(row: Sequence[str], names: Sequence[str] | None) -> str:
    if names is None:
        return "\t".join(row).rstrip()
    named = ((names[i] if i < len(names) else "", cell) for i, cell in enumerate(row) if cell)
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in named)


def _headed(rows: Sequence[Sequence[str]]) -> bool:
    first = [cell for cell in rows[0] if cell]
    return (
        len(rows) > 1
        and len(first) >= 2
        and len(set(first)) == len(first)
        and all(len(cell) <= LONGEST_NAME and not _NUMBER.fullmatch(cell) for cell in first)
        and len(first) * 2 > max(map(len, rows[1:]))
    )
