"""Over a real socket and the real HTTP server: what happens when a client hangs up."""

import httpx
import pytest

from server.core import Task
from server.testing import FakeServer
from tests.api.listening import listening

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_a_hang_up_ends_the_work(fake: FakeServer, stream_format: str) -> None:
    engine = fake.engines[Task.SPEECH]
    engine.gate.close()
    engine.gate.let(2)  # it is accepted, and says its first word
    asked = {"model": "everything", "input": "one two three", "voice": "alloy", "stream_format": stream_format}
    async with listening(fake) as client:
        async with client.stream("POST", "/v1/audio/speech", json=asked) as answer:
            assert answer.status_code == 200
            await anext(answer.aiter_bytes())
            assert engine.running == 1
        await engine.until_idle()
        assert engine.cut_short == 1
        engine.gate.open()
        whole = await client.post("/v1/audio/speech", json={**asked, "stream_format": "audio"})
        assert whole.content == b"one two three"
    assert fake.registry.leases == 0


async def test_a_torn_file_does_not_look_whole(fake: FakeServer) -> None:
    engine = fake.engines[Task.SPEECH]
    engine.gate.close()
    engine.gate.let(2)
    async with listening(fake) as client:
        asked = {"model": "everything", "input": "one two three", "voice": "alloy"}
        async with client.stream("POST", "/v1/audio/speech", json=asked) as answer:
            pieces = answer.aiter_bytes()
            assert await anext(pieces) == b"one"
            engine.die()
            engine.gate.open()
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(pieces)
        assert (await client.get("/health")).status_code == 200


async def test_a_body_that_is_too_large_is_refused_while_it_is_sent(fake: FakeServer) -> None:
    async with listening(fake) as client:
        limit = fake.services.settings.max_body
        answer = await client.post(
            "/v1/audio/speech", content=b" " * (limit + 1), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 413
        assert answer.json()["error"]["message"].startswith(f"Maximum content size limit ({limit}) exceeded")
        assert (await client.get("/health")).status_code == 200
