"""Answers that are made while a run works: it is opened, sent piece by piece and closed within the response."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Generic, Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from server.api.bursts import send_each
from server.api.context import server_send
from server.api.lifetime import apart_while_receiving


class Rendered(Protocol):
    """What a response itself reads from its run."""

    @property
    def headers(self) -> dict[str, str]: ...

    @property
    def progress(self) -> str:
        """What is being done, in a few words."""
        ...


R = TypeVar("R", bound=Rendered)


class RunResponse(Response, Generic[R]):
    """A file, each chunk of which is sent as it is made.

    What is raised before the first chunk still has a status of its own. An error after it can't be said within a file,
    so it breaks the connection: the client must not take the torn answer for a whole one. A client that hangs up
    cancels the opening, or the chunks, wherever they wait. On every path the chunks are closed, then the run.
    """

    def __init__(
        self,
        opening: AbstractAsyncContextManager[R],
        render: Callable[[R], AsyncGenerator[bytes, None]],
        *,
        media_type: str,
    ) -> None:
        """render: the chunks of the opened run."""
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self._opening = opening
        self._render = render
        self.init_headers()

    def start(self, headers: Mapping[str, str]) -> Message:
        """The message that begins the answer."""
        self.init_headers(headers)
        return {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opening as run:
            await apart_while_receiving(receive, self._send_file(run, scope, send))

    async def _send_file(self, run: R, scope: Scope, send: Send) -> None:
        directly = server_send(scope, send)

        async def write(chunk: bytes, more: bool) -> None:
            await directly({"type": "http.response.body", "body": chunk, "more_body": more})

        async with aclosing(self._render(run)) as chunks:
            first = await anext(chunks, b"")
            await send(self.start(run.headers))
            await write(first, True)
            await send_each(chunks, write)
