"""How many connections there may be, and how long one may be open that asks for nothing."""

import asyncio
import logging
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.api.context import new_id
from server.api.openai.dialect import OPENAI
from server.errors import Overloaded

log = logging.getLogger(__name__)

FILES = 1024
"""Descriptors for all else: databases, processes, pictures."""


class Connections(HttpToolsProtocol):
    """Beyond `most_connections` a connection is answered 503 and closed, so that descriptors are left for the rest.

    A request's head must be there within uvicorn's keep-alive time, counted from the connection's start or from the end
    of the answer before; uvicorn itself waits for ever for the second byte of one.
    """

    most_connections = 4096
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._turn_away()
        else:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self._wait_for_head()

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._waiting = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _turn_away(self) -> None:
        answer = OPENAI.refusal(Overloaded("The server has too many connections."))
        headers = [*answer.raw_headers, (b"x-request-id", new_id().encode()), (b"connection", b"close")]
        lines = [b"HTTP/1.1 503 Service Unavailable", *(name + b": " + value for name, value in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()


def make_room(connections: int) -> None:
    """Raise this process's limit of open files as far as that many connections need, and the system allows."""
    needed = connections + FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning("%d connections may need %d open files; the system allows %d", connections, needed, allowed)
