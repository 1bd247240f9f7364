"""The server's end as its requests meet it, in process: what is refused, what is cut short, and in which words."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from server.core import Task
from server.settings import Settings
from server.testing import Exchange, FakeServer

pytestmark = pytest.mark.anyio

CHAT = {"model": "fake-chat", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}
SPEECH = {"model": "fake-speech", "input": "hello", "response_format": "pcm"}
WORDS = "The server is shutting down. Please try again shortly."


@pytest.fixture
async def fake(settings: Settings) -> AsyncIterator[FakeServer]:
    async with FakeServer(settings) as server:
        yield server


def chat(fake: FakeServer, **fields: Any) -> Exchange:
    return fake.exchange("POST", "/v1/chat/completions", body=orjson.dumps({**CHAT, **fields}))


def cut(fake: FakeServer, *sent: Exchange) -> None:
    """As the HTTP server does it once the grace is over."""
    fake.services.shutdown.begin()
    fake.services.shutdown.cut(one.task for one in sent)


async def rest(sent: Exchange) -> bytes:
    answer = b""
    while (chunk := await sent.chunk()) is not None:
        answer += chunk
    return answer


async def assert_refused(sent: Exchange) -> None:
    assert await sent.start() == 503
    assert sent.headers["connection"] == "close"
    assert sent.headers["retry-after"] == "5"
    assert sent.headers["x-request-id"].startswith("req_")
    error = orjson.loads(await rest(sent))["error"]
    assert error == {
        "message": WORDS,
        "type": "service_unavailable_error",
        "param": None,
        "code": "server_shutting_down",
    }


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/models", "/v1/nowhere", "/admin/v1/keys", "/openapi.json"]
)
async def test_from_the_first_signal_on_requests_are_refused(fake: FakeServer, path: str) -> None:
    fake.services.shutdown.begin()
    async with fake.exchange("POST", path, body=orjson.dumps(CHAT)) as sent:
        await assert_refused(sent)
    assert fake.engines[Task.CHAT].started == 0


async def test_probes_are_answered_to_the_end(fake: FakeServer) -> None:
    async with fake.client(key=None) as client:
        assert (await client.get("/ready")).json()["status"] == "ready"
        assert (await client.get("/health")).json() == {"status": "ok"}
        fake.services.shutdown.begin()
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["status"], ready.headers["retry-after"]) == (503, "stopping", "5")
        health = await client.get("/health")
        assert (health.status_code, health.json()) == (200, {"status": "stopping"})
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.head("/ready")).status_code == 503


@pytest.mark.parametrize("stream", [False, True])
async def test_who_waits_for_a_model_is_told_at_once(fake: FakeServer, stream: bool) -> None:
    fake.registry.loaded.clear()
    async with chat(fake, stream=stream) as sent:
        while not fake.registry.waiting:
            await asyncio.sleep(0)
        fake.services.shutdown.begin()
        await assert_refused(sent)
    assert (fake.registry.waiting, fake.registry.leases) == (0, 0)


async def test_who_has_the_model_goes_on_until_the_grace_is_over(fake: FakeServer) -> None:
    engine = fake.engines[Task.CHAT]
    engine.gate.close()
    async with chat(fake) as sent:
        await engine.gate.until_waiting()
        fake.services.shutdown.begin()
        engine.gate.open()
        assert await sent.start() == 200
        assert orjson.loads(await rest(sent))["choices"][0]["finish_reason"]
    assert (engine.finished, engine.cut_short) == (1, 0)


async def test_a_plain_request_that_is_cut_short_gets_the_envelope(fake: FakeServer) -> None:
    engine = fake.engines[Task.CHAT]
    engine.gate.close()
    async with chat(fake) as sent:
        engine.gate.let(3)  # facts and two tokens
        await engine.gate.until_waiting()
        cut(fake, sent)
        await assert_refused(sent)
    assert (engine.running, engine.cut_short, fake.registry.leases) == (0, 1, 0)


async def test_a_stream_that_is_cut_short_ends_with_the_error_and_its_terminator(fake: FakeServer) -> None:
    engine = fake.engines[Task.CHAT]
    engine.gate.close()
    async with chat(fake, stream=True) as sent:
        engine.gate.let(3)
        assert await sent.start() == 200
        await engine.gate.until_waiting()
        cut(fake, sent)
        answer = await rest(sent)
        await sent.ended()
    *_, error, done, end = answer.split(b"\n\n")
    assert orjson.loads(error.removeprefix(b"data: "))["error"]["code"] == "server_shutting_down"
    assert (done, end) == (b"data: [DONE]", b"")
    assert (engine.running, engine.cut_short, fake.registry.leases) == (0, 1, 0)


async def test_a_file_that_is_cut_short_breaks_off(fake: FakeServer) -> None:
    engine = fake.engines[Task.SPEECH]
    engine.gate.close()
    async with fake.exchange("POST", "/v1/audio/speech", body=orjson.dumps(SPEECH)) as sent:
        engine.gate.let(2)  # facts and the first chunk
        assert await sent.start() == 200
        assert await sent.chunk()
        await engine.gate.until_waiting()
        cut(fake, sent)
        with pytest.raises(Exception, match="shutting down"):  # by which the HTTP server breaks the connection
            await sent.ended()
    ends = [message for message in sent.unread() if message and not message.get("more_body", False)]
    assert not ends
    assert fake.registry.leases == 0


async def test_a_body_that_is_still_on_its_way_is_not_waited_for(fake: FakeServer) -> None:
    async with chat(fake) as sent:
        sent.hold_body()
        await sent.asked.wait()
        cut(fake, sent)
        await assert_refused(sent)


async def test_a_body_that_arrives_after_the_signal_begins_nothing(fake: FakeServer) -> None:
    async with chat(fake) as sent:
        sent.hold_body()
        await sent.asked.wait()
        fake.services.shutdown.begin()
        sent.let_body()
        await assert_refused(sent)
    assert fake.engines[Task.CHAT].started == 0


async def test_an_answer_that_was_whole_is_not_spoilt(fake: FakeServer) -> None:
    async with chat(fake, stream=True) as sent:
        assert await sent.start() == 200
        await rest(sent)
        await sent.ended()
        cut(fake, sent)
    assert fake.engines[Task.CHAT].finished == 1
