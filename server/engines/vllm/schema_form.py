"""A client's JSON Schema as llguidance is given it.

Three things differ from what the client sent. Objects are closed: where nothing says whether there may be more
properties than the declared ones, there may not. What llguidance does not know is refused by its name, or left to
`answer_check`. What can't end is forbidden. docs/decisions/003-structured-output.md has the reasons. Pure; no vLLM in
it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.engines.vllm.schema_depth import DEEPEST, depth
from server.engines.vllm.schema_document import Document
from server.engines.vllm.schema_ends import Ends
from server.engines.vllm.schema_joined import array, below, declared_by, joined
from server.engines.vllm.schema_keywords import CHECKED, KNOWN, values_of
from server.engines.vllm.schema_overlap import no_overlap
from server.engines.vllm.schema_readers import for_check, for_grammar
from server.errors import InvalidRequest

MOST = 20_000
"""Entries of the schema that comes out, counted as they are written: alternatives within alternatives multiply."""
TEXTS, CHARACTERS = {"enum", "const", "pattern", "required"}, 16
"""Of these keywords, so many characters count as an entry."""
CONTAINERS = {"properties", "patternProperties", "additionalProperties", "items", "prefixItems", "anyOf", "oneOf"}


@dataclass(frozen=True, slots=True)
class Form:
    """grammar: the schema for llguidance. check: what a finished answer must be held against, where the grammar doesn't
    hold all that the client asked for; else None."""

    grammar: Mapping[str, Any]
    check: Mapping[str, Any] | None


def form_of(schema: Mapping[str, Any], param: str) -> Form:
    """Raises InvalidRequest, with `param`, for a schema that can't be kept or that nothing satisfies."""
    try:
        return _Writer(Document(schema, param)).form()
    except RecursionError:
        raise InvalidRequest("The JSON Schema's references are nested too deeply.", param=param) from None


