"""Bodies with a content coding: read within the same limits, or refused."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from server.api import errors
from server.api.body import read_form, read_json
from server.api.content_coding import PIECE
from server.api.dialect import Dialects
from server.api.openai.dialect import OPENAI
from server.api.validation import Body

pytestmark = pytest.mark.anyio

LIMIT = 300_000


class Asked(Body):
    text: str


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    errors.install(app, Dialects(OPENAI))

    @app.post("/json")
    async def json(request: Request) -> dict[str, Any]:
        return (await read_json(request, Asked, limit=LIMIT)).model_dump()

    @app.post("/form")
    async def form(request: Request) -> dict[str, Any]:
        return {"bytes": len((await read_form(request, file_limit=LIMIT)).file().data)}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


def body(text: str) -> bytes:
    return json.dumps({"text": text}).encode()


async def post(http: httpx.AsyncClient, content: Any, coding: str) -> httpx.Response:
    return await http.post("/json", content=content, headers={"content-encoding": coding})


@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress)],
)
@pytest.mark.parametrize("text", ["", "hello", "x" * (4 * PIECE), "x" * (PIECE - len(body("")))])
async def test_a_compressed_body_is_read(
    http: httpx.AsyncClient, coding: str, compress: Callable[[bytes], bytes], text: str
) -> None:
    answer = await post(http, compress(body(text)), coding)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"text": text}


async def test_identity_is_no_coding(http: httpx.AsyncClient) -> None:
    assert (await post(http, body("hello"), "identity")).json() == {"text": "hello"}


async def test_it_may_come_byte_by_byte(http: httpx.AsyncClient) -> None:
    async def bytewise() -> AsyncIterator[bytes]:
        for byte in gzip.compress(body("hello")):
            yield bytes([byte])

    assert (await post(http, bytewise(), "gzip")).json() == {"text": "hello"}


async def test_a_compressed_form_is_read(http: httpx.AsyncClient) -> None:
    plain = httpx.Request("POST", "http://test", files={"file": ("a.wav", b"RIFF")})
    headers = {"content-encoding": "gzip", "content-type": plain.headers["content-type"]}
    answer = await http.post("/form", content=gzip.compress(plain.read()), headers=headers)
    assert answer.json() == {"bytes": 4}


async def test_a_small_body_that_stands_for_gigabytes_ends_at_the_limit(http: httpx.AsyncClient) -> None:
    pack = zlib.compressobj(wbits=31)
    bomb = b"".join(pack.compress(bytes(2**20)) for _ in range(500)) + pack.flush()
    assert len(bomb) < 600_000
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    pieces = [bomb[place : place + PIECE] for place in range(0, len(bomb), PIECE)]

    async def sent() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    answer = await post(http, sent(), "gzip")
    grown = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert answer.status_code == 413
    assert answer.json()["error"]["message"].startswith(f"Maximum content size limit ({LIMIT}) exceeded")
    assert grown < 5_000_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip at all", "The compressed body of your request is damaged."),
        (gzip.compress(body("hello"))[:-9], "The compressed body of your request ends too early."),
        (gzip.compress(body("hello")) + b"more", "The compressed body of your request goes on after its end."),
    ],
    ids=["no gzip", "cut", "longer"],
)
async def test_a_damaged_body_is_refused(http: httpx.AsyncClient, content: bytes, message: str) -> None:
    answer = await post(http, content, "gzip")
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "secret"])
async def test_another_coding_is_refused_and_the_answer_says_which_are_read(
    http: httpx.AsyncClient, coding: str
) -> None:
    answer = await post(http, body("hello"), coding)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, deflate")
    assert answer.json()["error"]["code"] == "unsupported_media_type"
    assert coding in answer.json()["error"]["message"]
