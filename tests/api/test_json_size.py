"""How much JSON there is in a body, counted before any of it is made."""

import json
import random

import orjson
import pytest

from server.api import json_size
from server.api.json_size import DEEPEST, MOST_CONTAINERS, MOST_FIELDS, MOST_VALUES, PIECE, check
from server.errors import InvalidRequest


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"[" + b"[]," * MOST_CONTAINERS + b"[]]", f"{MOST_CONTAINERS} arrays and objects"),
        (b"[" + b"{}," * MOST_CONTAINERS + b"{}]", f"{MOST_CONTAINERS} arrays and objects"),
        (b"[" + b"1," * MOST_VALUES + b"1]", f"{MOST_VALUES} values"),
        (b"{" + b'"a":1,' * MOST_FIELDS + b'"a":1}', f"{MOST_FIELDS} fields"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), f"deeper than {DEEPEST} levels"),
        (b'["' + b"\\\\" * PIECE + b'",' + b"[]," * MOST_CONTAINERS + b"[]]", f"{MOST_CONTAINERS} arrays"),
        (b'["\\"",' + b'"[",' * MOST_VALUES + b"1]", f"{MOST_VALUES} values"),
    ],
    ids=["arrays", "objects", "values", "fields", "depth", "after escapes", "after quotes"],
)
def test_more_than_is_read_is_refused(body: bytes, what: str) -> None:
    with pytest.raises(InvalidRequest, match=what) as refused:
        check(body)
    assert refused.value.code == "invalid_json"


@pytest.mark.parametrize(
    "text",
    [
        b"[{," * MOST_VALUES,
        b'\\"[' * MOST_CONTAINERS,
        b"\\\\" * PIECE + b"[" * MOST_CONTAINERS,
        b'\\\\\\",' * MOST_VALUES,
    ],
    ids=["brackets", "quoted", "backslashes", "both"],
)
def test_what_stands_in_a_text_does_not_count(text: bytes) -> None:
    check(b'{"a": "' + text + b'"}')


def test_ids_to_be_turned_into_text_are_not_too_many() -> None:
    check(orjson.dumps({"model": "m", "tokens": list(range(262_144))}))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_any_json_is_counted_as_json_reads_it(monkeypatch: pytest.MonkeyPatch, seed: int, piece: int) -> None:
    """One more than the limit is refused, and the limit is not, wherever the pieces end."""
    draw = random.Random(seed)

    def value(depth: int) -> object:
        match draw.randrange(4 if depth else 2):
            case 0:
                return draw.randrange(100)
            case 1:
                return "".join(draw.choice('a"\\[]{},:\u00fc\n') for _ in range(draw.randrange(8)))
            case 2:
                return [value(depth - 1) for _ in range(draw.randrange(4))]
        return {str(draw.random()) + draw.choice('"\\['): value(depth - 1) for _ in range(draw.randrange(4))}

    made = [value(4) for _ in range(8)]
    body = json.dumps(made, ensure_ascii=draw.random() < 0.5).encode()
    containers = depth = 0
    level: list[object] = [made]
    while level:
        nested = [one for one in level if isinstance(one, list | dict)]
        containers, depth = containers + len(nested), depth + bool(nested)
        level = [one for outer in nested for one in (outer.values() if isinstance(outer, dict) else outer)]
    monkeypatch.setattr(json_size, "PIECE", piece)
    monkeypatch.setattr(json_size, "MOST_FIELDS", 10**9)
    monkeypatch.setattr(json_size, "MOST_VALUES", 10**9)
    for most, deepest, refused in (
        (containers, depth, None),
        (containers - 1, depth, "arrays and objects"),
        (containers, depth - 1, "deeper"),
    ):
        monkeypatch.setattr(json_size, "MOST_CONTAINERS", most)
        monkeypatch.setattr(json_size, "DEEPEST", deepest)
        if refused is None:
            check(body)
        elif body.count(b"[") + body.count(b"{") > deepest:  # else the short way, which parses no text
            with pytest.raises(InvalidRequest, match=refused):
                check(body)
