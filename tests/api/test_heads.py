"""Heads of requests, trailers and unread bodies: what is too long is refused, in the envelope, and costs nobody."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.api import http1
from server.api.http1 import MOST_HEAD, MOST_HEADERS, MOST_TARGET
from server.testing import FakeServer
from tests.api.listening import listening
from tests.api.test_http1 import BODY, CHUNKED, Line, connected, head

pytestmark = pytest.mark.anyio


def get(target: bytes = b"/health", headers: bytes = b"") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: here\r\n" + headers + b"\r\n"


async def refused(line: Line, status: int, code: str) -> str:
    got, headers, body = await line.answer()
    assert (got, headers["content-type"], headers["connection"]) == (status, "application/json", "close")
    assert headers["x-request-id"].startswith("req_")
    error = json.loads(body)["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, None)
    assert await line.reader.read() == b""
    return str(error["message"])


WIDE = b"".join(b"x-%d: y\r\n" % number for number in range(MOST_HEADERS))
TOO_LONG = {
    "one header": get(headers=b"x: " + b"y" * MOST_HEAD + b"\r\n"),
    "one name": get(headers=b"x" * MOST_HEAD + b": y\r\n"),
    "several headers": get(headers=(b"x: " + b"y" * 30_000 + b"\r\n") * 3),
    "many headers": get(headers=WIDE),
}


@pytest.mark.parametrize("raw", TOO_LONG.values(), ids=TOO_LONG)
async def test_a_head_that_is_too_long_is_431(fake: FakeServer, raw: bytes) -> None:
    async with connected(fake) as (line, _):
        line.writer.write(raw)
        await refused(line, 431, "headers_too_large")


@pytest.mark.parametrize("length", [MOST_TARGET + 1, 20 * MOST_TARGET])
async def test_a_target_that_is_too_long_is_414(fake: FakeServer, length: int) -> None:
    async with connected(fake) as (line, _):
        line.writer.write(get(b"/health?" + b"x" * length))
        await refused(line, 414, "url_too_long")


async def test_heads_below_the_limits_are_read(fake: FakeServer) -> None:
    wide = WIDE.removesuffix(b"x-%d: y\r\n" % (MOST_HEADERS - 1))
    long = get(b"/health?" + b"x" * (MOST_TARGET - 100), b"x: " + b"y" * (MOST_HEAD - MOST_TARGET - 100) + b"\r\n")
    async with connected(fake) as (line, _):
        for raw in (get(headers=wide), long, long, get()):
            line.writer.write(raw)
            assert (await line.answer())[0] == 200


async def test_a_head_that_never_ends_is_refused_after_64_kib_and_nothing_of_it_is_kept(fake: FakeServer) -> None:
    """It was put together piece by piece, 40 MB of it: the others waited for 5.8 s."""
    async with connected(fake) as (line, client):
        line.writer.write(b"GET /health HTTP/1.1\r\nHost: here\r\nx: ")
        sent = 0
        while not line.reader._buffer and sent < 100 * MOST_HEAD:  # type: ignore[attr-defined] # a look, no wait
            line.writer.write(b"y" * 16_384)
            sent += 16_384
            await line.writer.drain()
            await client.get("/health")  # what was written before is read by then
        assert MOST_HEAD <= sent < 2 * MOST_HEAD
        assert str(MOST_HEAD) in await refused(line, 431, "headers_too_large")


@pytest.mark.parametrize("rest", [b"x: " + b"y" * 200_000, b"x: y\r\n" * 50_000], ids=["one", "many"])
async def test_trailers_are_neither_read_nor_kept(fake: FakeServer, rest: bytes) -> None:
    start = head(b"", length=b"Transfer-Encoding: chunked\r\n") + CHUNKED.removesuffix(b"\r\n")
    async with connected(fake) as (line, _):
        line.writer.write(start + b"authorization: none\r\n\r\n")
        assert (await line.answer())[0] == 200
        line.writer.write(start + rest)
        await refused(line, 431, "headers_too_large")


async def test_a_body_that_breaks_off_in_its_coding_is_told_at_once(fake: FakeServer) -> None:
    """It was waited for until its time was over."""
    async with connected(fake) as (line, _):
        line.writer.write(
            head(b"", length=b"Transfer-Encoding: chunked\r\n") + b"5\r\n" + BODY[:5] + b"\r\nno length\r\n"
        )
        status, headers, _ = await line.answer()
        assert (status, headers["connection"]) == (400, "close")


@asynccontextmanager
async def keyless(fake: FakeServer) -> AsyncIterator[Line]:
    async with listening(fake) as client:
        line = Line(*await asyncio.open_connection(client.base_url.host, client.base_url.port))
        try:
            yield line
        finally:
            line.writer.close()


async def test_who_is_refused_reads_so_although_it_sends_all_of_its_body_first(fake: FakeServer) -> None:
    length = 20 * 2**20
    start = b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % length
    async with keyless(fake) as line:
        line.writer.write(start)
        for _ in range(length // 2**20):
            line.writer.write(b"[" * 2**20)
            await line.writer.drain()
        assert (await line.answer())[0] == 401
        line.writer.write(get())
        assert (await line.answer())[0] == 200  # the connection goes on


async def flood(line: Line) -> None:
    while True:
        line.writer.write(b"x" * 65_536)
        await line.writer.drain()
        await asyncio.sleep(0)


async def test_a_refused_body_is_not_read_for_ever(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "MOST_UNREAD", 100_000)
    async with keyless(fake) as line:
        line.writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: 999999999\r\n\r\n")
        assert (await line.answer())[0] == 401
        with pytest.raises(ConnectionError):
            await flood(line)


async def test_a_client_that_asks_first_is_refused_before_it_sends_its_body(fake: FakeServer) -> None:
    expecting = b"Expect: 100-continue\r\n"
    async with keyless(fake) as line:
        line.writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: 500\r\n" + expecting + b"\r\n"
        )
        status, headers, _ = await line.answer()
        assert (status, headers["connection"]) == (401, "close")
        assert await line.reader.read() == b""
    async with connected(fake) as (line, _):
        line.writer.write(head(expecting))
        assert (await line.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        line.writer.write(BODY)
        status, headers, body = await line.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert json.loads(body)["choices"][0]["message"]["content"] == "Hello from the fake engine."


async def test_a_head_that_does_not_come_to_its_end_is_answered_408(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "HEAD_TIME", 0.05)
    async with keyless(fake) as line:
        line.writer.write(get()[:-2])
        await refused(line, 408, "request_timeout")
    async with keyless(fake) as line:
        line.writer.write(get())
        assert (await line.answer())[0] == 200
        line.writer.write(get()[:-2])
        await refused(line, 408, "request_timeout")
    async with keyless(fake) as line:
        assert await line.reader.read() == b""  # who says nothing is told nothing


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"no HTTP at all\r\n\r\n", 400, "invalid_value"),
        (get(b"/" + b"x" * MOST_TARGET), 414, "url_too_long"),
        (get(headers=b"x: " + b"y" * MOST_HEAD + b"\r\n"), 431, "headers_too_large"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid_value"),
    ],
)
async def test_the_log_tells_whose_request_was_none(
    fake: FakeServer, caplog: pytest.LogCaptureFixture, raw: bytes, status: int, code: str
) -> None:
    caplog.set_level(logging.INFO)
    async with connected(fake) as (line, _):
        line.writer.write(raw)
        _, headers, body = await line.answer()
    [record] = [record for record in caplog.records if record.name == "sagehold.access"]
    assert json.loads(body)["error"]["code"] == code
    facts = {"method": "-", "path": "-", "status": status, "ms": 0.0, "code": code, "client": "127.0.0.1"}
    assert vars(record)["request"] == facts
    assert headers["x-request-id"].startswith("req_")
