"""A stream for a job that may take long to open, since its model is being loaded or others are before it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response

from server.api.lifetime import while_connected
from server.api.sse import KEEP_ALIVE, SseResponse
from server.pipeline.run import Run

PATIENCE = KEEP_ALIVE
"""Seconds that the opening may take before the answer begins without knowing how it goes on."""

Render = Callable[[Run], AsyncGenerator[bytes, None]]
"""The frames of an opened run."""


async def streamed(
    request: Request, opening: Coroutine[Any, Any, Run], render: Render, *, terminator: bytes = b""
) -> Response:
    """Server-sent events of a run. What the opening raises within PATIENCE has its status, as of any request.

    Afterwards the answer begins with 200 and comments, without the headers that a run gives, and an error is an event:
    a client or proxy that hears nothing for a minute hangs up, and with it the load would have been for nothing.
    See docs/decisions/008-late-streams.md.
    """
    run = Opening(opening)
    try:
        await while_connected(request, run.within(PATIENCE))
        if run.opened is not None:
            return SseResponse(run.opened, render(run.opened), headers=run.opened.headers, terminator=terminator)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await run.aclose()
        raise
    return SseResponse(run, run.frames(render), terminator=terminator)


class Opening:
    """A run that is being opened in a task of its own. Closing it ends the opening, or what was opened."""

    def __init__(self, opening: Coroutine[Any, Any, Run]) -> None:
        self._task = asyncio.create_task(opening, name="open a stream")
        self._failed = False

    @property
    def opened(self) -> Run | None:
        """The run, once there is one."""
        done = self._task.done() and not self._task.cancelled() and self._task.exception() is None
        return self._task.result() if done else None

    async def within(self, seconds: float) -> None:
        """Wait for the run, but no longer. Raises what the opening has raised until then."""
        await asyncio.wait([self._task], timeout=seconds)
        if self._task.done():
            self._task.result()

    async def frames(self, render: Render) -> AsyncGenerator[bytes, None]:
        """A comment at once, then what the run has to say. Raises what its opening raises."""
        yield f": {self.progress}\n\n".encode()
        run = await asyncio.shield(self._task)
        async with aclosing(render(run)) as frames:
            async for frame in frames:
                yield frame

    @property
    def progress(self) -> str:
        return "waiting for the model" if self.opened is None else self.opened.progress

    def fail(self) -> None:
        self._failed = True

    async def aclose(self) -> None:
        """Cancel the opening, or close the run that has come of it, also if both happen at once."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if (run := self.opened) is not None:
            if self._failed:
                run.fail()
            await run.aclose()
