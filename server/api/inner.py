"""Requests in process: the server asks its own application, as a client would, but without the network.

Everything is as with any request: what is refused and how, the models and scopes of the key, what it costs, the error
envelope, the log line, the metrics, the trace. What is there for the sake of the network is not met: there is no key to
look up, no body that comes slowly, and nobody who hangs up.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message

from server.api.context import KEY as RECORD
from server.api.inner_request import KEY, Inner

JSON = (b"content-type", b"application/json")


class InnerRequest:
    """A POST of JSON to the application. Send it once. Whoever is cancelled while it is sent has ended it.

    Nothing is paid for one that is ended or fails, unless it was `settled` before.
    """

    def __init__(self, app: ASGIApp, path: str, body: bytes, inner: Inner) -> None:
        """path: canonical, as `/v1/chat/completions`."""
        self.status = 0
        """Of the answer; 0 until it begins."""
        self.headers: Mapping[str, str] = {}
        self._app = app
        self._body: bytes | None = body
        self._answer: list[bytes] = []
        self._whole = False
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [JSON, (b"content-length", str(len(body)).encode())],
            "client": None,
            "server": None,
            KEY: inner,
        }

    async def send(self) -> bytes:
        """The answer's body; `status` and `headers` are known then. Raises what breaks an answer off."""
        await self._app(self._scope, self._receive, self._take)
        if not self._whole:
            raise ConnectionError("the application ended without an answer")
        return b"".join(self._answer)

    @property
    def settled(self) -> bool:
        """Whether the books have it as paid, or as used, whatever became of its answer."""
        record = self._scope.get(RECORD)
        return record is not None and record.run is not None and record.run.settled

    async def _receive(self) -> Message:
        if self._body is None:  # nobody hangs up
            await asyncio.get_running_loop().create_future()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", ())
            self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        else:
            self._answer.append(message.get("body", b""))
            self._whole = not message.get("more_body", False)
