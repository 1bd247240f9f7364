"""Over a raw socket: offers of other protocols, and what is no HTTP."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from server.core import Task
from server.testing import KEY, FakeServer
from tests.api.listening import listening

pytestmark = pytest.mark.anyio

BODY = json.dumps({"model": "everything", "messages": [{"role": "user", "content": "hello"}]}).encode()
CHUNKED = b"5\r\n" + BODY[:5] + b"\r\n%x\r\n" % (len(BODY) - 5) + BODY[5:] + b"\r\n0\r\n\r\n"
OFFERS = {
    "java": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n",
    "curl": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    "lower case": b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "kept alive": b"Connection: keep-alive, Upgrade\r\nUpgrade: TLS/1.0\r\n",
}


def head(offer: bytes, *, length: bytes = b"Content-Length: %d\r\n" % len(BODY)) -> bytes:
    key = f"Authorization: Bearer {KEY}\r\n".encode()
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        + key
        + offer
        + length
        + b"\r\n"
    )


class Line:
    """A connection that is written to byte by byte, as it were."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        start = await self.reader.readuntil(b"\r\n\r\n")
        status, *lines = start.decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return int(status.split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))


@asynccontextmanager
async def connected(fake: FakeServer) -> AsyncIterator[tuple[Line, httpx.AsyncClient]]:
    """A raw connection to a server, and a client of the same server."""
    async with listening(fake) as client:
        line = Line(*await asyncio.open_connection(client.base_url.host, client.base_url.port))
        try:
            yield line, client
        finally:
            line.writer.close()
            with contextlib.suppress(ConnectionError):  # what the server did not read breaks the line at its end
                await line.writer.wait_closed()


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_an_offer_to_upgrade_is_ignored_and_the_body_is_read(fake: FakeServer, offer: bytes) -> None:
    async with connected(fake) as (line, _):
        line.writer.write(head(offer) + BODY)
        status, headers, body = await line.answer()
        assert status == 200, body
        assert "upgrade" not in headers
        assert json.loads(body)["choices"][0]["message"]["content"] == "Hello from the fake engine."
        # The connection goes on, with a second offer on it.
        line.writer.write(head(offer) + BODY)
        assert (await line.answer())[0] == 200


@pytest.mark.parametrize("pieces", [1, 7, 64], ids=lambda size: f"{size} bytes at a time")
async def test_an_offer_may_come_in_pieces_and_its_body_in_chunks(fake: FakeServer, pieces: int) -> None:
    whole = head(OFFERS["java"], length=b"Transfer-Encoding: chunked\r\n") + CHUNKED
    async with connected(fake) as (line, _):
        for place in range(0, len(whole), pieces):
            line.writer.write(whole[place : place + pieces])
            await line.writer.drain()
        status, _, body = await line.answer()
        assert status == 200, body
        assert json.loads(body)["usage"]["prompt_tokens"] == 1


async def test_two_requests_with_offers_at_once_are_answered_in_order(fake: FakeServer) -> None:
    long = BODY.replace(b"hello", b"one two three")
    second = head(OFFERS["curl"], length=b"Content-Length: %d\r\n" % len(long)) + long
    async with connected(fake) as (line, _):
        line.writer.write(head(OFFERS["java"]) + BODY + second)
        answers = [json.loads((await line.answer())[2]) for _ in range(2)]
        assert [answer["usage"]["prompt_tokens"] for answer in answers] == [1, 3]


async def test_a_get_with_an_offer_is_answered(fake: FakeServer) -> None:
    async with connected(fake) as (line, _):
        line.writer.write(b"GET /health HTTP/1.1\r\nHost: here\r\n" + OFFERS["java"] + b"\r\n")
        assert (await line.answer())[0] == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"this is no HTTP\r\n\r\n",
        b"GET /v1/models HTTP/9.9\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nBroken Header\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: many\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS handshake
    ],
    ids=["prose", "version", "header", "length", "http2", "connect", "tls"],
)
async def test_what_is_no_request_gets_the_envelope(fake: FakeServer, raw: bytes) -> None:
    async with connected(fake) as (line, _):
        line.writer.write(raw)
        status, headers, body = await line.answer()
        assert (status, headers["content-type"], headers["connection"]) == (400, "application/json", "close")
        error = json.loads(body)["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"
        assert headers["x-request-id"].startswith("req_")
        assert await line.reader.read() == b""


async def test_nothing_is_written_into_an_answer_under_way(fake: FakeServer) -> None:
    engine = fake.engines[Task.CHAT]
    engine.gate.close()
    async with connected(fake) as (line, client):
        line.writer.write(head(b"") + BODY)
        await engine.gate.until_waiting()
        line.writer.write(b"rubbish\r\n\r\n")
        await line.writer.drain()
        await client.get("/health")  # the rubbish came before it
        engine.gate.open()
        status, _, body = await line.answer()
        assert status == 200
        assert json.loads(body)["choices"][0]["message"]["content"] == "Hello from the fake engine."
        assert await line.reader.read() == b""
