"""Reading request bodies: JSON and multipart forms, capped while they stream in."""

import asyncio
import codecs
import json
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import orjson
from python_multipart.multipart import parse_options_header
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from server.api import json_size
from server.api.content_coding import decoder
from server.api.intake import LARGE, Intake
from server.api.validation import Body, validate
from server.core import Task
from server.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType

B = TypeVar("B", bound=Body)

FORM_OVERHEAD = 2**20
"""Bytes a form may have besides its file: the other fields, headers and boundaries."""
BREATH = 2**20
"""Bytes of a body after which others have their turn."""
CHARSETS = frozenset(("utf-8", "ascii", "iso8859-1"))
"""Of forms, as Python calls them. Others of Python's are no charsets of text (`undefined`, `idna`, `zlib`), read a
field's name otherwise (`utf-16`), or make half surrogate pairs (`utf-7`), which no engine can take."""


async def read_json(
    request: Request,
    schema: type[B],
    *,
    limit: int,
    exact: bool = False,
    empty: bool = False,
    task: Task | None = None,
) -> B:
    """The body as `schema`. `limit` in bytes. exact: numbers with a fraction are Decimals, as written. empty: whether
    no body at all is an empty object, whatever its type: some clients name one for each request that they make. task:
    what the route does; None where that costs no credits.

    Unknown fields are left to the schema, which ignores them by default; top-level nulls count as absent.
    Raises UnsupportedMediaType (415), PayloadTooLarge (413) or InvalidRequest (400); for a large body, before it is
    read, also RateLimited (429), InsufficientCredits (402) or Overloaded (503).
    """
    kind = content_type(request)
    foreign = bool(kind) and kind != "application/json" and not kind.endswith("+json")
    announced = request.headers.get("content-length", "0") != "0"
    if foreign and (announced or not empty):
        raise _foreign(kind)
    async with Intake(request, task) as intake:
        body = b"".join([chunk async for chunk in capped(request, intake, limit, limit)])
        if foreign and body:
            raise _foreign(kind)
        if empty and not body:
            body = b"{}"
        if not intake.large:
            return _read(body, schema, exact=exact)
        return await intake.read(partial(_read_large, body, schema, exact=exact))


