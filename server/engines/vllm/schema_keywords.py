"""The keywords of JSON Schema that hold values and not schemas: which are kept, and how they are written.

Pure; no vLLM in it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from server.engines.vllm.schema_document import Document

TYPES = ("null", "boolean", "number", "integer", "string", "array", "object")
FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
"""Those that llguidance knows. Any other is an annotation, which is what JSON Schema says of all of them."""
CHECKED = "checked:"
"""Before a keyword: llguidance is not given it, and the finished answer is held against it."""

COUNTS = ("minItems", "maxItems", "minLength", "maxLength")
NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
REFUSED = (
    "if", "not", "contains", "dependentSchemas", "unevaluatedItems", "$dynamicRef", "$recursiveRef",
)  # fmt: skip
"""What constrains an answer and is refused by its name."""
KNOWN = {
    "$ref", "allOf", "anyOf", "oneOf", "type", "enum", "const", "properties", "patternProperties", "propertyNames",
    "additionalProperties", "unevaluatedProperties", "required", "minProperties", "maxProperties", "items",
    "prefixItems", "additionalItems", "uniqueItems", "dependentRequired", "dependencies", "multipleOf", "pattern",
    "format", *COUNTS, *NUMBERS, *REFUSED,
}  # fmt: skip
"""All others are annotations, and left out: JSON Schema has a reader ignore what it does not know."""


def values_of(schema: Mapping[str, Any], document: Document, *, mapping: bool) -> dict[str, Any]:
    """These keywords of `schema`, as llguidance takes them. Raises InvalidRequest that names the wrong one.

    mapping: whether no property of the object is declared; llguidance can count them only then, and of others whether
    there is one at all.
    """

    def take(keyword: str, right: Callable[[Any], bool], what: str) -> Any:
        value = schema.get(keyword)
        if value is not None and not right(value):
            raise document.refusal(schema, f"{keyword} is not {what}.")
        return value

    _refuse(schema, document)
    written: dict[str, Any] = {}
    for keyword, right, what in SIMPLE:
        if take(keyword, right, what) is not None:
            written[keyword] = schema[keyword]
    if "const" in schema:
        written["const"] = schema["const"]
    if schema.get("not") in (True, {}):
        written["enum"] = []
    for keyword in COUNTS:
        if take(keyword, _is_count, "a whole number from 0 on") is not None:
            written[keyword] = int(schema[keyword])
    written |= _bounds(schema, take)
    if schema.get("format") in FORMATS:
        written["format"] = schema["format"]
    if take("uniqueItems", lambda value: isinstance(value, bool), "a boolean"):
        written[f"{CHECKED}uniqueItems"] = True
    for keyword in ("minProperties", "maxProperties"):
        if take(keyword, _is_count, "a whole number from 0 on") is not None:
            count = int(schema[keyword])
            counted = mapping or (keyword == "minProperties" and count <= 1 and schema.get("maxProperties") is None)
            written[keyword if counted else f"{CHECKED}{keyword}"] = count
    if needs := {**_mapping(schema, "dependencies"), **_mapping(schema, "dependentRequired")}:
        written[f"{CHECKED}dependentRequired"] = needs
    return written


def _refuse(schema: Mapping[str, Any], document: Document) -> None:
    for keyword in REFUSED:
        value = schema.get(keyword, True)
        idle = value is True or (keyword in ("unevaluatedItems", "dependentSchemas") and value == {})
        if keyword == "not":
            idle = value in (True, False, {})
        elif keyword == "contains":
            idle = "contains" not in schema
        elif keyword == "if":
            idle = "if" not in schema or not ("then" in schema or "else" in schema)
        if not idle:
            raise document.refusal(schema, f"`{keyword}` can't be kept by a grammar; leave it out.")
    for keyword in ("dependencies", "dependentRequired"):
        value = schema.get(keyword, {})
        if not isinstance(value, Mapping) or not all(_is_names(names) for names in value.values()):
            raise document.refusal(schema, f"{keyword} is kept for arrays of properties' names only.")


def _bounds(schema: Mapping[str, Any], take: Callable[..., Any]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if take(bound, _is_number, "a number") is not None:
            # Until the draft 4, the exclusive one was a boolean beside the other.
            written[exclusive if schema.get(exclusive) is True else bound] = schema[bound]
        if take(exclusive, lambda value: _is_number(value) or isinstance(value, bool), "a number") is not None and (
            not isinstance(schema[exclusive], bool)
        ):
            written[exclusive] = schema[exclusive]
    return written


def _mapping(schema: Mapping[str, Any], keyword: str) -> dict[str, list[str]]:
    return {name: names for name, names in schema.get(keyword, {}).items() if names}


def _is_type(value: Any) -> bool:
    types = value if isinstance(value, list) else [value]
    return bool(types) and all(isinstance(one, str) and one in TYPES for one in types)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value % 1 == 0


SIMPLE: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("type", _is_type, f"one of {', '.join(TYPES)}, or an array of them"),
    ("enum", lambda value: isinstance(value, list), "an array"),
    ("required", _is_names, "an array of strings"),
    ("multipleOf", lambda value: _is_number(value) and value > 0, "a number above 0"),
    ("pattern", lambda value: isinstance(value, str), "a string"),
)
"""What is written as it came, once it is right."""
