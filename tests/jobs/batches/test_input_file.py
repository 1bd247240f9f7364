"""An input file is looked through once: what is wrong is said by line, and what is right can be read again."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from server.errors import InvalidRequest
from server.jobs.batches.input_file import InputFile, Scan
from server.jobs.batches.records import LineError
from tests.jobs.batches.harness import CHAT, line, lines_of, rules

pytestmark = pytest.mark.anyio


async def scanned(
    folder: Path, data: bytes, *, known: bool = False, **changes: Any
) -> tuple[InputFile, list[LineError]]:
    path = folder / "input.jsonl"
    path.write_bytes(data)
    scan = Scan(path, rules(**changes), known=known)
    return await scan.run(), scan.errors


async def test_lines_are_read_where_they_lie(tmp_path: Path) -> None:
    rows = [line("a", n=1), line("é", n=2, model="b"), line("c", n=3, model="m:ultra")]
    data = b"\xef\xbb\xbf" + b"\r\n".join(map(orjson.dumps, rows[:2])) + b"\n\n  \n" + orjson.dumps(rows[2])
    source, errors = await scanned(tmp_path, data)
    with source:
        assert errors == []
        assert source.total == 3
        assert list(source.requests()) == [(1, "m"), (2, "b"), (5, "m")]
        assert source.names == {"m", "b", "m:ultra"}
        found = [source.read(number) for number, _ in source.requests()]
        assert [one.custom_id for one in found] == ["a", "é", "c"]
        assert [orjson.loads(one.body) for one in found] == [row["body"] for row in rows]
        assert {one.endpoint for one in found} == {CHAT}
        assert sum(source.size(number) for number in range(1, 6)) == len(data)


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in line("c1").items() if name != field}


@pytest.mark.parametrize(
    ("row", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"[1]", "invalid_json_line", None),
        (b"\xff", "invalid_json_line", None),
        (b'{"custom_id": NaN}', "invalid_json_line", None),
        (without("custom_id"), "missing_required_parameter", "custom_id"),
        (line("c1") | {"custom_id": 5}, "invalid_custom_id", "custom_id"),
        (line(""), "invalid_custom_id", "custom_id"),
        (line("x" * 513), "invalid_custom_id", "custom_id"),
        (line("first"), "duplicate_custom_id", "custom_id"),
        (without("method"), "missing_required_parameter", "method"),
        (line("c1") | {"method": "GET"}, "invalid_method", "method"),
        (without("url"), "missing_required_parameter", "url"),
        (line("c1") | {"url": "/v1/embeddings"}, "invalid_url", "url"),
        (line("c1") | {"url": ["/v1/embeddings"]}, "invalid_url", "url"),
        (without("body"), "missing_required_parameter", "body"),
        (line("c1") | {"body": "text"}, "invalid_type", "body"),
        (line("c1", stream=True), "unsupported_parameter", "body.stream"),
        (line("c1", background=True), "unsupported_parameter", "body.background"),
        (line("c1", model=None), "missing_required_parameter", "body.model"),
        (line("c1", model=["m"]), "invalid_type", "body.model"),
        (line("c1", model="unknown"), "model_not_found", "body.model"),
        (line("c1", text="x" * 600), "line_too_long", None),
    ],
)
async def test_what_is_wrong_is_said(tmp_path: Path, row: dict[str, Any] | bytes, code: str, param: str | None) -> None:
    source, errors = await scanned(tmp_path, lines_of(line("first"), row, line("last")), longest=620)
    source.close()
    assert [(error.line, error.code, error.param) for error in errors] == [(2, code, param)]
    assert errors[0].message


async def test_any_endpoint_may_be_named_where_the_batch_has_none(tmp_path: Path) -> None:
    rows = [line("a") | {"url": "/v1/embeddings"}, line("b"), line("c") | {"url": "/v1/audio/speech"}]
    source, errors = await scanned(tmp_path, lines_of(*rows), endpoint=None)
    with source:
        assert [(error.line, error.code) for error in errors] == [(3, "invalid_url")]
        assert [source.read(number).endpoint for number in (1, 2)] == ["/v1/embeddings", CHAT]


async def test_too_many_requests_and_none(tmp_path: Path) -> None:
    source, errors = await scanned(tmp_path, lines_of(*(line(f"c{n}") for n in range(3))), most_lines=2)
    source.close()
    assert [(error.line, error.code) for error in errors] == [(None, "too_many_tasks")]
    for data in (b"", b"\n\n", b"\xef\xbb\xbf\n"):
        source, errors = await scanned(tmp_path, data)
        source.close()
        assert [error.code for error in errors] == ["empty_file"]


async def test_empty_lines_are_counted_too(tmp_path: Path) -> None:
    """Ten bytes are kept of each: a file of nothing else would take ten times its size in memory."""
    source, errors = await scanned(tmp_path, b"\n" * 10**6, most_lines=50)
    source.close()
    assert [(error.line, error.code) for error in errors] == [(None, "too_many_lines")]
    assert len(source._models) < 100
    data = lines_of(line("a")) + b"\n" * 50 + lines_of(line("b"))
    source, errors = await scanned(tmp_path, data, most_lines=50)
    with source:
        assert errors == []
        assert [number for number, _ in source.requests()] == [1, 52]


async def test_a_hundred_errors_are_enough(tmp_path: Path) -> None:
    source, errors = await scanned(tmp_path, b"nonsense\n" * 1000)
    source.close()
    assert [error.line for error in errors] == list(range(1, 101))


async def test_a_line_of_any_length_is_skipped_without_being_kept(tmp_path: Path) -> None:
    long = b'{"custom_id": "' + b"x" * (9 * 2**20) + b'"}'
    source, errors = await scanned(tmp_path, lines_of(line("a"), long, line("b")))
    with source:
        assert [(error.line, error.code) for error in errors] == [(2, "line_too_long")]
        assert [number for number, _ in source.requests()] == [1, 3]
        assert source.read(3).custom_id == "b"


async def test_what_has_too_much_in_it_is_not_read(tmp_path: Path) -> None:
    def check(data: bytes) -> None:
        if data.count(b"[") > 5:
            raise InvalidRequest("Too many arrays.")

    source, errors = await scanned(tmp_path, lines_of(line("a"), line("b", x=[[]] * 10)), check=check)
    source.close()
    assert [(error.line, error.code, error.message) for error in errors] == [
        (2, "invalid_json_line", "Too many arrays.")
    ]


async def test_a_file_that_was_in_order_stays_so_whatever_has_changed(tmp_path: Path) -> None:
    data = lines_of(*(line(f"c{n}", model="unknown") for n in range(5)))
    source, errors = await scanned(tmp_path, data, known=True, most_lines=2)
    with source:
        assert errors == []
        assert source.total == 5
        assert source.models == [""]