def _foreign(kind: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(f"Unsupported content type: {kind[:80]}. Send application/json.")


def _read_large(body: bytes, schema: type[B], *, exact: bool) -> B:
    json_size.check(body)
    return _read(body, schema, exact=exact)


def _read(body: bytes, schema: type[B], *, exact: bool) -> B:
    try:
        data = _exact_json(body) if exact else orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = f"We could not parse the JSON body of your request: {error}."
        raise InvalidRequest(message, code="invalid_json") from None
    if not isinstance(data, dict):
        raise InvalidRequest("The JSON body of your request must be an object.", code="invalid_type")
    if len(body) <= LARGE and body.count(b"[") + body.count(b"{") > json_size.DEEPEST and too_deep(data):
        raise json_size.deep()
    return validate(schema, data)


def too_deep(data: Any) -> bool:
    """Whether there is more within each other than `json_size.DEEPEST`."""
    level = [data]
    for _ in range(json_size.DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _exact_json(body: bytes) -> Any:
    """As orjson reads it, but for the numbers. Raises orjson.JSONDecodeError."""
    orjson.loads(body)  # it is the stricter: NaN, wrong UTF-8 and deep nesting end here
    try:
        return json.loads(body, parse_float=Decimal)
    except (ArithmeticError, ValueError, RecursionError):
        raise orjson.JSONDecodeError("number out of range or nesting too deep", "", 0) from None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as uploaded. content_type is what the client said, in lower case; empty if nothing."""

    filename: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form: every field's values in order. The `[]` that array fields end with is dropped."""

    fields: dict[str, list[str]]
    files: dict[str, list[Upload]]

    def text(self, name: str) -> str | None:
        """The field's last value; None if it is absent or empty."""
        values = self.fields.get(name)
        return (values[-1] or None) if values else None

    def texts(self, name: str) -> list[str]:
        """All the field's values, empty ones left out."""
        return [value for value in self.fields.get(name, []) if value]

    def file(self, name: str = "file") -> Upload:
        """The one file of that name. Raises InvalidRequest if there is none."""
        uploads = self.files.get(name)
        if not uploads:
            if name in self.fields:
                raise InvalidRequest(f"'{name}' must be a file with a filename.", param=name, code="invalid_type")
            raise InvalidRequest(
                f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
            )
        return uploads[0]

    def parse(self, schema: type[B], *, arrays: Iterable[str] = ()) -> B:
        """The text fields as `schema`; those named in `arrays` as lists, the others by their last value.

        Empty values count as absent. Raises InvalidRequest, as `read_json` does.
        """
        several = frozenset(arrays)
        data: dict[str, str | list[str]] = {}
        for name in self.fields:
            value = self.texts(name) if name in several else self.text(name)
            if value:
                data[name] = value
        return validate(schema, data)


async def read_form(request: Request, *, file_limit: int, task: Task | None = None) -> Form:
    """A multipart body, in memory. `file_limit`: most bytes of all its files together. task: as `read_json` has it.

    Raises UnsupportedMediaType (415), PayloadTooLarge (413) or InvalidRequest (400); for a large body, before it is
    read, also RateLimited (429), InsufficientCredits (402) or Overloaded (503).
    """
    kind = content_type(request)
    if kind != "multipart/form-data":
        found = f"Unsupported content type: {kind[:80]}." if kind else "The request has no content type."
        raise UnsupportedMediaType(f"{found} Send multipart/form-data.")
    check_charset(request.headers["content-type"])
    async with Intake(request, task) as intake:
        return await form_of(request, intake, file_limit)


async def form_of(request: Request, intake: Intake, file_limit: int, overhead: int = FORM_OVERHEAD) -> Form:
    """A multipart body by its parts. overhead: bytes it may have besides its files, in one field or in all.

    Raises what `read_form` does, but for the content type.
    """
    most = file_limit + overhead
    parser = MultiPartParser(request.headers, capped(request, intake, most, file_limit or most), max_part_size=overhead)
    parser.spool_max_size = most  # never to the disk
    try:
        parsed = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"We could not parse the form: {error.message}") from None
    form = Form({}, {})
    try:
        read = 0
        for raw_name, value in parsed.multi_items():
            name = raw_name.removesuffix("[]")
            if isinstance(value, str):
                form.fields.setdefault(name, []).append(value)
                continue
            data = await value.read()
            read += len(data)
            if read > file_limit:
                raise too_large(file_limit, read)
            said = (value.content_type or "").lower()
            form.files.setdefault(name, []).append(Upload(value.filename or "", said, data))
    finally:
        await parsed.close()
        for unfinished in parser._files_to_close_on_error:  # of a body that ends within a file
            unfinished.close()
    return form


def check_charset(content_type: str) -> None:
    """Raises InvalidRequest. The parser decodes names and texts by whatever Python calls so."""
    _, options = parse_options_header(content_type)
    charset = options.get(b"charset", b"utf-8").decode("latin-1")
    try:
        known = codecs.lookup(charset).name in CHARSETS
    except (LookupError, ValueError):  # a NUL in the name, say
        known = False
    if not known:
        raise InvalidRequest(f"The form's charset '{charset[:40]}' is not read here. Send utf-8.")


async def capped(request: Request, intake: Intake, limit: int, shown: int) -> AsyncGenerator[bytes, None]:
    """The body's chunks until there are more than `limit` bytes of them; `shown` is the limit in the message.

    A compressed body counts as what it is decompressed to.
    """
    coding = request.headers.get("content-encoding", "")
    decoded = decoder(coding)
    announced = request.headers.get("content-length", "")
    length = int(announced) if announced.isdigit() else 0
    if length > limit:
        raise too_large(shown, length)
    if length > LARGE:
        await intake.enter(limit if coding else length)
    read = breaths = 0
    async for chunk in request.stream():
        for piece in decoded.pieces(chunk):
            read += len(piece)
            if read > limit:
                raise too_large(shown, read)
            if read > LARGE and not intake.large:
                await intake.enter(limit)
            if read // BREATH > breaths:  # a compressed chunk may stand for all of a body
                breaths = read // BREATH
                await asyncio.sleep(0)
            yield piece
    decoded.end()


def too_large(limit: int, read: int) -> PayloadTooLarge:
    # The OpenAI API's own wording, which clients look for.
    return PayloadTooLarge(f"Maximum content size limit ({limit}) exceeded ({read} bytes read)")


def content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
