"""How many connections there may be."""

import asyncio
import logging
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.api.context import new_id
from server.api.openai.dialect import OPENAI
from server.errors import Overloaded

log = logging.getLogger(__name__)

FILES = 2048
"""Descriptors for all else: databases, processes, pictures, and kept files: 512 that come, and 512 that are read, which
take two each where they are an answer."""


class Connections(HttpToolsProtocol):
    """Beyond `most_connections` a connection is answered 503 and closed, so that descriptors are left for the rest."""

    most_connections = 4096

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._turn_away()

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
