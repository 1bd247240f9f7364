"""The HTTP server from its first connection to its last: uvicorn's, with an end of our own.

uvicorn cancels what outlives its grace, and answers it in plain text or not at all. Here running answers get their
grace, then each is told of the end in its own form, and only what can't be told has its connection broken.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence
from typing import Any, cast

import uvicorn

from server.api.http1 import Http1Protocol
from server.pipeline.shutdown import Shutdown

log = logging.getLogger(__name__)

LINGER = 0.1
"""Seconds in which idle connections stay open: a request that was sent before the end still gets its 503."""
TELLING = 2.0
"""Seconds in which what is cut short must have been told so, and have read it."""
UNREAD = 1.0
"""Seconds in which requests must have ended whose connections were broken."""
AT_ONCE = 0.4
"""The same two when the end is forced."""
LOOK_AGAIN = 0.02
LOOK_ROUND = 50
"""Ticks of uvicorn's, 0.1 s each, after which connections are looked at."""


class HttpServer(uvicorn.Server):
    """grace: seconds for running answers. waiting: connections that came before, accepted and unread."""

    def __init__(
        self, config: uvicorn.Config, shutdown: Shutdown, grace: float, waiting: Sequence[socket.socket] = ()
    ) -> None:
        super().__init__(config)
        self._waiting = waiting
        self._end = shutdown
        self._grace = grace
        self._forced = asyncio.Event()

    def begin_end(self) -> None:
        """Refuse connections and requests from this moment on, and let `serve` return when all have ended."""
        self._end.begin()
        for server in getattr(self, "servers", ()):  # there are none before it has started
            server.close()
        self.should_exit = True

    def force_end(self) -> None:
        """Wait no longer for running answers."""
        self._forced.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # server/cli/ending.py has them

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self.on_tick(0)  # what it puts into the head of each answer, the date, is there from the first one on
        loop, waiting, self._waiting = asyncio.get_running_loop(), self._waiting, ()
        for connection in waiting:
            with contextlib.suppress(OSError):  # it has gone again
                await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        """For a connection, as uvicorn's own `startup` makes it."""
        made = cast("type[Http1Protocol]", self.config.http_protocol_class)
        return made(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def on_tick(self, counter: int) -> bool:
        if counter % LOOK_ROUND == 0:
            for connection in self._connections:
                connection.look()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by `serve` once `should_exit` is seen."""
        self.begin_end()
        for listener in sockets or ():
            listener.close()
        await asyncio.sleep(LINGER)
        for connection in self._connections:
            connection.shutdown()
        log.info("ending: running answers have %g s; there are %d", self._grace, len(self.server_state.tasks))
        if not await self._ended(self._grace, unless=self._forced):
            await self._cut()

    async def _cut(self) -> None:
        cut = self.server_state.tasks
        log.warning("requests cut short: %d", len(cut))
        # A task of uvicorn's is that of one request.
        self._end.cut(cast("set[asyncio.Task[object]]", cut))
        if await self._ended(AT_ONCE if self._forced.is_set() else TELLING):
            return
        for connection in self._connections:
            connection.transport.abort()
        if not await self._ended(AT_ONCE if self._forced.is_set() else UNREAD):
            log.warning("requests that have not ended: %d", len(self.server_state.tasks))

    @property
    def _connections(self) -> list[Http1Protocol]:
        return cast("list[Http1Protocol]", list(self.server_state.connections))

    async def _ended(self, within: float, unless: asyncio.Event | None = None) -> bool:
        """Whether every answer has ended and left within that time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while self.server_state.tasks or any(not connection.at_rest for connection in self._connections):
            if loop.time() >= deadline or (unless is not None and unless.is_set()):
                return False
            await asyncio.sleep(LOOK_AGAIN)
        return True


def http_server(
    app: Any,
    protocol: type[Http1Protocol],
    shutdown: Shutdown,
    grace: float,
    *,
    keep_alive: int,
    backlog: int,
    waiting: Sequence[socket.socket] = (),
) -> HttpServer:
    """The server of an application, not begun. waiting: see HttpServer."""
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        loop="none",
        lifespan="off",  # the services begin and end outside
        log_config=None,
        access_log=False,
        proxy_headers=False,  # server/api/forwarded.py reads them, of those that a setting trusts
        server_header=False,
        backlog=backlog,
        timeout_keep_alive=keep_alive,
    )
    return HttpServer(config, shutdown, grace, waiting)
