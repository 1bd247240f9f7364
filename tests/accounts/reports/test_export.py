"""Rows as JSON and CSV: exact amounts, and nothing that a spreadsheet would run."""

import csv
import io
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from server.accounts.reports.export import AT_ONCE, csv_lines, each, json_array, to_json

pytestmark = pytest.mark.anyio


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize(
    ("amount", "written"),
    [("1E-9", "0.000000001"), ("1000000000.123456789", "1000000000.123456789"), ("2E+3", "2000"), ("-0.50", "-0.5")],
)
async def test_amounts_are_json_numbers_with_all_their_digits(amount: str, written: str) -> None:
    assert to_json({"amount": Decimal(amount)}) == b'{"amount":' + written.encode() + b"}"
    assert json.loads(to_json([Decimal(amount)]), parse_float=Decimal) == [Decimal(amount)]


async def test_what_json_can_not_hold_is_a_bug() -> None:
    with pytest.raises(TypeError):
        to_json({"x": object()})


@pytest.mark.parametrize("rows", [0, 1, AT_ONCE, AT_ONCE + 1])
async def test_a_long_array_is_one_document(rows: int) -> None:
    data = [{"id": number} for number in range(rows)]
    assert json.loads(await whole(json_array(each(data)))) == data


async def test_csv_is_read_back_as_it_was() -> None:
    data: list[dict[str, Any]] = [
        {"name": 'Ann, "the" Müller', "amount": Decimal("-5.10"), "count": -3, "key": None},
        {"name": "two\nlines", "amount": Decimal("1E-9"), "count": 0, "key": "key_1"},
    ]
    text = (await whole(csv_lines(["name", "amount", "count", "key"], each(data)))).decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["name", "amount", "count", "key"],
        ['Ann, "the" Müller', "-5.1", "-3", ""],
        ["two\nlines", "0.000000001", "0", "key_1"],
    ]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "  =1", "\n=1"])
async def test_a_name_is_never_a_formula(name: str) -> None:
    text = (await whole(csv_lines(["name"], each([{"name": name}])))).decode()
    assert list(csv.reader(io.StringIO(text, newline="")))[1] == [f"'{name}"]
