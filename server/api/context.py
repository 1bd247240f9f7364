"""What surrounds every request: its id, its headers, its log line and its metrics."""

import os
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.dialect import dialect_of
from server.api.forwarded import TrustedProxies
from server.api.inner_request import inner_of
from server.api.paths import canonical
from server.observability import Metrics, RequestRecord, log_request, request_id
from server.observability.logs import PROBES
from server.observability.tracing import Tracing

KEY = "sagehold.record"
SEND = "sagehold.send"
CLIENT_CLOSED = 499
"""In logs and metrics only: nobody was there who could have got a status. The number is nginx's."""


def record_of(scope: Scope) -> RequestRecord:
    """The record of the request that `scope` belongs to."""
    record = scope.get(KEY)
    if record is None:  # a websocket, or an app without the middleware, in a test
        record = scope[KEY] = RequestRecord(id=new_id(), method=scope.get("method", ""), path=scope.get("path", ""))
    assert isinstance(record, RequestRecord)
    return record


def server_send(scope: Scope, send: Send) -> Send:
    """The HTTP server's own `send`, for the body's messages of a long stream: no layer looks at them.

    Four layers and more pass each message on. What they do, headers and notes, they do when an answer starts: `send`,
    which leads through them, must be called for that. The way round them saves 0.3 of 5 µs a chunk, and more with CORS.
    """
    directly: Send = scope.get(SEND, send)
    return directly


def new_id() -> str:
    return f"req_{os.urandom(16).hex()}"


class RequestContext:
    """Outermost: names the request, times it, and hands its record to the log and the metrics when it has ended.

    From here on the path is the canonical one, by which routes and dialects are found; the record keeps the client's.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, proxies: TrustedProxies | None = None, tracing: Tracing | None = None
    ) -> None:
        """proxies: whose word for the client's address is taken; None takes no one's. tracing: None traces nothing."""
        self._app = app
        self._metrics = metrics
        self._proxies = proxies
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path, scope["path"] = scope["path"], canonical(scope["path"])
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._proxies is not None:
            self._proxies.resolve(scope)
        inner = inner_of(scope)
        name = new_id() if inner is None else inner.reference
        record = scope[KEY] = RequestRecord(id=name, method=scope["method"], path=path)
        if inner is not None:
            record.key_id, record.inner = inner.caller.key_id, True
        if (client := scope.get("client")) is not None:
            record.client = client[0]
        scope[SEND] = send
        trace = None
        if self._tracing is not None and scope["path"] not in PROBES:
            trace = self._tracing.begin(record, scope["headers"])
        token = request_id.set(record.id)

        async def named_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = record.refused or message["status"]
                milliseconds = round((time.perf_counter() - record.started) * 1000)
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", record.id.encode()),
                    *dialect_of(scope).headers(milliseconds),
                ]
            await send(message)

        try:
            await self._app(scope, receive, named_send)
        except ClientDisconnect:
            record.status = CLIENT_CLOSED
        except BaseException:
            record.status = 500
            raise
        finally:
            record.route = getattr(scope.get("route"), "path", "unknown")
            record.seconds = time.perf_counter() - record.started
            log_request(record)
            if trace is not None:
                trace.end()
            self._metrics.request_ended(record)
            request_id.reset(token)
