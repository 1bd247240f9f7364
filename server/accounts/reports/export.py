"""Rows as JSON and as CSV, for the admin API and the command line. Amounts never pass through a float."""

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from server.core.money import show

Row = Mapping[str, Any]
AT_ONCE = 500
"""Rows in a piece of a streamed answer."""


def to_json(data: Any) -> bytes:
    """JSON in which a Decimal is a number with all its digits: 0.000000001, not 1e-9. Instants are ISO 8601 in UTC.

    A parser that reads numbers into floats keeps 15 digits of them; one that reads decimals keeps all.
    """
    return orjson.dumps(data, default=_exact)


def _exact(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(show(value))
    raise TypeError


async def json_array(rows: AsyncIterator[Row]) -> AsyncGenerator[bytes, None]:
    """A JSON array of the rows, in pieces."""
    before = b"["
    async for batch in _batches(rows):
        yield before + b",".join([to_json(row) for row in batch])
        before = b","
    yield b"[]" if before == b"[" else b"]"


async def csv_lines(columns: Sequence[str], rows: AsyncIterator[Row]) -> AsyncGenerator[bytes, None]:
    """CSV (RFC 4180, UTF-8) with a header, in pieces. A None is an empty cell."""
    yield _lines([columns])
    async for batch in _batches(rows):
        yield _lines([[_cell(row[column]) for column in columns] for row in batch])


async def each(rows: Sequence[Row]) -> AsyncIterator[Row]:
    """Rows that are all there already."""
    for row in rows:
        yield row


def _lines(cells: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(cells)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return show(value)
        case datetime():
            return value.isoformat()
        case str():
            # A spreadsheet would run it as a formula (OWASP, CSV injection); numbers are ours and may be negative.
            harmful = value[:1] in ("\t", "\r", "\n") or value.lstrip()[:1] in ("=", "+", "-", "@")
            return f"'{value}" if value and harmful else value
        case _:
            return str(value)


async def _batches(rows: AsyncIterator[Row]) -> AsyncGenerator[list[Row], None]:
    batch: list[Row] = []
    async for row in rows:
        batch.append(row)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