class _Closing(NamedTuple):
    """What may stand in an object: the properties and patterns that schemas around this one declare for the same
    object, and a schema for all that is not declared. meant: whether the client asked for it in so many words, so that
    it holds where nothing is declared at all."""

    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    rest: Any = False
    meant: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the keywords of a schema are written.

    within: the closing of its alternatives. mapping: whether the object declares no property. objects: whether the
    value must be an object. apart: as in `_Writer._at`, of the values within.
    """

    within: _Closing | None
    mapping: bool
    objects: bool
    apart: bool


class _Writer:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._written = 0
        self._names: dict[tuple[Any, ...], str] = {}
        self._waiting: list[tuple[str, Mapping[str, Any], _Closing | None, bool]] = []
        self._checked = self._patterns = False

    def form(self) -> Form:
        root = self._document.root
        schema = self._at(root, _Closing())
        defs: dict[str, Any] = {}
        while self._waiting:  # not by recursion: chains of references are longer than Python's stack
            name, target, closing, apart = self._waiting.pop()
            defs[name] = self._here(target, closing, apart=apart)
        if depth(schema, defs) > DEEPEST:
            raise self._document.refusal(root, f"With its references it is nested deeper than {DEEPEST} levels.")
        ends = Ends(defs)
        schema = ends.pruned(schema)
        if schema is False:
            raise self._document.refusal(root, "Nothing satisfies it, or nothing that comes to an end.")
        defs = {name: kept for name, inner in defs.items() if (kept := ends.pruned(inner)) is not False}
        if self._checked and self._patterns:
            message = "uniqueItems, dependentRequired and counts of properties can't be kept beside patternProperties."
            raise self._document.refusal(root, message)
        return Form(for_grammar(schema, defs), for_check(schema, defs) if self._checked else None)

    # ------------------------------------------------------------ where a value stands

    def _at(self, schema: Any, closing: _Closing | None, *, branch: bool = False, apart: bool = False) -> Any:
        """`schema` as it is written for one value.

        closing: of the value, if it is an object; None leaves it open. branch: as one of several alternatives.
        apart: as an entry of `$defs`, if it has schemas within it. llguidance joins what stands beside alternatives
        with each of them, and copies it; a reference is little to copy. Ten objects within each other, with two
        alternatives each, took it 0.3 s, sixteen 32 s (taken by hand).
        """
        followed: set[int] = set()
        while isinstance(schema, Mapping) and "$ref" in schema and not (schema.keys() & KNOWN) - {"$ref"}:
            if id(schema) in followed:
                raise self._document.refusal(schema, "$ref refers to itself in a circle.")
            followed.add(id(schema))
            schema = self._document.target(schema)
        if schema is True and closing is not None and (closing.names or closing.patterns or closing.meant):
            return self._here({}, closing, apart=False)
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise self._document.refusal(schema, "A schema is an object or a boolean.")
        if not (followed or "$ref" in schema or "allOf" in schema or (apart and schema.keys() & CONTAINERS)):
            return self._here(schema, closing, apart=branch)
        key = (id(schema), None if closing is None else (*closing[:2], json.dumps(closing.rest), closing.meant))
        if key not in self._names:
            self._names[key] = f"s{len(self._names)}"
            self._waiting.append((self._names[key], schema, closing, branch))
            self._count(schema, 1)
        return {"$ref": f"#/$defs/{self._names[key]}"}

    def _here(self, schema: Mapping[str, Any], closing: _Closing | None, *, apart: bool) -> Any:
        all_of = joined(self._document, schema)
        if False in all_of:
            return False
        members = [member for member in all_of if isinstance(member, Mapping)]
        closing = self._closing(schema, members, closing)
        alternatives = [(member, word) for member in members for word in ("anyOf", "oneOf") if word in member]
        names, patterns, declared = declared_by(
            members, *(closing[:2] if closing else ()), needed=not (closing and closing.meant)
        )
        within = None
        if closing is not None and len(alternatives) == 1:
            # Each alternative is closed with what is declared around it, and not with what the others declare.
            within, closing = closing._replace(names=names, patterns=patterns), None
        elif closing is not None and alternatives:
            # Which alternatives meet is not known: an object may have what any of them declares.
            seen: set[int] = set()
            for member, word in alternatives:
                for branch in array(self._document, member, word):
                    more, and_patterns, too = below(self._document, branch, seen)
                    names, patterns, declared = names + more, patterns + and_patterns, declared or too
        place = _Place(
            within,
            mapping=not names and not alternatives,
            objects=any(member.get("type") == "object" for member in members),
            apart=apart or len(members) > 1 or bool(alternatives),
        )
        written = [self._own(member, place) for member in members] or [{}]
        if closing is not None and (declared or closing.meant):
            self._close(
                schema, written, _Closing(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(patterns)), closing.rest)
            )
        return written[0] if len(written) == 1 else {"allOf": written}

    def _closing(
        self, schema: Mapping[str, Any], members: Sequence[Mapping[str, Any]], closing: _Closing | None
    ) -> _Closing | None:
        """What holds where the client has said something of undeclared properties."""
        if any(member is not schema and member.get("unevaluatedProperties", True) is not True for member in members):
            raise self._document.refusal(schema, "unevaluatedProperties within allOf, or behind a $ref with keywords "
                                         "beside it, can't be kept here.")  # fmt: skip
        if any("additionalProperties" in member or self._named(member) is not None for member in members):
            return None
        if "unevaluatedProperties" in schema:
            rest = self._at(schema["unevaluatedProperties"], _Closing())
            # It sees nothing that is declared around it.
            return None if rest is True else _Closing(rest=rest, meant=True)
        return closing

    def _close(self, schema: Mapping[str, Any], written: list[dict[str, Any]], closing: _Closing) -> None:
        self._count(schema, len(closing.names) + len(closing.patterns))
        last = written[0]
        if len(written) > 1:
            last = {"type": "object"} if any(part.get("type") == "object" for part in written) else {}
            written.append(last)
        undeclared = {name: True for name in closing.names if name not in last.get("properties", {})}
        last["properties"] = {**last.get("properties", {}), **undeclared}
        if closing.patterns:
            last["patternProperties"] = {**dict.fromkeys(closing.patterns, True), **last.get("patternProperties", {})}
        last["additionalProperties"] = closing.rest

    # ------------------------------------------------------------ keywords

    def _own(self, schema: Mapping[str, Any], place: _Place) -> dict[str, Any]:
        """The keywords of `schema` itself."""
        self._count(schema, 1)
        written = values_of(schema, self._document, mapping=place.mapping)
        self._count(schema, written.get("minItems", 0) + written.get("maxItems", 0))
        for keyword in TEXTS & written.keys():
            self._count(schema, len(json.dumps(written[keyword])) // CHARACTERS)
        self._checked = self._checked or any(keyword.startswith(CHECKED) for keyword in written)
        for keyword in ("properties", "patternProperties"):
            if keyword in schema:
                found = schema[keyword]
                if not isinstance(found, Mapping):
                    raise self._document.refusal(schema, f"{keyword} is not an object.")
                self._count(schema, len(found))
                written[keyword] = {name: self._value(inner, place) for name, inner in found.items()}
        if "additionalProperties" in schema:
            written["additionalProperties"] = self._value(schema["additionalProperties"], place)
        self._write_items(schema, written, place)
        self._write_names(schema, written)
        self._patterns = self._patterns or "patternProperties" in written
        for word in ("anyOf", "oneOf"):
            if word in schema:
                branches = array(self._document, schema, word)
                inner = {word: [self._at(branch, place.within, branch=True) for branch in branches]}
                if word == "oneOf" and no_overlap(self._document, branches, objects=place.objects):
                    inner = {"anyOf": inner["oneOf"]}  # the same, and llguidance knows it
                if "anyOf" in written:
                    inner = {"allOf": [inner]}
                written |= inner
        return written

    def _value(self, schema: Any, place: _Place) -> Any:
        """A schema of a value within the one at `place`."""
        return self._at(schema, _Closing(), apart=place.apart)

    def _write_items(self, schema: Mapping[str, Any], written: dict[str, Any], place: _Place) -> None:
        items, first = schema.get("items", True), schema.get("prefixItems")
        if isinstance(items, list):  # until the draft 2019-09
            first, items = items, schema.get("additionalItems", True)
        if first is not None:
            if not isinstance(first, list):
                raise self._document.refusal(schema, "prefixItems is not an array.")
            self._count(schema, len(first))
            written["prefixItems"] = [self._value(inner, place) for inner in first]
        if items is not True:
            written["items"] = self._value(items, place)

    def _named(self, schema: Mapping[str, Any]) -> Any:
        """What `propertyNames` comes to: names, a pattern, or None where it asks for nothing."""
        if "propertyNames" not in schema:
            return None
        if "patternProperties" in schema or "unevaluatedProperties" in schema:
            message = "propertyNames can't be kept beside patternProperties or unevaluatedProperties."
            raise self._document.refusal(schema, message)
        names: list[str] | None = None
        for part in joined(self._document, schema["propertyNames"]):
            asks = {} if part is False else {word: part[word] for word in part.keys() & KNOWN}
            if part is False:
                names = []
            elif set(asks) <= {"type"} and asks.get("type", "string") == "string":
                continue
            elif set(asks) <= {"type", "enum"} and isinstance(asks.get("enum"), list) and names is None:
                names = [name for name in asks["enum"] if isinstance(name, str)]
            elif set(asks) <= {"type", "const"} and names is None:
                names = [asks["const"]] if isinstance(asks.get("const"), str) else []
            elif set(asks) <= {"type", "pattern"} and isinstance(asks.get("pattern"), str) and names is None:
                if "properties" not in schema:
                    return asks["pattern"]
                raise self._document.refusal(schema, "propertyNames beside properties takes an enum only.")
            else:
                raise self._document.refusal(schema, "propertyNames takes an enum, a const or a pattern only.")
        return names

    def _write_names(self, schema: Mapping[str, Any], written: dict[str, Any]) -> None:
        names = self._named(schema)
        if names is None:
            return
        rest = written.get("additionalProperties", True)
        if isinstance(names, str):
            written["patternProperties"] = {names: rest}
        else:
            self._count(schema, len(names))
            declared = written.get("properties", {})
            kept = {name: inner if name in names else False for name, inner in declared.items()}
            written["properties"] = {**kept, **{name: rest for name in names if name not in declared}}
        written["additionalProperties"] = False

    def _count(self, schema: Mapping[str, Any], entries: int) -> None:
        self._written += entries
        if self._written > MOST:
            raise self._document.refusal(schema, "Its alternatives and references make too large a grammar.")
