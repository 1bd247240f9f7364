"""Large bodies are read only for who could be served; small ones as ever."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from server.api.intake import LARGE
from server.core import Caller, Limits
from server.errors import InsufficientCredits
from server.models.config.spec import Price
from server.pipeline.admission import Free
from server.settings import Settings
from server.testing import KEY, FakeAccounts, FakeServer

pytestmark = pytest.mark.anyio

PRICE = Price(prompt_token=Decimal(1), completion_token=Decimal(1))
CHAT = {"model": "everything", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
LARGE_CHAT = json.dumps(CHAT | {"x": "y" * LARGE}).encode()
JSON = {"content-type": "application/json"}


class Empty(Free):
    """A bank in which nobody has a credit."""

    async def demand(self, caller: Caller, least: Decimal) -> None:
        if least > 0:
            raise InsufficientCredits(f"This request may cost {least} credits, but 0 are left.")


@asynccontextmanager
async def server(settings: Settings, *, price: Price = PRICE, **caller: Any) -> AsyncIterator[FakeServer]:
    who = Caller(key_id="key", account_id="acct", metered=True, **caller)
    async with FakeServer(settings, accounts=FakeAccounts({KEY: who}), bank=Empty(), price=price) as fake:
        yield fake


def unread(body: bytes) -> tuple[AsyncIterator[bytes], Callable[[], int]]:
    """A body in pieces, and how many bytes of it were taken."""
    taken = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal taken
        for start in range(0, len(body), 16_384):
            taken += len(body[start : start + 16_384])
            yield body[start : start + 16_384]

    return pieces(), lambda: taken


async def test_who_has_nothing_to_pay_with_is_refused_before_its_large_body_is_read(settings: Settings) -> None:
    huge = LARGE_CHAT + b" " * (10 * LARGE)
    async with server(settings) as fake, fake.client() as client:
        stream, taken = unread(huge)
        told = await client.post(
            "/v1/chat/completions", content=stream, headers={**JSON, "content-length": str(len(huge))}
        )
        assert (told.status_code, taken()) == (402, 0)
        stream, taken = unread(huge)
        untold = await client.post("/v1/chat/completions", content=stream, headers=JSON)
        assert untold.status_code == 402
        assert taken() <= LARGE + 32_768
        for answer in (told, untold):
            error = answer.json()["error"]
            assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_credits")
            assert error["message"] == "This request costs credits, but 0 are left."
        assert fake.services.bodies.taken == 0


async def test_a_small_body_is_read_and_its_refusal_names_the_cost(settings: Settings) -> None:
    async with server(settings) as fake, fake.client() as client:
        answer = await client.post("/v1/chat/completions", json=CHAT)
        assert answer.status_code == 402
        assert "may cost 1 credits" in answer.json()["error"]["message"]
        assert (await client.post("/v1/chat/completions", content=b"{", headers=JSON)).status_code == 400


async def test_compressed_bytes_count_as_what_they_stand_for(settings: Settings) -> None:
    async with server(settings) as fake, fake.client() as client:
        packed = gzip.compress(LARGE_CHAT)
        assert len(packed) < LARGE
        answer = await client.post("/v1/chat/completions", content=packed, headers={**JSON, "content-encoding": "gzip"})
        assert answer.status_code == 402


async def test_an_upload_too(settings: Settings) -> None:
    async with server(settings) as fake, fake.client() as client:
        files = {"file": ("a.wav", b"RIFF" + b"\0" * LARGE), "model": (None, "everything")}
        answer = await client.post("/v1/audio/transcriptions", files=files)
        assert answer.status_code == 402


async def test_where_something_is_free_it_is_read(settings: Settings) -> None:
    async with server(settings, price=Price()) as fake, fake.client() as client:
        assert (await client.post("/v1/chat/completions", content=LARGE_CHAT, headers=JSON)).status_code == 200


async def test_tokenizing_is_free(settings: Settings) -> None:
    async with server(settings) as fake, fake.client() as client:
        body = {"model": "everything", "prompt": "word " * LARGE}
        assert (await client.post("/v1/tokenize", json=body)).status_code == 200


async def test_who_is_over_a_limit_is_refused_before_its_large_body_is_read(settings: Settings) -> None:
    async with server(settings, price=Price(), limits=Limits(requests_per_minute=2)) as fake, fake.client() as client:
        first = await client.post("/v1/chat/completions", content=LARGE_CHAT, headers=JSON)
        assert first.status_code == 200
        assert first.headers["x-ratelimit-remaining-requests"] == "1"  # it was counted once
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
        stream, taken = unread(LARGE_CHAT)
        refused = await client.post(
            "/v1/chat/completions", content=stream, headers={**JSON, "content-length": str(len(LARGE_CHAT))}
        )
        assert (refused.status_code, taken()) == (429, 0)
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert int(refused.headers["retry-after"]) > 0


async def test_bodies_on_their_way_are_among_the_requests_at_once(settings: Settings) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield LARGE_CHAT[:10]
        begun.set()
        await go.wait()
        yield LARGE_CHAT[10:]

    headers = {**JSON, "content-length": str(len(LARGE_CHAT))}
    async with (
        server(settings, price=Price(), limits=Limits(concurrent_requests=1)) as fake,
        fake.client() as client,
        asyncio.TaskGroup() as group,
    ):
        first = group.create_task(client.post("/v1/chat/completions", content=slow(), headers=headers))
        await begun.wait()
        second = await client.post("/v1/chat/completions", content=LARGE_CHAT, headers=JSON)
        assert second.status_code == 429
        assert second.json()["error"]["message"] == "Rate limit reached: this key may have 1 requests in flight."
        go.set()
        assert (await first).status_code == 200
        assert (await client.post("/v1/chat/completions", content=LARGE_CHAT, headers=JSON)).status_code == 200
        assert fake.services.bodies.taken == 0


@pytest.mark.parametrize(
    ("inner", "what"), [(b"[" + b"[]," * 60_000 + b"[]]", "50000 arrays"), (b"[" * 300 + b"]" * 300, "200 levels")]
)
async def test_a_large_body_of_too_much_is_refused(fake: FakeServer, inner: bytes, what: str) -> None:
    body = LARGE_CHAT[:-1] + b', "z": ' + inner + b"}"
    async with fake.client() as client:
        answer = await client.post("/v1/chat/completions", content=body, headers=JSON)
    assert answer.status_code == 400
    assert what in answer.json()["error"]["message"]
    assert fake.services.bodies.taken == 0


async def test_a_field_as_long_as_the_request_is_not_said_again(fake: FakeServer) -> None:
    async with fake.client() as client:
        answer: httpx.Response = await client.post(
            "/v1/chat/completions", json=CHAT | {"logit_bias": {"1" * 100_000: "x"}}
        )
    assert answer.status_code == 400
    assert len(answer.content) < 2000
    assert answer.json()["error"]["param"].startswith("logit_bias")
