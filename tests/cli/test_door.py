"""The port before the server is up: what is answered there, and who is let in afterwards with all that they sent."""

import asyncio
import errno
import json
import resource
import socket
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

import pytest

from server.api.http1 import Http1Protocol
from server.cli.door import Door
from server.cli.http_server import http_server
from server.pipeline.shutdown import Shutdown

pytestmark = pytest.mark.anyio

REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
async def door(listener: socket.socket) -> AsyncGenerator[Door, None]:
    made = Door(listener, lambda: {"chat": "loading", "voice": "ready"})
    made.open()
    yield made
    for connection in made.close():
        connection.close()


async def sent(listener: socket.socket, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(request)
    return reader, writer


async def answer(listener: socket.socket, request: bytes) -> bytes:
    reader, writer = await sent(listener, request)
    read = await reader.read()
    writer.close()
    return read


async def test_the_process_is_up(listener: socket.socket, door: Door) -> None:
    head, _, body = (await answer(listener, b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"HTTP/1.1 200 OK"
    assert b"connection: close" in head
    assert json.loads(body) == {"status": "ok"}


@pytest.mark.parametrize("path", ["/ready", "/ready?verbose=1"])
async def test_it_is_not_ready_and_says_what_its_models_are_at(listener: socket.socket, door: Door, path: str) -> None:
    asked = await answer(listener, f"GET {path} HTTP/1.1\r\nhost: here\r\n\r\n".encode())
    head, _, body = asked.partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"HTTP/1.1 503 Service Unavailable"
    assert b"retry-after: 5" in head.splitlines()
    assert f"content-length: {len(body)}".encode() in head.splitlines()
    assert json.loads(body) == {"status": "not ready", "models": {"chat": "loading", "voice": "ready"}}


async def test_head_gets_no_body(listener: socket.socket, door: Door) -> None:
    asked = await answer(listener, b"HEAD /health HTTP/1.0\r\n\r\n")
    assert asked.endswith(b"\r\n\r\n")
    assert b"content-length: 15" in asked


async def test_a_client_that_leaves_is_forgotten(listener: socket.socket, door: Door) -> None:
    _, writer = await sent(listener, b"")
    writer.close()
    await writer.wait_closed()
    assert json.loads((await answer(listener, b"GET /health HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")[2])
    assert door.close() == []


async def test_beyond_the_most_connections_they_stay_in_the_listeners_queue(
    listener: socket.socket, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_most", 2)
    writers = [(await sent(listener, REQUEST))[1] for _ in range(3)]
    looked = asyncio.Event()
    asyncio.get_running_loop().call_later(0, looked.set)
    await looked.wait()
    while len(door._silent) + len(door._asking) < 2:
        await asyncio.sleep(0)
    held = door.close()
    assert len(held) == 2
    third, _ = listener.accept()
    for each in (*held, third):
        each.close()
    for writer in writers:
        writer.close()


async def test_a_place_that_is_left_is_anothers(
    listener: socket.socket, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_most", 1)
    _, first = await sent(listener, b"")
    while not door._silent:
        await asyncio.sleep(0)
    second = asyncio.create_task(answer(listener, b"GET /health HTTP/1.1\r\n\r\n"))
    first.close()
    assert (await second).endswith(b'{"status":"ok"}')


@pytest.mark.parametrize(("files", "most"), [(1024, 512), (20_000, 1000), (resource.RLIM_INFINITY, 1000)])
async def test_the_loads_beside_keep_files_that_they_can_open(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    door = Door(listener, dict)
    door.open()
    assert door._most == most
    door.close()


async def test_a_connection_that_finds_no_file_is_left_in_the_queue(listener: socket.socket) -> None:
    """Nothing else would run beside one that is refused again and again."""
    asked: list[bool] = []

    class Full:
        setblocking, fileno = listener.setblocking, listener.fileno

        def accept(self) -> None:
            asked.append(True)
            raise OSError(errno.EMFILE, "Too many open files")

    door = Door(cast(Any, Full()), dict)
    door.open()
    _, writer = await sent(listener, b"")
    while not asked:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert asked == [True]
    assert door.close() == []
    writer.close()


async def test_the_others_wait_and_are_answered_by_the_server(listener: socket.socket, door: Door) -> None:
    reader, writer = await sent(listener, REQUEST)
    silent_reader, silent_writer = await sent(listener, b"")
    while not door._asking or not door._silent:
        await asyncio.sleep(0)
    bodies: list[bytes] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    server = http_server(app, Http1Protocol.bounded(), Shutdown(), 1.0, keep_alive=5, backlog=10, waiting=door.close())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    first = await reader.read()
    assert first.endswith(b"\r\n\r\nok")
    assert b"\r\ndate: " in first
    silent_writer.write(REQUEST)
    assert (await silent_reader.read()).endswith(b"\r\n\r\nok")
    assert await answer(listener, REQUEST)
    assert bodies == [b"hello"] * 3
    server.begin_end()
    await serving
    writer.close()
    silent_writer.close()
