"""Server-sent events: an answer that may take long to open, falls silent for a while, and can say what went wrong."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from server.api.bursts import send_bursts, send_each
from server.api.context import server_send
from server.api.dialect import dialect_of
from server.api.errors import as_sagehold_error, note_refusal
from server.api.lifetime import apart_while_receiving
from server.api.run_response import R, Rendered, RunResponse
from server.errors import SageholdError
from server.pipeline.run import ClientGone

KEEP_ALIVE = 5.0
"""Seconds without an event after which a comment is sent: proxies and clients give up on a silent connection."""
PATIENCE = KEEP_ALIVE
"""Seconds that the opening may take before the answer begins without knowing how it goes on."""

SSE_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def comment(progress: str) -> bytes:
    """A line that clients pass over."""
    return f": {progress}\n\n".encode()


def frame(obj: Any) -> bytes:
    """One event: a `data:` line with `obj` as JSON, and a blank line."""
    return b"data: " + orjson.dumps(obj) + b"\n\n"


def named_frame(event: str, obj: Any) -> bytes:
    """One event with a name, as the images and responses APIs send it."""
    return b"event: " + event.encode() + b"\ndata: " + orjson.dumps(obj) + b"\n\n"


class SseResponse(RunResponse[R]):
    """Events of a run, each sent as it is made.

    What the opening raises within PATIENCE has its status, as of any request. Afterwards the answer begins with 200 and
    comments, since a client or proxy that hears nothing for a minute hangs up, and the model would have been loaded for
    nothing. It then lacks the headers that a run gives, and an error is an event. See
    docs/decisions/008-late-streams.md.
    """

    def __init__(
        self,
        opening: AbstractAsyncContextManager[R],
        render: Callable[[R], AsyncGenerator[bytes, None]],
        *,
        terminated: bool = False,
        gathered: bool = False,
        media_type: str = "text/event-stream",
        comment: Callable[[str], bytes] = comment,
        failing: Callable[[SageholdError], bytes] | None = None,
    ) -> None:
        """render: whole frames of the opened run, the terminator included. terminated: whether the dialect's terminator
        ends this kind of stream, so that it must also follow an error. gathered: frames that are ready together leave
        together, for streams of many small ones. media_type, comment: of a dialect whose streams have another form;
        what breaks a silence is made of what is being done. failing: the last events
        of a stream that fails, where they are not the dialect's one."""
        super().__init__(opening, render, media_type=media_type)
        self.comment = comment
        self.terminated = terminated
        self.failing = failing
        self._sending = send_bursts if gathered else send_each

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = _Stream(self, scope, send)
        said: Exception | None = None
        try:
            async with self._opening as run:
                stream.rendered = run
                await stream.begin(run.headers)
                try:
                    await apart_while_receiving(receive, self._send_frames(run, stream))
                except ClientGone:
                    raise
                except Exception as raised:
                    said = raised
                    await stream.fail(raised)
                    raise  # so that the run is closed as one that has failed
        except ClientGone:
            raise
        except Exception as raised:
            if raised is said:
                return
            if not stream.begun or stream.ended:
                raise
            await stream.fail(raised)  # the opening took long, and then failed
        finally:
            await stream.aclose()

    async def _send_frames(self, run: R, stream: "_Stream") -> None:
        async with aclosing(self._render(run)) as frames:
            await self._sending(frames, stream.write)


class _Stream:
    """The answer as it is written, and the comments in its silences, which clients ignore and which say what is done.

    There is one timer for all comments of a stream: a write only notes when the next one is due.
    """

    def __init__(self, response: SseResponse[Any], scope: Scope, send: Send) -> None:
        self.begun = False
        self.ended = False
        self.rendered: Rendered | None = None
        self._response = response
        self._scope = scope
        self._dialect = dialect_of(scope)
        self._send = send
        self._send_body = server_send(scope, send)
        self._commenting: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + PATIENCE
        self._timer = self._loop.call_later(PATIENCE, self._on_time)

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Send the start, unless a comment came before it."""
        await self._commented()
        if not self.begun:
            self._timer.cancel()
            self._due = self._loop.time() + KEEP_ALIVE
            self._timer = self._loop.call_at(self._due, self._on_time)
            await self._begin(headers)

    async def write(self, body: bytes, more: bool) -> None:
        self._due = self._loop.time() + KEEP_ALIVE
        self.ended = not more
        if self._commenting is not None:
            await self._commented()
        await self._send_body({"type": "http.response.body", "body": body, "more_body": more})

    async def fail(self, raised: Exception) -> None:
        """Say the error in the stream, which ends with it."""
        shown = as_sagehold_error(raised)
        note_refusal(self._scope, shown)
        event = (self._response.failing or self._dialect.error_event)(shown)
        await self.write(event + (self._dialect.terminator if self._response.terminated else b""), False)

    async def aclose(self) -> None:
        self._timer.cancel()
        if self._commenting is not None:
            self._commenting.cancel()
            await asyncio.wait([self._commenting])

    def _on_time(self) -> None:
        if self.ended:
            return
        now = self._loop.time()
        if now >= self._due:
            self._due = now + KEEP_ALIVE
            if self._commenting is None or self._commenting.done():  # it waits for a client that reads too slowly
                self._commenting = self._loop.create_task(self._comment(), name="comment in a silent stream")
        self._timer = self._loop.call_at(self._due, self._on_time)

    async def _comment(self) -> None:
        if self.ended:  # since the comment was due
            return
        if not self.begun:
            await self._begin({})
        progress = "waiting for the model" if self.rendered is None else self.rendered.progress
        await self._send_body(
            {"type": "http.response.body", "body": self._response.comment(progress), "more_body": True}
        )

    async def _commented(self) -> None:
        """Return when the comment under way is sent, or the answer's start, which comes with the first one."""
        commenting = self._commenting
        if commenting is not None:
            await commenting
            if self._commenting is commenting:
                self._commenting = None

    async def _begin(self, headers: Mapping[str, str]) -> None:
        self.begun = True  # before it is sent: a comment that comes meanwhile must not begin the answer again
        try:
            await self._send(self._response.start({**SSE_HEADERS, **headers}))
        except BaseException:
            self.begun = False
            raise
