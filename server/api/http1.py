"""HTTP/1.1 as uvicorn reads it, but for what its clients can't be blamed for, and for what would cost it its memory.

An offer to speak another protocol (`Upgrade: h2c`, which Java's HttpClient and `curl --http2` make with every request)
is ignored, as RFC 9110, section 7.8, allows: the request is answered as if it had not been made. uvicorn's parser takes
the offer for the end of the request and drops its body.

uvicorn bounds neither a request's head nor what comes between the pieces of its body: a header of 40 MB, in pieces that
are put together one by one, held up all others for seconds. What is too long ends here, and so does what is no HTTP at
all, in the OpenAI API's envelope.
"""

import asyncio
from typing import Self

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from server.api.connections import Connections
from server.api.context import new_id
from server.api.errors import PROBES
from server.api.openai.dialect import OPENAI
from server.api.slow_readers import SlowReaders
from server.errors import HeadTooLarge, InvalidRequest, RequestTimeout, SageholdError, TargetTooLong
from server.observability import RequestRecord, log_request, request_id

OFFER = (b"upgrade", b"http2-settings")
"""Headers of the offer itself; `connection` names both (RFC 7540, section 3.2)."""
MOST_HEAD = 64 * 1024
"""Bytes of a request's head: its line and its headers. As many may stand between two pieces of a body in chunks, and
in the trailers after it."""
MOST_TARGET = 16 * 1024
"""Bytes of the path and the query."""
MOST_HEADERS = 200
MOST_UNREAD = 128 * 2**20
"""Bytes of a body that are thrown away after its request was answered, before the connection is closed. No body that
any route takes is longer, so clients that send all of it before they read see the answer and not a broken line."""
MOST_PIPELINED = 32
"""Requests that wait on one connection behind the one that is being answered. What comes after them is not read, and
the connection ends with the last of them: clients ask again for what was not answered (RFC 9112, section 9.3.2)."""
HEAD_TIME = 60.0
"""Seconds from a connection's beginning, or from a head's, to the head's end. A body has times of its own
(slow_bodies.py)."""
LINGER = 2.0
"""Seconds that a client gets to read its refusal while it still sends. Bytes that nobody reads would break the
connection, and with it the refusal on its way."""


