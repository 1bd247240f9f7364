"""HTTP/1.1 as uvicorn reads it, but for two things that its clients can't be blamed for, or told so in plain text.

An offer to speak another protocol (`Upgrade: h2c`, which Java's HttpClient and `curl --http2` make with every request)
is ignored, as RFC 9110, section 7.8, allows: the request is answered as if it had not been made. uvicorn's parser takes
the offer for the end of the request and drops its body. What is no HTTP at all gets the OpenAI API's envelope.
"""

from typing import Self

import httptools

from server.api.connections import Connections
from server.api.context import new_id
from server.api.errors import PROBES
from server.api.openai.dialect import OPENAI
from server.api.slow_readers import SlowReaders
from server.errors import InvalidRequest

OFFER = (b"upgrade", b"http2-settings")
"""Headers of the offer itself; `connection` names both (RFC 7540, section 3.2)."""


class Http1Protocol(SlowReaders, Connections):
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

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            elif self.parser.get_method() == b"CONNECT":
                self.send_400_response("This server is no proxy: the method CONNECT is not supported.")
            else:
                self._read_without_offer(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("We could not parse your request as HTTP/1.1.")

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
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade() or self._should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """The refusal of what is no request; the connection ends with it."""
        if self.cycle is not None and not self.cycle.response_complete:
            # An answer is under way, into which nothing may be written: it is the connection's last.
            self.cycle.keep_alive = False
            self.transport.pause_reading()
            return
        answer = OPENAI.refusal(InvalidRequest(msg))
        body = bytes(answer.body)
        headers: list[tuple[bytes, bytes]] = [
            *answer.raw_headers,
            (b"x-request-id", new_id().encode()),
            (b"connection", b"close"),
        ]
        lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()
