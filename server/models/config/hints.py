"""What is said of a field that a model config doesn't have where it stands: the place where it belongs, or a slip."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from server.models.config.strict import Strict
from server.models.config.vllm_extra import refusal
from server.models.config.vllm_spec import VllmModel
from server.settings import PREFIX, Settings
from server.yaml_files import Loc

Place = tuple[str, ...]
ENTRY = "*"
"""In a Place, any key of a mapping or any item of a list."""
DEEPEST = 4


def of_unknown(loc: Loc, schema: type[Strict], engines: Mapping[str, type[Strict]]) -> str:
    """The message about the unknown field at `loc` of a document by `schema`.

    engines: the schemas of all models, by engine. Example: for `max_tokens` at the top of a chat model, that it belongs
    under `defaults` or `probe`.
    """
    name, allowed = str(loc[-1]), fields_at(schema, loc[:-1])
    hint = _hint(name, loc, schema, engines, allowed)
    return f"there is no such field{hint} allowed: {', '.join(allowed)}"


def _hint(name: str, loc: Loc, schema: type[Strict], engines: Mapping[str, type[Strict]], allowed: list[str]) -> str:
    if belongs := _belongs(name, schema):
        return f" here; it belongs {belongs};"
    if issubclass(schema, VllmModel) and len(loc) == 1 and (refused := refusal(name)):
        return f"; {refused};"
    if others := [engine for engine, other in engines.items() if other is not schema and name in other.model_fields]:
        return f"; it is one of models whose engine is {' or '.join(others)};"
    if name in Settings.model_fields:
        return f"; it is a setting of the server, {PREFIX}{name.upper()};"
    if close := difflib.get_close_matches(name, allowed, n=1):
        return f"; did you mean {close[0]}?"
    if issubclass(schema, VllmModel) and len(loc) == 1:
        return "; vLLM's own arguments stand under `extra`;"
    return ";"


def _belongs(name: str, schema: type[Strict]) -> str:
    """Where in a document a field of that name may stand, the least deep places; empty if nowhere."""
    places = [place for known, place in _places(schema, ()) if known == name]
    if not places:
        return ""
    depth = min(map(len, places))
    # What a client left open is what a name such as max_tokens means most often.
    nearest = sorted(
        (place for place in dict.fromkeys(places) if len(place) == depth), key=lambda at: at[:1] != ("defaults",)
    )
    return " or ".join(map(_worded, nearest))


def _worded(place: Place) -> str:
    if not place:
        return "at the top of the document"
    path = ".".join(part for part in place if part != ENTRY)
    return f"under an entry of `{path}`" if place[-1] == ENTRY else f"under `{path}`"


def _places(schema: type[Strict], at: Place) -> Iterator[tuple[str, Place]]:
    """Every field that a document may have, and where."""
    if len(at) > DEEPEST:
        return
    for name, field in schema.model_fields.items():
        yield name, at
        for inner, entries in _inside(field.annotation, entries=False):
            below = (*at, name, ENTRY) if entries else (*at, name)
            if issubclass(inner, Strict):
                yield from _places(inner, below)
            else:
                yield from ((str(member.value), (*at, name)) for member in inner)


def _inside(annotation: Any, *, entries: bool) -> Iterator[tuple[type[Any], bool]]:
    """The schemas inside an annotation such as `dict[Name, PiperVoice]` or `Probe | None`, and words that are keys.

    entries: whether a mapping or a list lies between.
    """
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        yield annotation, entries
    origin = getattr(annotation, "__origin__", None)
    arguments: tuple[Any, ...] = getattr(annotation, "__args__", ())
    key = arguments[0] if origin is dict else None
    if isinstance(key, type) and issubclass(key, Enum):
        yield key, entries
    for argument in arguments:
        yield from _inside(argument, entries=entries or origin in (dict, tuple, list))


def fields_at(schema: type[Strict], loc: Sequence[str | int]) -> list[str]:
    """The fields that a mapping at `loc` may have, found through the annotations."""
    kinds: list[type[Any]] = [schema]
    for part in loc:
        inner: list[type[Any]] = []
        for kind in kinds:
            if (field := kind.model_fields.get(str(part))) is not None:
                inner.extend(
                    found for found, _ in _inside(field.annotation, entries=False) if issubclass(found, Strict)
                )
        # A key of a mapping or a number in a list has no field of its own: what it holds is already in `kinds`.
        kinds = inner or kinds
    return [name for kind in kinds for name in kind.model_fields]
