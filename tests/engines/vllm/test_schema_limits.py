"""Which JSON Schemas are too big to make a grammar of."""

from typing import Any

import pytest

from server.engines.vllm.schema_limits import DEEPEST, LONGEST, MOST_ITEMS, MOST_PROPERTIES, check
from server.errors import InvalidRequest

STRING = {"type": "string"}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels - 1):
        schema = {"items": schema}
    return schema


def properties(count: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{number}": {} for number in range(count)}}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": STRING}, "required": ["a"], "additionalProperties": False},
        {"type": "array", "items": STRING, "minItems": 1, "maxItems": MOST_ITEMS - 1},
        # fields that are called like keywords, and values that no bound has
        {"type": "object", "properties": {"maxItems": STRING, "properties": STRING, "required": STRING}},
        {"const": {"maxItems": -1, "properties": None, "required": True}},
        {"type": "string", "maxLength": 10**9},
        {"type": "string", "pattern": r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
        {"type": "string", "pattern": r"^(\w{1,100} ){0,50}\{9999999\}[{9999999}]$"},
        {"type": "string", "pattern": "a{0}b{,9}c{d}"},
        nested(DEEPEST),
        properties(MOST_PROPERTIES),
    ],
)
def test_ordinary_schemas_pass(schema: dict[str, Any]) -> None:
    check(schema, "response_format")


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        # Sixty bytes that took 22 GB.
        ({"type": "array", "items": STRING, "maxItems": 10**9}, "minItems and maxItems"),
        ({"type": "array", "items": STRING, "minItems": 10**9}, "minItems and maxItems"),
        ({"$defs": {f"d{n}": {"type": "array", "maxItems": 1000} for n in range(11)}}, "minItems and maxItems"),
        (
            {"anyOf": [{"type": "array", "maxItems": 9000}, {"type": "array", "maxItems": 9000}]},
            "minItems and maxItems",
        ),
        (properties(MOST_PROPERTIES + 1), "properties"),
        ({"anyOf": [properties(600), properties(600)]}, "properties"),
        ({"type": "object", "required": [f"p{n}" for n in range(MOST_PROPERTIES + 1)]}, "properties"),
        ({"enum": ["x" * 100 for _ in range(LONGEST // 100)]}, "characters"),
        (nested(DEEPEST + 1), "nested"),
        # as a number with a point
        ({"type": "array", "items": STRING, "maxItems": 1e9}, "minItems and maxItems"),
        ({"type": "string", "pattern": "a{1000000}"}, "repeats"),
        ({"type": "string", "pattern": "(a{1000}){1000}"}, "repeats"),
        ({"type": "string", "pattern": "[)a]{99999}(b|c){2}"}, "repeats"),
        ({"type": "string", "pattern": "a{" + "9" * 10_000 + "}"}, "repeats"),
        ({"type": "object", "patternProperties": {"^x{0,200000}$": {}}}, "repeats"),
        # deeper than a recursive reader could go
        (nested(100_000), "nested"),
    ],
)
def test_bombs_are_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        check(schema, "tools")
    assert refused.value.param == "tools"
