"""Where an answer ends on a keep-alive connection, and how many events it has, whatever way it was cut. Pure.

Not an HTTP parser: it knows what this server sends, and costs little next to it, since what reads tens of thousands of
events a second on the cores of the server must not become what is measured.
"""

EVENT_END = b"\n\n"
"""JSON holds no bare newline, and a server puts whole events into an HTTP chunk: it occurs at an event's end only."""
LAST_CHUNK = b"\r\n0\r\n\r\n"
"""The end of the chunk before, then the empty chunk. JSON holds no bare carriage return either."""
HEAD_END = b"\r\n\r\n"


class BadAnswer(Exception):
    """An answer other than 200, or one that breaks off."""


class AnswerReader:
    """The answers of one connection, one after the other; there is one request at a time."""

    __slots__ = ("_chunked", "_head", "_in_head", "_left", "_tail", "complete")

    def __init__(self) -> None:
        self.complete = False
        self.begin()

    def begin(self) -> None:
        """The next request is sent: what comes is its answer."""
        self.complete = False
        self._in_head = True
        self._head = b""
        self._tail = b""
        self._left = 0
        self._chunked = False

    def feed(self, data: bytes) -> int:
        """How many events end in `data`, the next bytes that came. Sets `complete` with the answer's last byte.

        Raises BadAnswer.
        """
        if self._in_head:
            data = self._after_head(data)
            if self._in_head:
                return 0
        if not self._chunked:
            self._left -= len(data)
            if self._left < 0:
                raise BadAnswer(f"{-self._left} bytes came after the answer's end")
            self.complete = self._left == 0
            return 0
        if not data:
            return 0
        events = data.count(EVENT_END)
        if data[0] == 0x0A and self._tail.endswith(b"\n"):
            events += 1
        self._tail = data[-len(LAST_CHUNK) :] if len(data) >= len(LAST_CHUNK) else self._tail_with(data)
        self.complete = self._tail == LAST_CHUNK
        return events

    def _tail_with(self, data: bytes) -> bytes:
        return (self._tail + data)[-len(LAST_CHUNK) :]

    def _after_head(self, data: bytes) -> bytes:
        """What of `data` belongs to the body; nothing while the head is not whole."""
        self._head += data
        head, end, body = self._head.partition(HEAD_END)
        if not end:
            return b""
        status, *lines = head.split(b"\r\n")
        if status.split(b" ")[1:2] != [b"200"]:
            raise BadAnswer(f"{status.decode(errors='replace')}: {body[:300].decode(errors='replace')}")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        self._chunked = headers.get(b"transfer-encoding") == b"chunked"
        if not self._chunked:
            self._left = int(headers[b"content-length"])
        self._in_head = False
        self._head = b""
        # An empty chunk may come first, right behind the head.
        self._tail = b"\r\n"
        return body
