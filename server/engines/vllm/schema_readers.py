"""The two readers of a schema as `schema_form` writes it: llguidance beforehand, jsonschema afterwards. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from server.engines.vllm.schema_ends import rebuilt
from server.engines.vllm.schema_keywords import CHECKED

REGEXES = ("pattern", "format", "patternProperties")


def for_grammar(schema: Any, defs: Mapping[str, Any]) -> dict[str, Any]:
    """Without what llguidance does not know."""
    return _document(schema, defs, _grammar)


def for_check(schema: Any, defs: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the grammar has held: Python's regular expressions can take time without end."""
    return _document(schema, defs, _check)


def _document(schema: Any, defs: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    schema = change(schema)
    whole: dict[str, Any] = {} if schema is True else schema
    return {**whole, "$defs": {name: change(inner) for name, inner in defs.items()}} if defs else whole


def _grammar(schema: Any) -> Any:
    copy = rebuilt(schema, _grammar)
    if isinstance(copy, dict):
        return {keyword: value for keyword, value in copy.items() if not keyword.startswith(CHECKED)}
    return copy


def _check(schema: Any) -> Any:
    copy = rebuilt(schema, _check)
    if isinstance(copy, dict):
        return {keyword.removeprefix(CHECKED): value for keyword, value in copy.items() if keyword not in REGEXES}
    return copy
