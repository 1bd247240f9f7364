"""The input file of a batch: looked through once from its beginning to its end, and then read line by line."""

import os
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from server.errors import SageholdError
from server.jobs.batches.records import ENDPOINTS, LineError
from server.jobs.batches.threads import in_thread

PIECE = 4 * 2**20
"""Bytes that are looked through in one go."""
MOST_ERRORS = 100
LONGEST_ID = 512
"""Characters of a custom_id."""
MOST_NAMES = 1000
"""Of models, of which it is kept that a file names them."""
_NONE = 0xFFFF
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a line may be. endpoint: of all lines; None where each names its own.

    model_of: the model that a public name means for an endpoint. Raises SageholdError for one that is not to be used.
    check: raises SageholdError for JSON with so much in it that it is not read. most_lines: of requests, and of empty
    ones. longest: bytes of a line.
    """

    endpoint: str | None
    model_of: Callable[[str, str], str]
    check: Callable[[bytes], None]
    most_lines: int
    longest: int


@dataclass(frozen=True, slots=True)
class LineRequest:
    """A line, as it is to be run. body: JSON."""

    custom_id: str
    endpoint: str
    body: bytes


class InputFile:
    """Where each line lies, and the model that it is for: 10 bytes a line in memory, whatever the file's size.

    Lines are numbered from 1, empty ones too, which are no requests. All methods that read block: they are for threads.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._starts = array("Q", [0])
        self._models = array("H")
        self.models: list[str] = []
        """Names of the models that lines are for, in the order in which they come up."""
        self.names: set[str] = set()
        """The public names by which lines ask for them; a few at most."""
        self.total = 0
        """Requests."""

    def add(self, end: int, model: str | None) -> None:
        """The next line ends before this byte. model: None for an empty line."""
        self._starts.append(end)
        if model is None:
            self._models.append(_NONE)
            return
        self.total += 1
        if model not in self.models:
            self.models.append(model)
        self._models.append(self.models.index(model))

    def requests(self) -> Iterator[tuple[int, str]]:
        """Number and model of each."""
        for number, model in enumerate(self._models, 1):
            if model != _NONE:
                yield number, self.models[model]

    def model(self, line: int) -> str:
        return self.models[self._models[line - 1]]

    def size(self, line: int) -> int:
        """Bytes."""
        return self._starts[line] - self._starts[line - 1]

    def read(self, line: int) -> LineRequest:
        """Raises OSError."""
        start, size = self._starts[line - 1], self.size(line)
        data = orjson.loads(os.pread(self._file, size, start).removeprefix(_BOM))
        return LineRequest(data["custom_id"], data["url"], orjson.dumps(data["body"]))

    def custom_id(self, line: int) -> str:
        """Raises OSError."""
        return self.read(line).custom_id

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Scan:
    """Looks through a file, piece by piece. errors: what is wrong with it, MOST_ERRORS at most; then it ends.

    known: whether the file has been found to be in order before, by rules that may have changed since: a model that
    is not served any more has no name then, and its lines are refused one by one.
    """

    def __init__(self, path: Path, rules: Rules, *, known: bool = False) -> None:
        """Raises OSError."""
        self.file = InputFile(path)
        self.errors: list[LineError] = []
        self._rules = rules
        self._known = known
        self._reader = os.fdopen(os.dup(self.file._file), "rb", buffering=2**20)
        self._line = 0
        self._end = 0
        self._ids: set[bytes] = set()

    async def run(self) -> InputFile:
        """All of it, in a thread, in pieces between which others have their turn, and a cancellation its effect.

        The file is the caller's to close, also where there are errors. Raises OSError.
        """
        try:
            while await in_thread(self.step):
                pass
        except BaseException:
            self.file.close()
            raise
        finally:
            self._reader.close()
        if not self.errors and not self.file.total:
            self.errors.append(LineError("empty_file", "The input file has no requests."))
        return self.file

    def step(self) -> bool:
        """Look through a piece. False once there is nothing more to be found."""
        until = self._end + PIECE
        while self._end < until:
            line = self._reader.readline(self._rules.longest + 1)
            if not line:
                return False
            self._line += 1
            self._end += len(line)
            model = None
            try:
                model = self._model_of(line)
            except _Wrong as wrong:
                self.errors.append(LineError(wrong.code, wrong.message, self._line, wrong.param))
            self.file.add(self._end, model)
            if len(self.errors) >= MOST_ERRORS:
                return False
            if self._known:
                continue
            most = self._rules.most_lines
            if self.file.total > most:
                self.errors.append(LineError("too_many_tasks", f"The input file has more than {most:,} requests."))
                return False
            if self._line - self.file.total - len(self.errors) > most:
                # Each takes its ten bytes too: 200 MB of them would take two thousand.
                self.errors.append(LineError("too_many_lines", f"The input file has more than {most:,} empty lines."))
                return False
        return True

    def _model_of(self, line: bytes) -> str | None:
        """The model of a request; None for an empty line. Raises _Wrong."""
        if len(line) > self._rules.longest:
            while not line.endswith(b"\n") and (line := self._reader.readline(PIECE)):
                self._end += len(line)
            raise _Wrong("line_too_long", f"This line has more than {self._rules.longest:,} bytes.")
        if self._line == 1:
            line = line.removeprefix(_BOM)
        line = line.strip()
        if not line:
            return None
        data = self._object(line)
        self._look_at_id(data.get("custom_id"))
        self._look_at_address(data)
        return self._look_at_body(data["url"], data.get("body"))

    def _object(self, line: bytes) -> dict[str, Any]:
        try:
            self._rules.check(line)
            data = orjson.loads(line)
        except SageholdError as error:
            raise _Wrong("invalid_json_line", error.message) from None
        except orjson.JSONDecodeError:
            raise _Wrong("invalid_json_line", "This line is not parseable as valid JSON.") from None
        if not isinstance(data, dict):
            raise _Wrong("invalid_json_line", "This line is no JSON object.")
        return data

    def _look_at_id(self, found: Any) -> None:
        if found is None:
            raise _missing("custom_id")
        if not isinstance(found, str) or not 0 < len(found) <= LONGEST_ID:
            raise _Wrong("invalid_custom_id", f"A custom_id is a text of 1 to {LONGEST_ID} characters.", "custom_id")
        digest = blake2b(found.encode(), digest_size=16).digest()
        if digest in self._ids:
            message = f"The custom_id '{found[:64]}' is another request's already. Each must be unique in a batch."
            raise _Wrong("duplicate_custom_id", message, "custom_id")
        self._ids.add(digest)

    def _look_at_address(self, data: dict[str, Any]) -> None:
        for field in ("method", "url"):
            if data.get(field) is None:
                raise _missing(field)
        if data["method"] != "POST":
            raise _Wrong("invalid_method", "The method of each request is POST.", "method")
        endpoint = self._rules.endpoint
        if endpoint is not None and data["url"] != endpoint:
            raise _Wrong("invalid_url", f"The URL of each request is the endpoint of the batch, {endpoint}.", "url")
        if data["url"] not in ENDPOINTS:
            raise _Wrong("invalid_url", f"The URL of a request is one of {', '.join(ENDPOINTS)}.", "url")

    def _look_at_body(self, endpoint: str, body: Any) -> str:
        if body is None:
            raise _missing("body")
        if not isinstance(body, dict):
            raise _Wrong("invalid_type", "The body of a request is a JSON object.", "body")
        for field in ("stream", "background"):
            if body.get(field):
                message = f"A request of a batch is answered in one piece, in its file: leave `{field}` out."
                raise _Wrong("unsupported_parameter", message, f"body.{field}")
        name = body.get("model")
        if name is None:
            raise _missing("body.model")
        if not isinstance(name, str):
            raise _Wrong("invalid_type", "The name of a model is a text.", "body.model")
        if len(self.file.names) < MOST_NAMES:
            self.file.names.add(name)
        try:
            return self._rules.model_of(endpoint, name)
        except SageholdError as error:
            if self._known:
                return ""
            raise _Wrong(error.code or "invalid_value", error.message, "body.model") from None


class _Wrong(Exception):
    """A line is."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        self.code = code
        self.message = message
        self.param = param


def _missing(field: str) -> _Wrong:
    return _Wrong("missing_required_parameter", f"Missing required parameter: '{field}'.", field)
