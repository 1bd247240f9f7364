"""Excel workbooks: a page for each sheet, under its name, a line for each row."""

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import openpyxl

from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.packed import Package
from server.knowledge.parsing.source import Source
from server.knowledge.parsing.tabular import put_rows


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
        sheet.reset_dimensions()  # what the file says of its size is not to be believed
        put_rows(_rows(sheet), outline)
        source.progress(number, len(sheets))


def _rows(sheet: Any) -> Iterator[list[str]]:
    for row in sheet.iter_rows(values_only=True):
        cells = [_shown(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield cells


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
