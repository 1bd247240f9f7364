"""The OpenAI error envelope: the one place where the error tree is rendered for `/v1`."""

import logging
from http import HTTPStatus

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.context import record_of
from server.errors import InternalError, InvalidRequest, MethodNotAllowed, NotFound, SageholdError

log = logging.getLogger(__name__)


def body_of(error: SageholdError) -> bytes:
    """`{"error": {message, type, param, code}}`, the shape of every refusal."""
    return _envelope(error.message, error.type, error.param, error.code)


def error_response(error: SageholdError) -> Response:
    return Response(body_of(error), error.status, error.headers, "application/json")


def as_sagehold_error(error: Exception) -> SageholdError:
    """The error to tell the client. What is not in the tree is a bug: logged in full, told as a bare 500."""
    if not isinstance(error, SageholdError):
        log.error("unhandled error", exc_info=error)
        return InternalError()
    if isinstance(error, InternalError):
        log.error("%s", error, exc_info=error)
    elif error.status >= 500:
        log.warning("%s: %s", type(error).__name__, error.message)
    return error


def install(app: FastAPI) -> None:
    """Make every refusal of the app an envelope. What is in no handler here, `Guard` catches."""

    @app.exception_handler(SageholdError)
    async def told(_: Request, error: SageholdError) -> Response:
        return error_response(as_sagehold_error(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        # Only query and path parameters come this way: bodies are read by server/api/body.py.
        first = error.errors()[0]
        param = str(first["loc"][-1])
        return error_response(InvalidRequest(f"Invalid value for '{param}': {first['msg']}.", param=param))

    @app.exception_handler(HTTPException)
    async def routed(request: Request, error: HTTPException) -> Response:
        """What the router itself refuses: unknown URLs and methods."""
        path = record_of(request.scope).path[:200]
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.NOT_FOUND:
            return error_response(NotFound(f"Invalid URL ({request.method} {path})", code="unknown_url"))
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return error_response(MethodNotAllowed(f"Not allowed to {request.method} on {path}.", headers=headers))
        kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
        body = _envelope(HTTPStatus(error.status_code).phrase, kind, None, None)
        return Response(body, error.status_code, headers, "application/json")


class Guard:
    """The last net, round the whole app: what no handler knows is logged in full and told as a bare 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except ClientDisconnect:
            raise
        except Exception as error:
            told = as_sagehold_error(error)
            if started or scope["type"] != "http":
                raise  # the server breaks the connection: a torn answer must not look whole
            await error_response(told)(scope, receive, send)


def _envelope(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})
