"""Streams of models that are still being loaded: silence, then comments, then the answer or an error."""

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from server.api import sse
from server.core import Task
from server.settings import Settings
from server.testing import Exchange, FakeServer

pytestmark = pytest.mark.anyio

CHAT = ("/v1/chat/completions", {"model": "fake-chat", "messages": [{"role": "user", "content": "hi"}], "stream": True})
IMAGE = ("/v1/images/generations", {"model": "fake-image", "prompt": "a heart", "stream": True})
SPEECH = ("/v1/audio/speech", {"model": "fake-speech", "input": "hello", "stream_format": "sse"})
STREAMS = {"chat": CHAT, "image": IMAGE, "speech": SPEECH}


@pytest.fixture
async def fake(settings: Settings) -> AsyncIterator[FakeServer]:
    async with FakeServer(settings) as server:
        server.registry.loaded.clear()
        yield server


def exchange(fake: FakeServer, kind: str) -> Exchange:
    if kind == "transcription":
        parts = {"model": "fake-transcription", "stream": "true"}
        body = b"".join(
            f'--x\r\ncontent-disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in parts.items()
        )
        body += b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--x--\r\n'
        headers = {"content-type": "multipart/form-data; boundary=x"}
        return fake.exchange("POST", "/v1/audio/transcriptions", body=body, headers=headers)
    path, fields = STREAMS[kind]
    return fake.exchange("POST", path, body=orjson.dumps(fields))


async def waiting(fake: FakeServer, count: int) -> None:
    while fake.registry.waiting != count:
        await asyncio.sleep(0)


async def rest(sent: Exchange) -> bytes:
    answer = b""
    while (chunk := await sent.chunk()) is not None:
        answer += chunk
    return answer


@pytest.mark.parametrize("kind", [*STREAMS, "transcription"])
async def test_a_stream_begins_with_a_comment_while_its_model_loads(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(sse, "PATIENCE", 0)
    async with exchange(fake, kind) as sent:
        assert await sent.start() == 200
        assert sent.headers["content-type"].startswith("text/event-stream")
        assert "x-sagehold-model" not in sent.headers
        assert await sent.chunk() == b": waiting for the model\n\n"
        fake.registry.loaded.set()
        answer = await rest(sent)
        assert b"data: " in answer
        assert b'"error"' not in answer
        await sent.ended()
    assert fake.registry.leases == 0


async def test_a_load_within_the_patience_is_as_if_it_had_been_loaded(fake: FakeServer) -> None:
    async with exchange(fake, "chat") as sent:
        await waiting(fake, 1)
        fake.registry.loaded.set()
        assert await sent.start() == 200
        assert sent.headers["x-sagehold-model"] == "fake-chat"
        assert (await rest(sent)).endswith(b"data: [DONE]\n\n")


async def test_a_failure_within_the_patience_has_its_status(fake: FakeServer) -> None:
    fake.registry.failed["fake-chat"] = "no such layer"
    async with exchange(fake, "chat") as sent:
        await waiting(fake, 1)
        fake.registry.loaded.set()
        assert await sent.start() == 503
        assert sent.headers["retry-after"]


async def test_a_later_failure_is_an_event(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "PATIENCE", 0)
    fake.registry.failed["fake-chat"] = "no such layer"
    async with exchange(fake, "chat") as sent:
        assert await sent.start() == 200
        assert await sent.chunk() == b": waiting for the model\n\n"
        fake.registry.loaded.set()
        event, end = (await rest(sent)).removeprefix(b"data: ").split(b"\n\n", 1)
        assert orjson.loads(event)["error"]["code"] == "model_unavailable"
        assert orjson.loads(event)["error"]["message"] == "no such layer"
        assert end == b"data: [DONE]\n\n"
        await sent.ended()


@pytest.mark.parametrize("patience", [0, 60])
async def test_who_hangs_up_while_the_model_loads_waits_no_longer(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr(sse, "PATIENCE", patience)
    async with exchange(fake, "chat") as sent:
        await waiting(fake, 1)
        if not patience:
            assert await sent.start() == 200
        sent.hang_up()
        await waiting(fake, 0)
    assert (fake.registry.leases, fake.engines[Task.CHAT].started) == (0, 0)


async def test_who_hangs_up_when_the_model_is_just_there_gives_it_back(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "PATIENCE", 0)
    async with exchange(fake, "chat") as sent:
        assert await sent.start() == 200
        fake.registry.loaded.set()
        sent.hang_up()
    assert (fake.registry.leases, fake.engines[Task.CHAT].running) == (0, 0)


async def test_a_plain_request_just_waits(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "PATIENCE", 0)
    async with fake.client() as client:
        asked = asyncio.create_task(client.post(CHAT[0], json={**CHAT[1], "stream": False}))
        await waiting(fake, 1)
        fake.registry.loaded.set()
        answer = await asked
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"]


async def test_who_hangs_up_on_a_plain_request_waits_no_longer(fake: FakeServer) -> None:
    body = orjson.dumps({**CHAT[1], "stream": False})
    async with fake.exchange("POST", CHAT[0], body=body) as sent:
        await waiting(fake, 1)
        sent.hang_up()
        await waiting(fake, 0)
    assert fake.registry.leases == 0
