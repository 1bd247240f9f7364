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
from collections.abc import Sequence
from typing import Any, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.api.lifetime import HungUp

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
            raise HungUp
        return RequestResponseCycle.send(self, message)  # not by super(): it runs for each chunk


class SlowReaders(HttpToolsProtocol):
    """reader_timeout: seconds that a full buffer may take to become empty, and one more for each LEAST_RATE bytes."""

    reader_timeout: float = 60.0
    _hurrying: asyncio.TimerHandle | None = None
    _earlier: Sequence[Cycle] = ()
    """Requests before the last one, which came while they were not answered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if (line := transport.get_extra_info("socket")) is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with contextlib.suppress(OSError):  # a Unix socket has none
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)
        # uvicorn tells the last request only; the one before it, under way when both were sent at once, would go on.
        for cycle in self._earlier:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def on_headers_complete(self) -> None:
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is before:
            return
        self.cycle.__class__ = Cycle
        if before is None or before.response_complete:
            self._earlier = ()
        else:
            self._earlier = [*(cycle for cycle in self._earlier if not cycle.response_complete), cast(Cycle, before)]

    def pause_writing(self) -> None:
        super().pause_writing()
        self._hurry()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._calm()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.flow.write_paused and self.transport.get_write_buffer_size():
            self._hurry()

    def _hurry(self) -> None:
        """From now on there is a time until which what is in the buffer must be taken."""
        self._calm()
        waiting = self.transport.get_write_buffer_size()
        self._hurrying = self.loop.call_later(self.reader_timeout + waiting / LEAST_RATE, self._cut_off)

    def _calm(self) -> None:
        if self._hurrying is not None:
            self._hurrying.cancel()
            self._hurrying = None

    def _cut_off(self) -> None:
        """Not by `close`, which waits until all of the buffer is taken; nor does the system keep what it has of it."""
        self._hurrying = None
        if self.transport.get_write_buffer_size():
            log.info("a client did not take its answer in time: its connection is reset")
            if (line := self.transport.get_extra_info("socket")) is not None:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()
