"""Log lines, each with its request's id. Keys, prompts and answers are in none of them."""

import asyncio
import contextlib
import logging
import os
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson

from server.errors import SageholdError
from server.observability.record import RequestRecord, request_id
from server.observability.relay import LONGEST, parts, write_all

access = logging.getLogger("sagehold.access")

SERVER = "uvicorn.error"
"""The HTTP server's own logger. It logs whatever an application raises, with the trace (uvicorn, run_asgi)."""
MARK = "logged_by_sagehold"
"""The attribute that an exception has once its trace is in the log."""


CHILD = "_SAGEHOLD_LOG_LEVEL"
"""In the environment of the server's processes where they are to log in JSON: the level."""
NOISY = (
    "vllm",
    "httpx",
    "httpcore",
    "asyncio",
    "multipart",
    "python_multipart",
    "aiosqlite",
    "alembic",
    "opentelemetry",
)


def configure_logging(level: str, style: str, stderr: int = 2) -> None:
    """Send every logger to standard error, each line with its request id. style: text or json.

    stderr: the file descriptor that JSON lines go to. Warnings are lines of the log; with `json`, so are exceptions
    that nothing catches, here and in the processes that are started from now on.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines())
    if style == "json":
        handler = JsonHandler(stderr)
        os.environ[CHILD] = level
    _install(handler, level)
    handler.addFilter(TraceOnce())
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.root.level))


def configure_child(name: str | None) -> None:
    """The logging of a process that the server has started, by its environment.

    name: what the process is called in JSON lines; None takes the name that multiprocessing has for it.
    """
    if (level := os.environ.get(CHILD)) is not None:
        _install(JsonHandler(2, JsonLines(name, of_child=True)), level)
    elif name is not None:
        logging.basicConfig(level=logging.INFO, format=f"%(levelname)s {name}: %(message)s", stream=sys.stderr)


def _install(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    if isinstance(handler, JsonHandler):
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_uncaught_in_thread


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("sagehold").critical("uncaught exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is not None:
        _log_uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)


class TraceOnce(logging.Filter):
    """Keeps the HTTP server from repeating what the log has already, without its request's id.

    The guard logs what an application raised and raises it again, so that the server breaks the connection. Of the
    server's lines those are left out whose exception has been logged before, or needs no trace: errors of our own
    tree, with which the guard has dealt, and the cancellation of requests that outlast the server's end. Any other
    exception, raised outside the guard, is in no other line.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return True
        if record.name == SERVER and (
            isinstance(error, SageholdError | asyncio.CancelledError) or getattr(error, MARK, False)
        ):
            return False
        setattr(error, MARK, True)
        return True


ESCAPED = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x09} | {
    0x0A: "\\n",
    0x0D: "\\r",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
"""Characters that could end a line or steer a terminal, and what stands for them. Messages hold what clients send."""


class TextLines(logging.Formatter):
    """`2026-01-31 12:00:00.123+01:00 INFO req_… server.app: message`, and below it, indented, an exception's trace."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created).astimezone()
        stamp = when.isoformat(sep=" ", timespec="milliseconds")
        message = record.getMessage()
        if not message.isprintable():
            message = message.translate(ESCAPED)
        line = f"{stamp} {record.levelname} {request_id.get()} {record.name}: {message}"
        if record.exc_info:
            trace = self.formatException(record.exc_info).split("\n")
            line += "".join(f"\n    {one.translate(ESCAPED)}" for one in trace)
        return line


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, request_id, message, the request's own fields, exception.

    A line of the server's children has its process's name and id besides.
    """

    def __init__(self, process: str | None = None, *, of_child: bool = False) -> None:
        """process: the child's name; None for multiprocessing's."""
        super().__init__()
        self._process = process
        self._of_child = of_child

    def format(self, record: logging.LogRecord) -> str:
        return b"".join(self.lines(record)).decode().rstrip("\n")

    def lines(self, record: logging.LogRecord) -> list[bytes]:
        """The record's lines, with their ends: one, or several of which no pipe can make a mixture (relay.py)."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": request_id.get(),
            "message": record.getMessage(),
            **getattr(record, "request", {}),
        }
        if self._of_child:
            line |= {"process": self._process or record.processName, "pid": record.process}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            encoded = orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:  # half a surrogate pair, or a number of more than 64 bits
            return parts(line)
        return [encoded] if len(encoded) <= LONGEST else parts(line)


class JsonHandler(logging.Handler):
    """Writes each line at once and whole: other processes write to the same file."""

    def __init__(self, file: int, lines: JsonLines | None = None) -> None:
        super().__init__()
        self._file = file
        self._lines = lines or JsonLines()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            for line in self._lines.lines(record):
                write_all(self._file, line)
        except OSError:
            pass  # nobody reads the log any more
        except Exception:  # noqa: BLE001 - as every handler does: a wrong log call must not end what it tells of
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A log call that can't be written out, as a line of its own."""
        error = sys.exc_info()[1]
        with contextlib.suppress(OSError):
            for line in parts({
                "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
                "level": "error",
                "logger": record.name,
                "request_id": request_id.get(),
                "message": f"a line could not be written ({type(error).__name__}: {error}): {record.msg}",
            }):  # fmt: skip
                write_all(self._file, line)


def announce(message: str, facts: dict[str, Any], stdout: int) -> None:
    """A JSON line for whoever starts the server, who may wait for it: on standard output, whatever the log's level.

    It is no log line: the first key, which is shown once, passes here and through no logger.
    """
    record = logging.LogRecord("sagehold", logging.INFO, __file__, 0, message, None, None)
    vars(record)["request"] = facts
    for line in JsonLines().lines(record):
        write_all(stdout, line)


PROBES = frozenset({"/health", "/ready", "/metrics"})
"""Routes that machines ask every few seconds: their lines would hide the others."""


def log_request(record: RequestRecord) -> None:
    """The request's own line: method, path, status, milliseconds, and model and tokens where there are any."""
    level = logging.DEBUG if record.route in PROBES else logging.INFO
    if not access.isEnabledFor(level):
        return
    facts: dict[str, Any] = {
        "method": record.method,
        "path": record.path[:200],
        "status": record.status,
        "ms": round(record.seconds * 1000, 1),
    }
    if record.code is not None:
        facts["code"] = record.code
    if record.client is not None:
        facts["client"] = record.client
    if model := record.model or record.asked_model:
        facts["model"] = model[:128]
    if record.key_id is not None:
        facts["key"] = record.key_id
    if record.inner:
        facts["inner"] = True
    if (first := record.first_token_seconds) is not None:
        facts["first_ms"] = round(first * 1000, 1)
    facts |= record.amounts()
    text = " ".join([f"{name}={_plain(value)}" for name, value in facts.items()])
    access.log(level, text, extra={"request": facts})


def _plain(value: object) -> str:
    """As it is, or quoted if it holds spaces or worse: what clients send must not look like other fields."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)
