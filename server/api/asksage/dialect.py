"""The Ask Sage API's own ways: a key in `x-access-tokens`, and `{"response": …, "status": n}` for whatever happens."""

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.api.asksage.not_served import instead_of
from server.api.context import record_of
from server.api.dialect import Dialect
from server.errors import AccountClosed, NotAuthenticated, SageholdError

HEADER = "x-access-tokens"
SEPARATOR = b"@|@sep@|@"
"""Between the objects of a stream. Within one it stands as ESCAPED."""
ESCAPED = b"@|@@sep@@|@"

MISSING, UNKNOWN = "Token is invalid [1]", "Token is invalid [2]"
"""The service's own words, by which clients know that a token must be renewed."""


class AskSage(Dialect):
    """Errors come with HTTP status 200 and their own in the body, as the service sends them; or, if `strict`, with
    their own for both. Their headers, `Retry-After` among them, stay either way, and so do the log and the metrics.

    A token that is missing or wrong is 400 in the service's bodies, and 401 here where the status is real.
    """

    prefixes: ClassVar[Sequence[str]] = ("/server", "/user")

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict

    def credentials(self, connection: HTTPConnection) -> str | None:
        """The key or the token in `x-access-tokens`; else in `Authorization: Bearer …`, which the service refuses."""
        token = connection.headers.get(HEADER, "").strip()
        if token:
            return token
        scheme, _, key = connection.headers.get("authorization", "").strip().partition(" ")
        return (key.strip() or None) if scheme.lower() == "bearer" else None

    def refusal(self, error: SageholdError) -> Response:
        return _Refusal(error, strict=self._strict)

    def error_event(self, error: SageholdError) -> bytes:
        """As the last object of a stream."""
        return packed(envelope(error, strict=self._strict)) + SEPARATOR

    def instead_of(self, path: str) -> str | None:
        return instead_of(path)


class _Noted(Response):
    """An answer whose status, for the log and the metrics, is not HTTP's."""

    def __init__(self, value: Any, noted: int, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._noted = noted
        super().__init__(json_bytes(value), status, headers, "application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record_of(scope).refused = self._noted
        await super().__call__(scope, receive, send)


class _Refusal(_Noted):
    def __init__(self, error: SageholdError, *, strict: bool) -> None:
        shown = error.status if strict else 200
        super().__init__(envelope(error, strict=strict), error.status, shown, error.headers)


class Outcome(_Noted):
    """An outcome that is HTTP's 200 whatever the setting: in the body, the log and the metrics it is `status`."""

    def __init__(self, response: str, status: int) -> None:
        super().__init__({"response": response, "status": status}, status)


def envelope(error: SageholdError, *, strict: bool) -> dict[str, Any]:
    """`error` and `param` are ours: the code that the OpenAI routes would send, and the field that is at fault."""
    shown = {"response": error.message, "status": error.status, "error": error.code or error.type}
    if isinstance(error, NotAuthenticated) and not isinstance(error, AccountClosed):
        shown["status"] = error.status if strict else 400
        if error.code in (None, "invalid_api_key"):
            shown["response"] = MISSING if error.code is None else UNKNOWN
    if error.param is not None:
        shown["param"] = error.param
    return shown


def json_bytes(value: Any) -> bytes:
    """As the service writes it: keys in order, and a newline at the end."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def packed(value: Any) -> bytes:
    """An object of a stream, in which the separator can't be."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).replace(SEPARATOR, ESCAPED)


def answered(value: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(json_bytes(value), headers=headers, media_type="application/json")


def said(response: Any) -> Response:
    """The answer of most endpoints: `{"response": …, "status": 200}`."""
    return answered({"response": response, "status": 200})
