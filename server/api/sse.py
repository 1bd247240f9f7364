"""Answers that are streamed while a Run works: raw bytes, and server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

import anyio
import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.api.errors import as_sagehold_error, body_of
from server.api.lifetime import while_receiving
from server.pipeline.run import ClientGone

DONE = b"data: [DONE]\n\n"

KEEP_ALIVE = 5.0
"""Seconds without an event after which a comment is sent: proxies and clients give up on a silent connection."""


def frame(obj: Any) -> bytes:
    """One event: a `data:` line with `obj` as JSON, and a blank line."""
    return b"data: " + orjson.dumps(obj) + b"\n\n"


def named_frame(event: str, obj: Any) -> bytes:
    """One event with a name, as the images and responses APIs send it."""
    return b"event: " + event.encode() + b"\ndata: " + orjson.dumps(obj) + b"\n\n"


class Closing(Protocol):
    """What is held for as long as an answer is sent: a Run, mostly."""

    def fail(self) -> None:
        """The answer could not be given whole, and not because its client left."""
        ...

    async def aclose(self) -> None: ...

    @property
    def progress(self) -> str:
        """What is being done, in a few words."""
        ...


class RunResponse(Response):
    """Sends each chunk as it comes; then, on every path, closes the chunks and the Run.

    A client that hangs up cancels the chunks wherever they wait. An error after the first byte can't be told
    within a file, so it breaks the connection: the client must not take the torn answer for a whole one.
    """

    def __init__(
        self,
        run: Closing,
        chunks: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self._run = run
        self._chunks = chunks
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        try:
            await while_receiving(receive, self._send_all(send))
        except ClientGone:
            raise
        except BaseException:
            self._run.fail()
            raise
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    await self._chunks.aclose()
                finally:
                    await self._run.aclose()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._send_chunks(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_chunks(self, send: Send) -> None:
        async for chunk in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


class SseResponse(RunResponse):
    """Server-sent events. An error after the first byte is an event of its own, then `terminator`."""

    def __init__(
        self,
        run: Closing,
        frames: AsyncGenerator[bytes, None],
        *,
        headers: Mapping[str, str] | None = None,
        terminator: bytes = b"",
    ) -> None:
        """`frames` yields whole frames, terminator included on the good path; see `frame`."""
        told = {"cache-control": "no-cache", "x-accel-buffering": "no", **(headers or {})}
        super().__init__(run, frames, media_type="text/event-stream", headers=told)
        self._terminator = terminator
        self._now = asyncio.get_running_loop().time
        self._last = self._now()

    async def _send_chunks(self, send: Send) -> None:
        beating = asyncio.create_task(self._beat(send))
        try:
            async for chunk in self._chunks:
                self._last = self._now()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except Exception as raised:  # noqa: BLE001 - told to the client, and logged if it is a bug
            self._run.fail()
            event = b"data: " + body_of(as_sagehold_error(raised)) + b"\n\n"
            await send({"type": "http.response.body", "body": event + self._terminator, "more_body": True})
        finally:
            beating.cancel()
            await asyncio.wait([beating])

    async def _beat(self, send: Send) -> None:
        """Comments, which clients ignore, while nothing else is sent; they tell which pass is at work."""
        while True:
            await asyncio.sleep(self._last + KEEP_ALIVE - self._now())
            if self._now() - self._last >= KEEP_ALIVE:
                self._last = self._now()
                comment = f": {self._run.progress}\n\n".encode()
                await send({"type": "http.response.body", "body": comment, "more_body": True})
