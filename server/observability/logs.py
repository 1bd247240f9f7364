"""Log lines, each with its request's id. Keys, prompts and answers are in none of them."""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

from server.errors import SageholdError
from server.observability.record import RequestRecord, request_id

access = logging.getLogger("sagehold.access")

SERVER = "uvicorn.error"
"""The HTTP server's own logger. It logs whatever an application raises, with the trace (uvicorn, run_asgi)."""
MARK = "logged_by_sagehold"
"""The attribute that an exception has once its trace is in the log."""


def configure_logging(level: str, style: str) -> None:
    """Send every logger to stderr, each line with its request id. style: text or json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    handler.addFilter(TraceOnce())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in ("vllm", "httpx", "httpcore", "asyncio", "multipart", "python_multipart", "aiosqlite", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


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


class TextLines(logging.Formatter):
    """`2026-01-31 12:00:00.123+01:00 INFO req_… server.app: message`; line breaks in messages are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created).astimezone()
        stamp = when.isoformat(sep=" ", timespec="milliseconds")
        message = record.getMessage().replace("\n", "\\n").replace("\r", "\\r")
        line = f"{stamp} {record.levelname} {request_id.get()} {record.name}: {message}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, request_id, message, the request's own fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": request_id.get(),
            "message": record.getMessage(),
            **getattr(record, "request", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def log_request(record: RequestRecord) -> None:
    """The request's own line: method, path, status, milliseconds, and model and tokens where there are any."""
    if not access.isEnabledFor(logging.INFO):
        return
    facts: dict[str, Any] = {
        "method": record.method,
        "path": record.path[:200],
        "status": record.status,
        "ms": round(record.seconds * 1000, 1),
    }
    if model := record.model or record.asked_model:
        facts["model"] = model[:128]
    if record.key_id is not None:
        facts["key"] = record.key_id
    if (first := record.first_token_seconds) is not None:
        facts["first_ms"] = round(first * 1000, 1)
    facts |= record.amounts()
    text = " ".join([f"{name}={_plain(value)}" for name, value in facts.items()])
    access.info(text, extra={"request": facts})


def _plain(value: object) -> str:
    """As it is, or quoted if it holds spaces or worse: what clients send must not look like other fields."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)
