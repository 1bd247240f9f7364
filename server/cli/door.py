"""The port before the server is up: whoever probes is told that it starts, whoever asks for more waits at the door."""

import asyncio
import contextlib
import errno
import json
import re
import resource
import socket
from collections.abc import Callable, Mapping

MOST = 1000
"""Connections that are held, but half of the files that the process may open at most: the loads beside need theirs. The
next ones wait in the listener's own queue."""
LONGEST = 8192
"""Bytes of a request that are looked at: probes are short."""
PROBE = re.compile(rb"(?P<method>GET|HEAD) (?P<path>/health|/ready)(\?\S*)? HTTP/1\.[01]\r\n")


class Door:
    """Answers /health and /ready on `listener` as the server will, and holds every other connection unread.

    To be used in the event loop. states: each model by its name, with what it is at.
    """

    def __init__(self, listener: socket.socket, states: Callable[[], Mapping[str, str]]) -> None:
        self._listener = listener
        self._states = states
        self._silent: set[socket.socket] = set()
        self._asking: list[socket.socket] = []
        self._loop = asyncio.get_running_loop()
        self._open = False
        self._most = MOST

    def open(self) -> None:
        self._listener.setblocking(False)
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files != resource.RLIM_INFINITY:
            self._most = min(MOST, files // 2)
        self._let_in()

    def close(self) -> list[socket.socket]:
        """Those who wait, in the order of their requests, for the server. Nothing of what they sent has been read."""
        self._rest()
        for connection in self._silent:
            self._loop.remove_reader(connection)
        waiting = [*self._asking, *self._silent]
        self._asking, self._silent = [], set()
        return waiting

    def _let_in(self) -> None:
        if not self._open:
            self._open = True
            self._loop.add_reader(self._listener, self._accept)

    def _rest(self) -> None:
        if self._open:
            self._loop.remove_reader(self._listener)
            self._open = False

    def _accept(self) -> None:
        while len(self._silent) + len(self._asking) < self._most:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:  # nobody more, or one that has gone again
                if error.errno in (errno.EMFILE, errno.ENFILE):  # or it stays where it is, and is told of again at once
                    self._rest()
                return
            connection.setblocking(False)
            self._silent.add(connection)
            self._loop.add_reader(connection, self._look, connection)
        self._rest()

    def _look(self, connection: socket.socket) -> None:
        """At what has come first on this connection, and leave it there."""
        try:
            begun = connection.recv(LONGEST, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            begun = b""
        self._loop.remove_reader(connection)
        self._silent.discard(connection)
        probe = PROBE.match(begun)
        if probe is not None and begun.endswith(b"\r\n\r\n"):
            with contextlib.suppress(OSError):  # it did not wait for its answer
                connection.recv(LONGEST)
                connection.send(self._answer(probe["path"], bare=probe["method"] == b"HEAD"))
        elif begun:
            self._asking.append(connection)
            return
        connection.close()
        self._let_in()

    def _answer(self, path: bytes, *, bare: bool) -> bytes:
        """As server/api/ops.py answers. bare: without a body."""
        status = "200 OK"
        body: dict[str, object] = {"status": "ok"}
        if path == b"/ready":
            status, body = "503 Service Unavailable", {"status": "not ready", "models": dict(self._states())}
        written = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        head = [
            f"HTTP/1.1 {status}",
            "content-type: application/json",
            f"content-length: {len(written)}",
            *(["retry-after: 5"] if path == b"/ready" else []),
            "connection: close",
        ]
        return "\r\n".join([*head, "", ""]).encode() + (b"" if bare else written)
