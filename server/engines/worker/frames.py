"""Frames between the front end and its worker processes: an 8-byte length, then a pickle.

Pickle is safe here because both ends are this program, joined by a socket pair that no one else can open.
"""

import asyncio
import pickle
import socket
import struct
from typing import Any

_HEADER = struct.Struct("!Q")

WINDOW = 4 * 2**20
"""Bytes of a job's events that its reader may leave untaken before the child makes no more, by `weight`.

Most answers fit, so that their place in the child is free again whether they are read or not. Only a long file which
nobody reads keeps its place, until its client is cut off.
"""


def weight(event: Any) -> int:
    """What an event counts in a WINDOW: its data, and something for all else."""
    return 512 + len(getattr(event, "data", b""))


def encode(message: Any) -> bytes:
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(body)) + body


async def receive(reader: asyncio.StreamReader) -> Any:
    """The next message. Raises asyncio.IncompleteReadError when the other end has gone."""
    (length,) = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    return pickle.loads(await reader.readexactly(length))  # noqa: S301 — see the module's docstring


def receive_blocking(connection: socket.socket) -> Any:
    """The next message. Raises EOFError when the other end has gone."""
    (length,) = _HEADER.unpack(_read_exactly(connection, _HEADER.size))
    return pickle.loads(_read_exactly(connection, length))  # noqa: S301


def _read_exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(count - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