class Http1Protocol(SlowReaders, Connections):
    """`_asked`: whether anything of a request has come. `_within`: bytes since the head began, or since the body's last
    piece. `_headless`: whether a head is being read. `_refusal`: why the request now being read is refused. `_lingers`:
    nothing more is read. `_late`: ends the connection if the head that it waits for does not come."""

    _asked = False
    _within = 0
    _headless = True
    _unread = 0
    _refusal: SageholdError | None = None
    _lingers = False
    _late: asyncio.TimerHandle | None = None

    @classmethod
    def bounded(cls, *, reader_timeout: float = 60.0, connections: int = 4096) -> type[Self]:
        """The protocol with these bounds, which are the settings of those names."""
        return type(cls.__name__, (cls,), {"reader_timeout": reader_timeout, "most_connections": connections})

    @property
    def at_rest(self) -> bool:
        """Whether no answer is owed on this connection, and none is on its way."""
        return (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing()

    def shutdown(self) -> None:
        """The server's end has begun: close the connection, now or with the answer under way.

        Whoever probes the server by a connection that is kept open may go on to, and sees it end.
        """
        if self.cycle is None or not self.at_rest or self.cycle.scope["path"] not in PROBES:
            super().shutdown()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_TIME, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        self._unset_keepalive_if_required()
        self._within += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self._refusal is not None:
                self.refuse(self._refusal)
            elif self._should_upgrade():
                self.handle_websocket_upgrade()
            elif self.parser.get_method() == b"CONNECT":
                self.send_400_response("This server is no proxy: the method CONNECT is not supported.")
            else:
                self._read_without_offer(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.refuse(self._refusal or InvalidRequest("We could not parse your request as HTTP/1.1."))
        else:
            if self._refusal is not None:
                self.refuse(self._refusal)
            elif self._within > MOST_HEAD:  # and no head has ended, and no piece of a body has come, with these data
                wordy = self._headless and not self.headers and len(self.url) > MOST_TARGET
                self.refuse(TargetTooLong() if wordy else HeadTooLarge(_LONG))
            elif self._headless:
                if self._late is None:  # the head of a further request came in part
                    self._late = self.loop.call_later(HEAD_TIME, self._too_late)
            elif self.at_rest:
                # It was a piece of a body that nobody wants any more, or an empty line. The keep-alive time was taken
                # back for it, and nothing else would end this connection.
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )

    def _read_without_offer(self, rest: bytes) -> None:
        """Read the request again, by a new parser, without its offer. rest: what came after its head."""
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            words = (word.strip() for word in value.split(b","))
            if name == b"connection":
                head += [b"connection: ", b", ".join(word for word in words if word.lower() not in OFFER), b"\r\n"]
            elif name not in OFFER:
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self._within = 0
        self.data_received(b"".join([*head, b"\r\n", rest]))

    # ------------------------------------------------------------ the parser's findings

    def on_message_begin(self) -> None:
        self._headless = self._asked = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._refusal is None:
            self._refusal = self._too_much()
        if self._refusal is not None:
            return
        self._headless = False
        if self._late is not None:
            self._in_time()
        self._within = self._unread = 0
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self.headers = []  # for trailers, which nothing here reads: the request has its headers
            if self.expect_100_continue:
                # Who is refused before it was told to go on may leave its body out, and the next request must not be
                # taken for that.
                self.cycle.keep_alive = False
        elif self._should_upgrade():
            super().on_headers_complete()

    def _too_much(self) -> SageholdError | None:
        if len(self.url) > MOST_TARGET:
            return TargetTooLong()
        if len(self.headers) > MOST_HEADERS:
            return HeadTooLarge(f"The request has more than {MOST_HEADERS} headers.")
        # What came with the head may be its body: only where all of it is too long, the head's own bytes are counted.
        if self._within > MOST_HEAD and sum(len(name) + len(value) + 4 for name, value in self.headers) > MOST_HEAD:
            return HeadTooLarge(_LONG)
        if len(self.pipeline) >= MOST_PIPELINED:
            return InvalidRequest("Too many requests were sent at once on one connection.")
        return None

    def on_body(self, body: bytes) -> None:
        self._within = 0
        if self._refusal is not None:
            return
        if self.cycle.response_complete:
            self._unread += len(body)
            if self._unread > MOST_UNREAD:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._within = 0
        if self._refusal is None and not self.parser.should_upgrade():
            super().on_message_complete()

    # ------------------------------------------------------------ refusals

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        if self._asked:
            self.refuse(RequestTimeout("The request's headers did not arrive in time."))
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self.refuse(InvalidRequest(msg))

    def refuse(self, error: SageholdError) -> None:
        """The refusal of what is no request, or no bearable one; the connection ends with it."""
        self._lingers = True
        self._in_time()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or not cycle.more_body or self.pipeline:
                # An answer is under way, into which nothing may be written: it is the connection's last. What still
                # comes is read and thrown away, since who does not read does not notice a hang-up.
                cycle.keep_alive = False
                return
            # It is this request's own body that is wrong: whoever reads it learns that there is no more of it.
            cycle.disconnected = True
            cycle.waiting_for_100_continue = False  # nothing may be written after the refusal
            cycle.message_event.set()
        answer = OPENAI.refusal(error)
        body = bytes(answer.body)
        name = self._log(error)
        headers: list[tuple[bytes, bytes]] = [
            *answer.raw_headers,
            (b"x-request-id", name.encode()),
            (b"connection", b"close"),
        ]
        lines = [STATUS_LINE[error.status].removesuffix(b"\r\n"), *(field + b": " + value for field, value in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        if not self.transport.can_write_eof():  # TLS
            self.transport.close()
            return
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)

    def _log(self, error: SageholdError) -> str:
        """The refusal's line, as requests have one. What it was for can't be told, and neither can a proxy's client."""
        record = RequestRecord(new_id(), "-", "-", status=error.status, code=error.code or error.type)
        record.client = self.client[0] if self.client else None
        token = request_id.set(record.id)
        log_request(record)
        request_id.reset(token)
        return record.id


_LONG = f"The request's head is longer than {MOST_HEAD} bytes."
