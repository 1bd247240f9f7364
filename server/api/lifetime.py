"""A request's work lives no longer than its client's connection."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

T = TypeVar("T")


async def until_disconnect(receive: Receive) -> None:
    """Return when the client has hung up. The request's body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled if the client hangs up first.

    For answers that are not streamed. The request's body must have been read before.
    Raises whatever `work` raises, and ClientDisconnect once the cancelled work has ended.
    """
    return await while_receiving(request.receive, work)


async def while_receiving(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """As `while_connected`, by the bare ASGI channel."""
    result: T
    error: Exception | None = None
    finished = False
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            await until_disconnect(receive)
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            result = await work
            finished = True
        except Exception as raised:  # noqa: BLE001 - carried out of the group, which would wrap it
            error = raised
        group.cancel_scope.cancel()
    if error is not None:
        raise error
    if not finished:
        raise ClientDisconnect
    return result
