"""The schemas that the same value must satisfy together, and the properties that they declare. Pure; no vLLM in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from server.engines.vllm.schema_document import Document
from server.engines.vllm.schema_keywords import KNOWN

Declared = tuple[tuple[str, ...], tuple[str, ...], bool]
"""Names and patterns of properties, and whether anything declares some: an empty `properties` does."""


def joined(document: Document, schema: Any) -> list[Any]:
    """All that `schema` joins by `allOf` and `$ref`, itself among them, in the order of the text: llguidance has
    properties written in that order. Of what everything satisfies there is nothing; False is what nothing satisfies.

    Raises InvalidRequest for a circle.
    """
    found: dict[int, Any] = {}
    path: set[int] = set()
    seen: set[int] = set()

    def join(schema: Any) -> None:
        if isinstance(schema, bool):
            if not schema:
                found[id(schema)] = schema
            return
        if not isinstance(schema, Mapping):
            raise document.refusal(schema, "A schema is an object or a boolean.")
        if id(schema) in path:
            raise document.refusal(schema, "It refers to itself in a circle.")
        if id(schema) in seen:
            return
        seen.add(id(schema))
        path.add(id(schema))
        for keyword in schema:
            if keyword == "$ref":
                join(document.target(schema))
            elif keyword == "allOf":
                for inner in array(document, schema, "allOf"):
                    join(inner)
            elif keyword in KNOWN:
                found.setdefault(id(schema), schema)
        path.remove(id(schema))

    join(schema)
    return list(found.values())


def declared_by(
    members: Sequence[Mapping[str, Any]],
    names: Sequence[str] = (),
    patterns: Sequence[str] = (),
    *,
    needed: bool = True,
) -> Declared:
    """By schemas of the same object, with what is declared around them. needed: whether `required` declares a name."""
    every = {"properties": dict.fromkeys(names), "patternProperties": dict.fromkeys(patterns)}
    declared = bool(names or patterns)
    for member in members:
        for keyword, known in every.items():
            if isinstance(found := member.get(keyword), Mapping):
                declared = True
                known.update(dict.fromkeys(found))
        if needed:
            every["properties"] |= dict.fromkeys(texts(member.get("required")))
    return tuple(every["properties"]), tuple(every["patternProperties"]), declared


def below(document: Document, schema: Any, seen: set[int]) -> Declared:
    """By an alternative and by all within it; `seen` are those that have been looked at."""
    if id(schema) in seen:
        return (), (), False
    seen.add(id(schema))
    members = [member for member in joined(document, schema) if isinstance(member, Mapping)]
    names, patterns, declared = declared_by(members)
    for member in members:
        for word in ("anyOf", "oneOf"):
            for branch in array(document, member, word) if word in member else ():
                more, and_patterns, too = below(document, branch, seen)
                names, patterns, declared = names + more, patterns + and_patterns, declared or too
    return names, patterns, declared


def array(document: Document, schema: Mapping[str, Any], keyword: str) -> list[Any]:
    """The schemas of `anyOf` and its like. Raises InvalidRequest where they are no array."""
    found = schema[keyword]
    if not isinstance(found, list) or not found:
        raise document.refusal(schema, f"{keyword} is not an array of schemas.")
    return found


def texts(value: Any) -> list[str]:
    """Those in an array."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
