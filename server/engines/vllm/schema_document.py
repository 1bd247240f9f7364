"""A client's JSON Schema with its references: `$ref`, `$defs`, `$id`, `$anchor`. Pure; no vLLM in it."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urljoin

from server.errors import InvalidRequest

MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords whose values are objects of schemas."""
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
"""Keywords whose values are arrays of schemas; `items` is one before the draft 2020-12."""
SINGLE = (
    "items", "additionalItems", "additionalProperties", "unevaluatedProperties", "propertyNames", "contains", "not",
    "if", "then", "else",
)  # fmt: skip
"""Keywords whose values are schemas."""


def parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas right within a schema, each with its JSON pointer from there."""
    for keyword in MAPS:
        if isinstance(found := schema.get(keyword), Mapping):
            for name, inner in found.items():
                yield f"/{keyword}/{_escaped(name)}", inner
    for keyword in LISTS:
        if isinstance(found := schema.get(keyword), list):
            for number, inner in enumerate(found):
                yield f"/{keyword}/{number}", inner
    for keyword in SINGLE:
        if isinstance(found := schema.get(keyword), Mapping | bool):
            yield f"/{keyword}", found


class Document:
    """One schema document; schemas in it are known by their identity.

    param: the request's field that holds it, for refusals.
    """

    def __init__(self, root: Mapping[str, Any], param: str) -> None:
        self.root = root
        self._param = param
        self._pointers: dict[int, str] = {}
        # A schema's resource is the nearest one around it that has an `$id`, else the root: `#/…` begins there.
        self._resources: dict[int, Mapping[str, Any]] = {}
        self._addresses: dict[int, str] = {id(root): ""}
        self._known: dict[str, Mapping[str, Any]] = {}
        self._anchors: dict[tuple[int, str], Mapping[str, Any]] = {}
        self._index(root, "", root)

    def refusal(self, schema: Any, message: str) -> InvalidRequest:
        """The error that says `message` of a schema and where it stands."""
        pointer = self._pointers.get(id(schema), "")
        where = f" at {pointer[:200]}" if pointer else ""
        return InvalidRequest(f"The JSON Schema{where}: {message}", param=self._param)

    def target(self, schema: Mapping[str, Any]) -> Any:
        """The schema that the `$ref` of `schema` names. Raises InvalidRequest where there is none in the document."""
        ref = schema["$ref"]
        if not isinstance(ref, str):
            raise self.refusal(schema, "$ref is not a string.")
        address, _, fragment = ref.partition("#")
        resource: Any = self._resources.get(id(schema), self.root)
        if address:
            resource = self._known.get(_joined(self._addresses[id(resource)], address))
            if resource is None:
                message = f"$ref '{ref[:100]}' names no schema in this document, and none is fetched from elsewhere."
                raise self.refusal(schema, message)
        found = self._anchors.get((id(resource), fragment))
        if found is None and (not fragment or fragment.startswith("/")):
            found = resource
            for step in unquote(fragment).split("/")[1:]:
                found = _step(found, step.replace("~1", "/").replace("~0", "~"))
        if not isinstance(found, Mapping | bool):
            raise self.refusal(schema, f"$ref '{ref[:100]}' names no schema.")
        if isinstance(found, Mapping) and id(found) not in self._pointers:
            # Somewhere that no keyword of JSON Schema leads to, such as "#/components/schemas/Pet".
            self._index(found, self._pointers.get(id(resource), "") + fragment, resource)
        return found

    def _index(self, schema: Any, pointer: str, resource: Mapping[str, Any]) -> None:
        rest = [(schema, pointer, resource)]
        while rest:
            schema, pointer, resource = rest.pop()
            if not isinstance(schema, Mapping) or id(schema) in self._pointers:
                continue
            if isinstance(name := schema.get("$id"), str) and not name.startswith("#"):
                address = _joined(self._addresses[id(resource)], name.removesuffix("#"))
                resource = schema
                self._addresses[id(schema)] = address
                self._known.setdefault(address, schema)
            if isinstance(anchor := schema.get("$anchor"), str):
                self._anchors.setdefault((id(resource), anchor), schema)
            self._pointers[id(schema)], self._resources[id(schema)] = pointer, resource
            rest += [(inner, pointer + step, resource) for step, inner in parts(schema)]


def _joined(base: str, address: str) -> str:
    try:
        return urljoin(base, address)
    except ValueError:  # no address that urllib can read
        return address


def _step(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
