"""Whether the alternatives of a `oneOf` can overlap, as far as types, `const` and `enum` tell. Pure; no vLLM in it.

llguidance looks for itself, but not behind references, where the alternatives of a tagged union mostly are.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from server.engines.vllm.schema_document import Document
from server.engines.vllm.schema_joined import joined, texts

MOST_ALTERNATIVES = 64
"""Up to which it is looked into: it takes time by their square."""


def no_overlap(document: Document, branches: Sequence[Any], *, objects: bool) -> bool:
    """Whether no value satisfies two of them for sure. objects: whether only objects are asked for."""
    if len(branches) > MOST_ALTERNATIVES:
        return False
    marks = [_marks(document, branch, objects) for branch in branches]
    return all(
        any(left[name].isdisjoint(right[name]) for name in left.keys() & right.keys())
        for number, left in enumerate(marks)
        for right in marks[:number]
    )


def _marks(document: Document, branch: Any, objects: bool) -> dict[str, set[str]]:
    """The types (`""`), the values (`"="`) and those of required properties (`".name"`) that a branch may have."""
    marks: dict[str, set[str]] = {}
    members = [member for member in joined(document, branch) if isinstance(member, Mapping)]
    needed = {name for member in members for name in texts(member.get("required"))}
    for member in members:
        types = member.get("type")
        if isinstance(types, str | list):
            some = {types} if isinstance(types, str) else {str(one) for one in types}
            objects = objects or some == {"object"}
            marks[""] = {"number" if one == "integer" else one for one in some}
        if (values := _values(member)) is not None:
            marks["="] = values
        found = member.get("properties")
        properties: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        for name in needed & properties.keys():
            for part in joined(document, properties[name]):
                if isinstance(part, Mapping) and (values := _values(part)) is not None:
                    marks[f".{name}"] = values
    # Of a value that is no object, `required` asks nothing.
    return marks if objects else {name: some for name, some in marks.items() if not name.startswith(".")}


def _values(schema: Mapping[str, Any]) -> set[str] | None:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    return {json.dumps(value, sort_keys=True) for value in values} if isinstance(values, list) else None
