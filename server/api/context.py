"""What surrounds every request: its id, its headers, its log line and its metrics."""

import time
import uuid

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.observability import Metrics, RequestRecord, log_request, request_id

KEY = "sagehold.record"
API_VERSION = "2020-10-01"
"""The value the OpenAI API itself sends as `openai-version`."""
CLIENT_CLOSED = 499
"""In logs and metrics only: nobody was there to be told a status. The number is nginx's."""


def record_of(scope: Scope) -> RequestRecord:
    """The record of the request that `scope` belongs to."""
    record = scope.get(KEY)
    if record is None:  # an app without the middleware, in a test
        record = scope[KEY] = RequestRecord(id=new_id(), method=scope.get("method", ""), path=scope.get("path", ""))
    assert isinstance(record, RequestRecord)
    return record


def new_id() -> str:
    return f"req_{uuid.uuid4().hex}"


class RequestContext:
    """Outermost: names the request, times it, and tells the log and the metrics how it ended."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = scope[KEY] = RequestRecord(id=new_id(), method=scope["method"], path=scope["path"])
        token = request_id.set(record.id)

        async def named_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = record.id
                headers["openai-version"] = API_VERSION
                headers["openai-processing-ms"] = str(round((time.perf_counter() - record.started) * 1000))
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
            self._metrics.request_ended(record)
            request_id.reset(token)
