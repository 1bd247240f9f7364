"""Clients that do not take their answers: each holds one bounded buffer, and no longer than for a bounded time.

What is written and not taken yet lies in the transport's buffer, BUFFER bytes and what was written last; while it is
full nothing is made for this connection (`send` waits). A client that does not make room in time, and one that does not
take the end of its answer, is cut off: its connection is reset, and its work ends as if it had hung up.
See docs/decisions/018-slow-readers.md.
"""

import asyncio
import contextlib
import logging
import socket
import struct
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.api.context import new_id
from server.api.lifetime import HungUp
from server.api.openai.dialect import OPENAI
from server.errors import InternalError

log = logging.getLogger(__name__)

BUFFER = HIGH_WATER_LIMIT
"""Bytes that wait to be taken before more is made, asyncio's own limit; it goes on when a quarter is left."""

UNSENT = 64 * 1024
"""Bytes that the system may hold for a connection before it has sent them. Its own limit is 4 MB and more, which is
20,000 tokens of a stream that nobody has read and somebody pays. What is on its way is not counted, so that a fast line
is as fast as it was."""

RESET = struct.pack("ii", 1, 0)
"""Of SO_LINGER: what is not sent is thrown away, and the client told by a reset that its answer is torn."""

LEAST_RATE = 16 * 1024
"""Bytes a second with which a big answer earns more time: a slow line is not an attack."""


class Cycle(RequestResponseCycle):
    """One request and its answer. To send to a client that has gone raises HungUp.

    uvicorn's own returns, so that an answer which never waits was made to its end, and paid, for nobody: 60,000 tokens,
    while everybody else stood still. The transport knows before the protocol is told, for which the loop must turn.
    """

    def send(self, message: Any) -> Any:
        if self.disconnected or self.transport.is_closing():
            self.disconnected = True  # or uvicorn takes the answer that does not come for an error of the application
            raise HungUp
        return RequestResponseCycle.send(self, message)  # not by super(): it runs for each chunk

    async def send_500_response(self) -> None:
        """For what no layer has caught. uvicorn's own is plain text."""
        if self.disconnected or self.transport.is_closing():
            return
        answer = OPENAI.refusal(InternalError())
        headers = [*answer.raw_headers, (b"x-request-id", new_id().encode()), (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        await self.send({"type": "http.response.body", "body": bytes(answer.body), "more_body": False})


class SlowReaders(HttpToolsProtocol):
    """reader_timeout: seconds that a full buffer may take to become empty, and one more for each LEAST_RATE bytes.
    `_running`: the request that is or was answered last. uvicorn's `cycle` is the one that came last, which may have to
    wait for it."""

    reader_timeout: float = 60.0
    _hurrying: asyncio.TimerHandle | None = None
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if (line := transport.get_extra_info("socket")) is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with contextlib.suppress(OSError):  # a Unix socket has none
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)
        # uvicorn tells the last request only; the one before it, under way when both were sent at once, would go on.
        if (running := self._running) is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.__class__ = Cycle
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._hurry()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._calm()
        if self._nothing_follows:
            self._hurry()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.flow.write_paused:
            self._hurry()

    def look(self) -> None:
        """To be called now and then. A connection is closed without a word to its protocol, after an answer that broke
        off and after a refusal; what its client has not taken of them has its time from here on."""
        if self._hurrying is None and self.transport.is_closing():
            self._hurry()

    @property
    def _nothing_follows(self) -> bool:
        """Whether what is in the buffer is an answer's end, after which no full buffer would tell of a slow client."""
        return self._running is None or self._running.response_complete or self.transport.is_closing()

    def _hurry(self) -> None:
        """From now on there is a time until which what is in the buffer must be taken."""
        self._calm()
        if waiting := self.transport.get_write_buffer_size():
            self._hurrying = self.loop.call_later(self.reader_timeout + waiting / LEAST_RATE, self._cut_off)

    def _calm(self) -> None:
        if self._hurrying is not None:
            self._hurrying.cancel()
            self._hurrying = None

    def _cut_off(self) -> None:
        """Not by `close`, which waits until all of the buffer is taken; nor does the system keep what it has of it."""
        self._hurrying = None
        if not self.flow.write_paused and not self._nothing_follows:
            return  # a further answer is under way, and what waits now is a part of that one
        if self.transport.get_write_buffer_size():
            log.info("a client did not take its answer in time: its connection is reset")
            if (line := self.transport.get_extra_info("socket")) is not None:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()
