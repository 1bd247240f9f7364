"""How long a server stands still for others: a process of its own asks for /health, one request after the other."""

import asyncio
import json
import select
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PAUSE = 0.01
"""Seconds between an answer and the next question."""


@dataclass(slots=True)
class Stall:
    """longest: of all answers that were waited for, in seconds, known when the block has ended. asked: how many."""

    longest: float = 0.0
    asked: int = 0


@asynccontextmanager
async def watched(url: str, pid: int) -> AsyncGenerator[Stall, None]:
    """Look at the server, whose process is `pid`, for the length of the block.

    What the server's main thread and the asking process waited for a processor is taken off: on a machine that others
    use too, it is their work and no stall of the server's.
    """
    stall = Stall()
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, url, str(pid), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield stall
    finally:
        process.stdin.close()
        found = json.loads(await process.stdout.read())
        await process.wait()
        stall.longest, stall.asked = found["longest"], found["asked"]


def _ask(url: str, pid: str) -> None:
    """Ask until standard input ends."""
    address = urlsplit(url)
    question = f"GET /health HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    longest, asked, ended = 0.0, 0, False
    with socket.create_connection((address.hostname or "", address.port or 80)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print("asking", flush=True)
        while not ended:
            begun = time.perf_counter() - _waited("self") - _waited(pid)
            line.sendall(question)
            if not line.recv(65536):
                raise ConnectionError("the server closed the connection")
            took = time.perf_counter() - _waited("self") - _waited(pid) - begun
            longest, asked = max(longest, took), asked + 1
            ended = bool(select.select([sys.stdin], [], [], PAUSE)[0])
    print(json.dumps({"longest": longest, "asked": asked}))


def _waited(pid: str) -> float:
    """Seconds that a process's main thread was ready to run and did not."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


if __name__ == "__main__":
    _ask(*sys.argv[1:])
