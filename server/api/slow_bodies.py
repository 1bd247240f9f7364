"""A body that trickles in for ever would hold its connection and its memory for ever: it is answered 408."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.steps import Begun
from server.errors import RequestTimeout

LEAST_RATE = 16 * 1024
"""Bytes a second with which a body earns more time: a big upload over a slow line is not an attack."""


class SlowBodies:
    """Gives each request's body `timeout` seconds, and a second more for each LEAST_RATE bytes of it that came.

    The time begins when a route begins to read. What comes after the body, a disconnect, has all the time there is.
    """

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self._app = app
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        deadline: float | None = None
        whole = False

        async def hurried_receive() -> Message:
            nonlocal deadline, whole
            if whole:
                return await receive()
            deadline = deadline or clock() + self._timeout
            begun = Begun(receive())
            if begun.done:  # it came with the head, as most bodies do: no need of a timer, which costs 4 µs
                message = begun.result()
            else:
                try:
                    async with asyncio.timeout_at(deadline):
                        message = await begun.outcome()
                except TimeoutError:
                    # Whatever is still to come of the body must not be taken for the next request.
                    raise RequestTimeout(headers={"Connection": "close"}) from None
            deadline += len(message.get("body", b"")) / LEAST_RATE
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, hurried_receive, send)
