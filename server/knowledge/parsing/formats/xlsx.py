"""Excel workbooks: a page for each sheet, under its name, a line for each row."""

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import openpyxl
from openpyxl.worksheet._reader import WorkSheetParser

from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.packed import Package
from server.knowledge.parsing.source import Source
from server.knowledge.parsing.tabular import put_rows

WIDEST = 1_000
"""Columns that keep their place; those on the right of them come one after the other."""


def parse(source: Source, outline: Outline) -> None:
    with Package(source):
        pass
    source.file.seek(0)
    # What a formula came to when the workbook was saved; the file is no place to calculate.
    workbook = openpyxl.load_workbook(source.file, read_only=True, data_only=True, keep_links=False)
    sheets = workbook.worksheets
    for number, sheet in enumerate(sheets, 1):
        outline.begin(number)
        outline.heading(1, sheet.title)
        put_rows(_rows(sheet), outline)
        source.progress(number, len(sheets))


def _rows(sheet: Any) -> Iterator[list[str]]:
    """The rows that are in the file. The sheet's own `iter_rows` makes up all those between, and all cells on the left:
    sixteen thousand million of them, for a file with a single one at the far end.
    """
    book = sheet.parent
    with sheet._get_source() as file:
        parser = WorkSheetParser(
            file,
            sheet._shared_strings,
            data_only=True,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        for _, cells in parser.parse():
            row: list[str] = []
            for cell in cells:
                if shown := _shown(cell["value"]):
                    missing = min(cell["column"], WIDEST) - 1 - len(row)
                    row.extend([""] * missing)
                    row.append(shown)
            if row:
                yield row


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes") if (value.hour, value.minute) != (0, 0) else value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
