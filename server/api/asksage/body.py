"""Request bodies of the Ask Sage dialect: JSON, forms, multipart forms, a query string, or nothing at all.

Its clients write one field in many ways: a list as repeated fields, as JSON in a text, or as it is; `temperature=0.0`,
`tool_choice="auto"` with the quotes. Which of them is meant, the schema says: the first reading that it takes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import unquote_to_bytes

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from server.api import json_size
from server.api.body import Form, Upload, capped, check_charset, content_type, form_of, too_deep
from server.api.intake import LARGE, Intake
from server.api.validation import Body, FailingFast, validate
from server.core import Task
from server.errors import InvalidRequest, UnsupportedMediaType

B = TypeVar("B", bound=Body)

MOST_FIELDS = 1000
"""Of a form; Starlette's limit for multipart ones."""
PIECE = 16 * 1024
"""Bytes of a form's field that are decoded in one go."""
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


class Nothing(Body):
    """Of endpoints that take no fields; what is sent nevertheless is ignored."""


@dataclass(frozen=True, slots=True)
class Received(Generic[B]):
    """A body's fields as their schema, and its files in the order they came."""

    body: B
    files: tuple[Upload, ...] = field(default=())


async def read(
    request: Request, schema: type[B], *, limit: int, file_limit: int | None = None, task: Task | None = None
) -> Received[B]:
    """The fields, from whichever encoding the client chose, and from the query string where the body has none of that
    name. Explicit nulls are absent, and so are empty fields of forms.

    Texts of forms that stand for lists, objects, numbers or truth values are read as such where the schema wants one;
    so are strings in JSON that hold JSON (`tool_choice`). A field that comes several times is a list. limit: bytes of
    the fields; file_limit: of all files together, None where none are taken. task: as `read_json` has it.

    Raises what `read_json` and `read_form` do.
    """
    kind = content_type(request)
    query = _pairs(request.scope.get("query_string", b""), "query string")
    async with Intake(request, task) as intake:
        if kind == MULTIPART:
            check_charset(request.headers["content-type"])
            form = await form_of(request, intake, file_limit or 0, limit)
            files = _files(form, taken=file_limit is not None)
            parse = partial(_from_form, schema, query | form.fields)
        else:
            data = b"".join([chunk async for chunk in capped(request, intake, limit, limit)])
            files = ()
            parse = partial(_from_bytes, schema, kind, data, query)
        return Received(await intake.read(parse) if intake.large else parse(), files)


def _files(form: Form, *, taken: bool) -> tuple[Upload, ...]:
    """A file input that was left empty is no file."""
    files = tuple(one for files in form.files.values() for one in files if one.filename or one.data)
    if files and not taken:
        name = next(name for name, uploads in form.files.items() if uploads)
        raise InvalidRequest(f"'{name[:80]}': no files are taken here.", param=name[:80])
    return files


def _from_bytes(schema: type[B], kind: str, data: bytes, query: Mapping[str, Sequence[str]]) -> B:
    if not data.strip():
        return _from_form(schema, query)
    # Whoever sends JSON by curl without a header says that it is a form; no form begins with a brace.
    if kind == "application/json" or kind.endswith("+json") or data.lstrip()[:1] == b"{":
        return _from_json(schema, data, query)
    if kind in (URLENCODED, "", "text/plain"):
        return _from_form(schema, {**query, **_pairs(data, "form")})
    raise UnsupportedMediaType(f"Unsupported content type: {kind[:80]}. Send application/json or a form.")


def _from_json(schema: type[B], data: bytes, query: Mapping[str, Sequence[str]]) -> B:
    try:
        found = _loads(data)
    except orjson.JSONDecodeError as error:
        message = f"We could not parse the JSON body of your request: {error}."
        raise InvalidRequest(message, code="invalid_json") from None
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise InvalidRequest("The JSON body of your request must be an object.", code="invalid_type")
    adapters = _adapters(schema)
    # The others are ignored, and nobody waits until they have been looked at.
    found = {name: found[name] for name in adapters if name in found}
    if query:
        found = _of_form(schema, {name: values for name, values in query.items() if name not in found}) | found
    try:
        return validate(schema, found)
    except InvalidRequest:
        read = {name: _of_text(schema, name, value) for name, value in found.items()}
        if read == found:
            raise
        return validate(schema, read)


