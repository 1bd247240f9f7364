"""A multipart form with one file that goes to the disk as it comes: never the whole of it in memory."""

from collections.abc import Callable
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from server.api.body import FORM_OVERHEAD
from server.errors import InvalidRequest

MOST_PARTS = 64
FIELD = "file"
"""The name of the part that is the file."""


class Sink(Protocol):
    """Where the file goes."""

    def write(self, data: bytes | memoryview) -> None: ...


class UploadForm:
    """The form so far. `feed` is for a thread: it parses, and writes to the disk.

    fields: the other parts, the last of each name. filename: what the client calls the file; None before it came. The
    parts may come in any order.
    """

    def __init__(self, content_type: str, sink: Sink) -> None:
        """content_type: the header, of a charset that `check_charset` lets pass. Raises InvalidRequest."""
        _, options = parse_options_header(content_type)
        if not (boundary := options.get(b"boundary")):
            raise InvalidRequest("We could not parse the form: its content type names no boundary.")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._sink = sink
        self._name = ""
        self._is_file = False
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._field = bytearray()
        self._parts = 0
        self._read = 0
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._into(self._header),
                    "on_header_value": self._into(self._value),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _broken(error) from None

    def feed(self, data: bytes) -> None:
        """The form's next bytes. Raises InvalidRequest, and what the sink does."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _broken(error) from None

    def finish(self) -> str:
        """All of it has come: the file's name. Raises InvalidRequest where it ends too early or has no file."""
        if not self._ended:
            raise InvalidRequest("We could not parse the form: it ends too early.")
        if self.filename is None and FIELD in self.fields:
            raise InvalidRequest(f"'{FIELD}' must be a file with a filename.", param=FIELD, code="invalid_type")
        if self.filename is None:
            raise InvalidRequest(
                f"Missing required parameter: '{FIELD}'.", param=FIELD, code="missing_required_parameter"
            )
        return self.filename

    # ------------------------------------------------------------ the parser calls

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise InvalidRequest(f"The form has more than {MOST_PARTS} parts.")
        self._disposition = b""

    def _into(self, kept: bytearray) -> Callable[[bytes, int, int], None]:
        def take(data: bytes, start: int, end: int) -> None:
            kept.extend(memoryview(data)[start:end])

        return take

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise InvalidRequest("We could not parse the form: a part of it has no name.")
        self._name = _decoded(options[b"name"])
        # Browsers send a file without a name where none was chosen.
        self._is_file = bool(options.get(b"filename"))
        if not self._is_file:
            return
        if self._name != FIELD:
            raise InvalidRequest(f"'{self._name[:80]}' is no file here: send it as '{FIELD}'.", param=self._name[:80])
        if self.filename is not None:
            raise InvalidRequest("There can be one file only.", param=FIELD)
        self.filename = _decoded(options[b"filename"])

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = memoryview(data)[start:end]
        if self._is_file:
            self._sink.write(piece)
            return
        self._read += len(piece)
        if self._read > FORM_OVERHEAD:
            raise InvalidRequest(f"The form's fields have more than {FORM_OVERHEAD} bytes.", param=self._name[:80])
        self._field.extend(piece)

    def _end_part(self) -> None:
        if not self._is_file:
            self.fields[self._name] = _decoded(self._field)
        self._field.clear()

    def _end(self) -> None:
        self._ended = True


def _decoded(text: bytes | bytearray) -> str:
    """UTF-8 as browsers and clients send it; else each byte as a sign, so that any name is one."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _broken(error: FormParserError) -> InvalidRequest:
    return InvalidRequest(f"We could not parse the form: {error}.")
