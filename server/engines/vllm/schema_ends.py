"""Which schemas have an answer that ends: of what can't end, nothing may be begun.

Pure, over schemas as `schema_form` writes them: `$ref` names an entry of `$defs` and nothing else.
"""

from collections.abc import Callable, Mapping
from typing import Any

SCALARS = {"null", "boolean", "number", "integer", "string"}
MAPS, LISTS, SINGLE = ("properties", "patternProperties"), ("anyOf", "oneOf", "allOf", "prefixItems"), (
    "items", "additionalProperties",
)  # fmt: skip


def rebuilt(schema: Any, change: Callable[[Any], Any]) -> Any:
    """A copy in which each schema right within `schema` is what `change` makes of it."""
    if not isinstance(schema, Mapping):
        return schema
    copy = dict(schema)
    for keyword in MAPS:
        if keyword in copy:
            copy[keyword] = {name: change(inner) for name, inner in copy[keyword].items()}
    for keyword in LISTS:
        if keyword in copy:
            copy[keyword] = [change(inner) for inner in copy[keyword]]
    for keyword in SINGLE:
        if keyword in copy:
            copy[keyword] = change(copy[keyword])
    return copy


class Ends:
    """The entries of `$defs` that have an answer that ends, by their names."""

    def __init__(self, defs: Mapping[str, Any]) -> None:
        self._defs = defs
        self._ending: set[str] = set()
        users: dict[str, set[str]] = {name: set() for name in defs}
        for name, schema in defs.items():
            for used in _refs(schema):
                users[used].add(name)
        # The least set that holds: an entry joins it once all that it must contain has joined.
        waiting = set(defs)
        while waiting:
            joined = {name for name in waiting if self.has(defs[name])}
            self._ending |= joined
            waiting = {user for name in joined for user in users[name]} - self._ending

    def has(self, schema: Any) -> bool:
        """Whether `schema` may have an answer that ends. No means no; yes may still be wrong of what `allOf` joins."""
        if isinstance(schema, bool):
            return schema
        if "$ref" in schema and named(schema["$ref"]) not in self._ending:
            return False
        if "enum" in schema and not schema["enum"]:
            return False
        if not all(self.has(inner) for inner in schema.get("allOf", ())):
            return False
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema and not any(self.has(inner) for inner in schema[keyword]):
                return False
        types = schema.get("type", ())
        types = {types} if isinstance(types, str) else set(types)
        if not types or types & SCALARS:
            return True
        return ("object" in types and self._object(schema)) or ("array" in types and self._array(schema))

    def pruned(self, schema: Any) -> Any:
        """`schema` with `false` in the place of all that can't end."""
        return rebuilt(schema, self.pruned) if self.has(schema) else False

    def _object(self, schema: Mapping[str, Any]) -> bool:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        if "patternProperties" in schema:
            others = True
        return all(self.has(properties.get(name, others)) for name in schema.get("required", ()))

    def _array(self, schema: Mapping[str, Any]) -> bool:
        least, first = schema.get("minItems", 0), schema.get("prefixItems", ())
        if not all(self.has(inner) for inner in first[:least]):
            return False
        return least <= len(first) or self.has(schema.get("items", True))


def _refs(schema: Any) -> set[str]:
    found: set[str] = set()

    def look(inner: Any) -> Any:
        if isinstance(inner, Mapping):
            if "$ref" in inner:
                found.add(named(inner["$ref"]))
            rebuilt(inner, look)
        return inner

    look(schema)
    return found


def named(ref: str) -> str:
    """The entry of `$defs` that a `$ref` names."""
    return ref.removeprefix("#/$defs/")