def _of_text(schema: type[Body], name: str, value: Any) -> Any:
    """A string that stands for something else, where the schema does not take it as it is."""
    adapter = _adapters(schema).get(name) if isinstance(value, str) else None
    return value if adapter is None else _first(adapter, [value, *_json(value)], value)


def _from_form(schema: type[B], fields: Mapping[str, Sequence[str]]) -> B:
    return validate(schema, _of_form(schema, fields))


def _of_form(schema: type[Body], fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    adapters = _adapters(schema)
    read: dict[str, Any] = {}
    for name, values in fields.items():
        given = [value for value in values if value]
        adapter = adapters.get(name)
        if not given or adapter is None:
            continue
        last = given[-1]
        if given == ["null"] and not _taken(adapter, last):  # JavaScript's forms write it for what is not set
            continue
        several: list[Any] = [given] if len(given) > 1 else []
        # A list that can't be read is wrong, and not a list of one text.
        listed = [] if last[0] in "[{" else [given, [_bare(value) for value in given]]
        readings = [*several, *_json(last), last, *listed]
        read[name] = _first(adapter, readings, last)
    return read


def _first(adapter: TypeAdapter[Any], readings: Sequence[Any], otherwise: Any) -> Any:
    return next((reading for reading in readings if _taken(adapter, reading)), otherwise)


def _taken(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except (ValidationError, InvalidRequest):
        return False
    return True


def _json(text: str) -> Iterator[Any]:
    """What a text holds that begins as a list, an object or a quoted string, unless that is more than is read."""
    if text.lstrip()[:1] in ("[", "{", '"'):
        with suppress(orjson.JSONDecodeError, InvalidRequest):
            yield _loads(text.encode())


def _bare(text: str) -> Any:
    return next(_json(text), text)


def _loads(data: bytes) -> Any:
    """As orjson reads it, within the limits that all bodies have. Raises InvalidRequest, orjson.JSONDecodeError."""
    if len(data) > LARGE:
        json_size.check(data)
        return orjson.loads(data)
    found = orjson.loads(data)
    if data.count(b"[") + data.count(b"{") > json_size.DEEPEST and too_deep([found]):
        raise json_size.deep()
    return found


def _pairs(data: bytes, what: str) -> dict[str, list[str]]:
    """Every field's values in order, of a query string or a form in its encoding. Raises InvalidRequest."""
    pairs: dict[str, list[str]] = {}
    if data.count(b"&") >= MOST_FIELDS:
        raise InvalidRequest(f"The {what} has more than {MOST_FIELDS} fields.")
    try:
        for field_ in data.split(b"&"):
            if field_:
                name, _, value = field_.partition(b"=")
                pairs.setdefault(_unquoted(name).removesuffix("[]"), []).append(_unquoted(value))
    except UnicodeDecodeError:
        raise InvalidRequest(f"The {what} is not valid UTF-8.") from None
    return pairs


def _unquoted(text: bytes) -> str:
    """Piece by piece: the standard library makes an object of each escape, six million of them in 18 MB, in one go."""
    text = text.replace(b"+", b" ")
    if b"%" not in text:
        return text.decode()
    pieces = []
    start = 0
    while start < len(text):
        end = start + PIECE
        while b"%" in text[end - 2 : end] and end < len(text):  # a piece ends with no part of an escape
            end += 1
        pieces.append(unquote_to_bytes(text[start:end]))
        start = end
    return b"".join(pieces).decode()


_ADAPTERS: dict[type[Body], dict[str, TypeAdapter[Any]]] = {}
"""Of each schema's fields; there are as many schemas as routes."""


def _adapters(schema: type[Body]) -> Mapping[str, TypeAdapter[Any]]:
    known = _ADAPTERS.get(schema)
    if known is None:
        known = _ADAPTERS[schema] = {
            one.alias or name: TypeAdapter[Any](
                Annotated[one.annotation, *one.metadata, FailingFast()]  # type: ignore[arg-type]
            )
            for name, one in schema.model_fields.items()
        }
    return known
