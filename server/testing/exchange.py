"""One request to an application in process, whose answer is watched as it comes."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self

from starlette.types import ASGIApp


class Exchange:
    """One request and its answer, piece by piece; the client can hang up at any point.

    `async with` sends it; leaving the block hangs up and waits until the application has let go.
    """

    def __init__(self, app: ASGIApp, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        self._app = app
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
        }
        self._body = body
        self._sent = False
        self._gone = asyncio.Event()
        self._arrived = asyncio.Event()
        self._arrived.set()
        self.asked = asyncio.Event()
        """Set once the application has asked for the body."""
        self._answer: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.hang_up()
        assert self._task is not None
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            await self._app(self.scope, self._receive, self._send)
        finally:
            self._answer.put_nowait(None)
            self._gone.set()

    async def _receive(self) -> dict[str, Any]:
        self.asked.set()
        await self._arrived.wait()
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self._answer.put_nowait(message)

    @property
    def task(self) -> asyncio.Task[None]:
        """The request's task, as the HTTP server has it."""
        assert self._task is not None
        return self._task

    def hold_body(self) -> None:
        """Keep the body back until `let_body`. To be called before the application runs."""
        self._arrived.clear()

    def let_body(self) -> None:
        self._arrived.set()

    def hang_up(self) -> None:
        self._gone.set()

    async def start(self) -> int:
        """The answer's status, once it begins. Raises what the application raised instead of answering."""
        message = await self._answer.get()
        if message is None:
            await self.ended()
            raise ConnectionError("the application ended without an answer")
        self.status = message["status"]
        self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        return self.status

    async def chunk(self) -> bytes | None:
        """The next piece of the body; None at its end, or where it broke off."""
        while (message := await self._answer.get()) is not None:
            if message["body"]:
                body: bytes = message["body"]
                return body
            if not message.get("more_body", False):
                return None
        return None

    def unread(self) -> list[Any]:
        """What has been answered and not yet taken; None for the end of the exchange."""
        return [self._answer.get_nowait() for _ in range(self._answer.qsize())]

    def cancel(self) -> None:
        """Cancel the request's task, as a server does that can't wait any longer."""
        assert self._task is not None
        self._task.cancel()

    async def ended(self) -> None:
        """Return when the application has let go of the request. Raises what it raised."""
        assert self._task is not None
        await self._task
