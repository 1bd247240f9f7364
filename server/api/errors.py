"""Where an error becomes an answer: each in the words of the request's dialect (server/api/dialect.py)."""

import asyncio
import logging
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from server.api.context import record_of
from server.api.dialect import Dialects, dialect_of
from server.errors import InternalError, InvalidRequest, MethodNotAllowed, NotFound, SageholdError, ServerStopping
from server.pipeline.shutdown import Shutdown, taken_back

log = logging.getLogger(__name__)

POLICY_VIOLATION, SERVER_ERROR, TRY_AGAIN_LATER = 1008, 1011, 1013
"""Codes of RFC 6455 with which a websocket is closed."""
PROBES = ("/health", "/ready", "/version", "/metrics")
"""Canonical paths that are answered to the very end: whoever watches the server wants to see how it ends."""
MOST_REASON = 123
"""Bytes of a websocket's closing reason."""


def as_sagehold_error(error: Exception) -> SageholdError:
    """The error that the client is shown. What is not in the tree is a bug: logged in full, shown as a bare 500."""
    if not isinstance(error, SageholdError):
        log.error("unhandled error", exc_info=error)
        return InternalError()
    if isinstance(error, InternalError):
        log.error("%s", error, exc_info=error)
    elif error.status >= 500:
        log.warning("%s: %s", type(error).__name__, error.message)
    return error


def note_refusal(scope: Scope, error: SageholdError) -> None:
    """Put the error's code, or its type where it has none, into the request's line of the log."""
    record_of(scope).code = error.code or error.type


class RouterError(SageholdError):
    """What the router refuses besides unknown URLs and methods: the status is all that is known."""

    def __init__(self, error: HTTPException) -> None:
        super().__init__(HTTPStatus(error.status_code).phrase, headers=dict(error.headers or {}))
        self.status = error.status_code
        self.type = "server_error" if error.status_code >= 500 else "invalid_request_error"


def install(app: FastAPI, dialects: Dialects) -> None:
    """Make every refusal of the app one of its dialects'. What is in no handler here, `Guard` catches."""
    app.state.dialects = dialects

    @app.exception_handler(SageholdError)
    async def refused(connection: HTTPConnection, error: SageholdError) -> Response | None:
        return await _refuse(connection, as_sagehold_error(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response | None:
        # Only query and path parameters come this way: bodies are read by server/api/body.py.
        first = error.errors()[0]
        param = str(first["loc"][-1])
        return await _refuse(request, InvalidRequest(f"Invalid value for '{param}': {first['msg']}.", param=param))

    @app.exception_handler(HTTPException)
    async def routed(connection: HTTPConnection, error: HTTPException) -> Response | None:
        """What the router itself refuses: unknown URLs and methods."""
        return await _refuse(connection, _of_router(connection, error))


async def _refuse(connection: HTTPConnection, error: SageholdError) -> Response | None:
    """The answer to a request; None for a websocket, which is closed.

    A websocket that is not accepted yet gets the same answer as a request, if the HTTP server can send one instead of
    the handshake; otherwise, and once it is accepted, it is closed with one of the codes above and the error's code.
    """
    answer = dialect_of(connection.scope).refusal(error)
    note_refusal(connection.scope, error)
    if not isinstance(connection, WebSocket):
        return answer
    unaccepted = connection.application_state is WebSocketState.CONNECTING
    if unaccepted and "websocket.http.response" in connection.scope.get("extensions", {}):
        await connection.send_denial_response(answer)
    elif connection.application_state is not WebSocketState.DISCONNECTED:
        code = POLICY_VIOLATION if error.status < 500 else TRY_AGAIN_LATER if error.status == 503 else SERVER_ERROR
        await connection.close(code, (error.code or error.type)[:MOST_REASON])
    return None


def _of_router(connection: HTTPConnection, error: HTTPException) -> SageholdError:
    method, path = connection.scope.get("method", "GET"), record_of(connection.scope).path[:200]
    if error.status_code == HTTPStatus.NOT_FOUND:
        instead = dialect_of(connection.scope).instead_of(connection.scope["path"])
        message = f"Invalid URL ({method} {path})"
        return NotFound(
            f"{message}: this server does not have it. {instead}" if instead else message, code="unknown_url"
        )
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {**(error.headers or {}), "Allow": ", ".join(_allowed(connection))}
        return MethodNotAllowed(f"Not allowed to {method} on {path}.", headers=headers)
    return RouterError(error)


def _allowed(connection: HTTPConnection) -> list[str]:
    """The methods of a path, over all of its routes: Starlette tells those of the first alone (RFC 9110, 10.2.1)."""
    app: FastAPI = connection.scope["app"]
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    found = [route.methods for route in routes if route.matches(connection.scope)[0] is Match.PARTIAL]
    return sorted(set().union(*found))


class Guard:
    """Round the whole app: refuses what comes once the server's end has begun, and is the last net for errors.

    What no handler knows is logged in full and shown as a bare 500.
    """

    def __init__(self, app: ASGIApp, shutdown: Shutdown | None = None) -> None:
        self._app = app
        self._shutdown = shutdown or Shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._shutdown.begun and scope["type"] == "http" and scope["path"] not in PROBES:
            await dialect_of(scope).refusal(ServerStopping())(scope, receive, send)
            return
        started = False

        async def noting_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except ClientDisconnect:
            raise
        except asyncio.CancelledError:
            if not taken_back():
                raise
            if started or scope["type"] != "http":
                raise ServerStopping from None
            await dialect_of(scope).refusal(ServerStopping())(scope, receive, send)
        except Exception as raised:  # noqa: BLE001 - raised again, or shown
            # Starlette wraps what it would have a handler for, had the answer not started.
            error = raised.__cause__ if started and isinstance(raised.__cause__, SageholdError) else raised
            shown = as_sagehold_error(error)
            if started or scope["type"] != "http":
                raise error from None  # the server breaks the connection: a torn answer must not look whole
            note_refusal(scope, shown)
            await dialect_of(scope).refusal(shown)(scope, receive, send)
