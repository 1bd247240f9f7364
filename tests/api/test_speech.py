"""POST /v1/audio/speech and its listings over the fake engine, whose chunks are the words of the text."""

import base64
import json
from typing import Any

import httpx
import httpx2
import pytest
from openai import AsyncOpenAI, BadRequestError

from server.core import SpeechJob, Task
from server.engines.fake.engine import FakeEngine
from server.engines.piper.voices import OPENAI_VOICES
from server.errors import EngineFailed
from server.models.config.spec import PiperModel, PiperVoice
from server.settings import Settings
from server.testing import KEY, Exchange, FakeEntry, FakeServer

pytestmark = pytest.mark.anyio

JOE = PiperModel(
    engine="piper",
    name="piper-joe",
    path="joe",
    voices={"joe": PiperVoice(file="joe.onnx", names=("narrator",), language="en-GB", description="A man.")},
)


@pytest.fixture
def engine(fake: FakeServer) -> FakeEngine:
    return fake.engines[Task.SPEECH]


async def speak(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/v1/audio/speech", json={"model": "everything", "input": "One two.", **body})


def line(server: FakeServer, **body: Any) -> Exchange:
    """A request that reads its answer chunk by chunk and can hang up."""
    content = json.dumps({"model": "everything", "input": "One two three.", **body}).encode()
    return server.exchange("POST", "/v1/audio/speech", body=content)


def server_with(settings: Settings, **options: Any) -> FakeServer:
    return FakeServer(settings, {Task.SPEECH: options})


async def test_audio_is_the_default_answer(client: httpx.AsyncClient, fake: FakeServer, engine: FakeEngine) -> None:
    answer = await speak(client)
    assert answer.status_code == 200
    assert answer.content == b"One two."
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["x-sagehold-model"] == "fake-speech"
    assert "content-length" not in answer.headers
    assert engine.jobs == [SpeechJob(text="One two.", voice="alloy", speed=1.0, format="mp3")]
    assert (fake.registry.leases, engine.finished) == (0, 1)


async def test_every_field_reaches_the_job(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    await speak(client, voice="nova", speed=0.25, response_format="pcm", instructions="Whisper.", unknown=[1])
    await speak(client, voice={"id": "joe"}, speed=4, response_format="wav")
    await speak(client, voice=None, speed=None, response_format=None, stream_format=None, instructions=None)
    first, second, third = engine.jobs
    assert first == SpeechJob(text="One two.", voice="nova", speed=0.25, format="pcm")
    assert second == SpeechJob(text="One two.", voice="joe", speed=4.0, format="wav")
    assert third == SpeechJob(text="One two.")


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/opus"),
        ("aac", "audio/aac"),
        ("flac", "audio/flac"),
        ("wav", "audio/wav"),
        ("pcm", "audio/pcm"),
    ],
)
async def test_content_types(client: httpx.AsyncClient, form: str, media_type: str) -> None:
    assert (await speak(client, response_format=form)).headers["content-type"] == media_type


async def test_sse_tells_deltas_and_usage(client: httpx.AsyncClient) -> None:
    answer = await speak(client, stream_format="sse")
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = answer.text.split("\n\n")
    assert frames.pop() == ""
    events = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    assert [event["type"] for event in events] == ["speech.audio.delta", "speech.audio.delta", "speech.audio.done"]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == b"One two."
    usage = events[-1]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (8, 0, 8)
    assert usage["characters"] == 8


async def test_audio_leaves_while_the_rest_is_being_spoken(fake: FakeServer, engine: FakeEngine) -> None:
    engine.gate.close()
    async with line(fake) as answer:
        engine.gate.let(2)  # Facts and the first word
        assert await answer.start() == 200
        assert await answer.chunk() == b"One"
        await engine.gate.until_waiting()
        engine.gate.open()
        assert [await answer.chunk() for _ in range(3)] == [b" two", b" three.", None]
    assert engine.finished == 1


@pytest.mark.parametrize("form", ["audio", "sse"])
@pytest.mark.parametrize("passed", [0, 1, 2])
async def test_hanging_up_stops_the_voice_wherever_it_is(
    fake: FakeServer, engine: FakeEngine, form: str, passed: int
) -> None:
    engine.gate.close()
    async with line(fake, stream_format=form) as answer:
        engine.gate.let(passed)
        if passed == 2:
            assert await answer.start() == 200
            await answer.chunk()
        await engine.gate.until_waiting()
    assert (engine.running, engine.cut_short, fake.registry.leases) == (0, 1, 0)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": "x" * 4097}, "input", "invalid_value"),
        ({"input": 7}, "input", "invalid_type"),
        ({"model": ""}, "model", "invalid_value"),
        ({"speed": 0.2}, "speed", "invalid_value"),
        ({"speed": 4.1}, "speed", "invalid_value"),
        ({"speed": "fast"}, "speed", "invalid_type"),
        ({"response_format": "midi"}, "response_format", "invalid_value"),
        ({"stream_format": "morse"}, "stream_format", "invalid_value"),
        ({"voice": 3}, "voice", "invalid_type"),
    ],
)
async def test_wrong_fields_are_named(
    client: httpx.AsyncClient, engine: FakeEngine, body: dict[str, Any], param: str, code: str
) -> None:
    answer = await speak(client, **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
    assert engine.jobs == []


async def test_the_longest_input_is_accepted(client: httpx.AsyncClient) -> None:
    assert (await speak(client, input="ö" * 4096)).status_code == 200


async def test_a_model_that_does_not_speak_is_a_404_that_lists_those_that_do(client: httpx.AsyncClient) -> None:
    answer = await speak(client, model="fake-chat")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "everything, fake-speech" in answer.json()["error"]["message"]


async def test_a_voice_the_engine_does_not_have_is_a_400(settings: Settings) -> None:
    async with server_with(settings, voices=("joe",)) as server, server.client() as client:
        answer = await speak(client, voice="nobody")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "voice"
    assert "joe" in answer.json()["error"]["message"]


@pytest.mark.parametrize("options", [{"fail": True}, {"die_after": 0}])
async def test_an_engine_that_fails_before_any_audio_is_a_500(settings: Settings, options: dict[str, Any]) -> None:
    """With the audio form nothing is sent before the first audio, so even then there is a status."""
    async with server_with(settings, **options) as server, server.client() as client:
        answer = await speak(client)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "engine_failed"
    assert server.registry.leases == 0


async def test_an_engine_that_dies_on_the_way_tears_the_file(settings: Settings) -> None:
    """A torn body must not end as a whole one: the application breaks off with the error."""
    async with server_with(settings, die_after=1) as server:
        async with line(server) as answer:
            assert await answer.start() == 200
            assert await answer.chunk() == b"One"
            assert await answer.chunk() is None
            with pytest.raises((EngineFailed, RuntimeError)):  # Starlette's own, if an error comes after the start
                await answer.ended()
        assert server.registry.leases == 0


async def test_an_engine_that_dies_on_the_way_ends_sse_with_an_error_event(settings: Settings) -> None:
    async with server_with(settings, die_after=1) as server, server.client() as client:
        frames = (await speak(client, stream_format="sse")).text.split("\n\n")
    assert json.loads(frames[0].removeprefix("data: "))["type"] == "speech.audio.delta"
    assert json.loads(frames[1].removeprefix("data: "))["error"]["code"] == "engine_failed"


async def test_voices_are_listed_with_who_they_are(client: httpx.AsyncClient, fake: FakeServer) -> None:
    fake.catalog.listed.insert(0, FakeEntry("tts-1", {Task.SPEECH: JOE}))
    listed = (await client.get("/v1/audio/voices")).json()["voices"]
    assert [voice["id"] for voice in listed] == ["joe", *OPENAI_VOICES, "narrator"]
    about = {"voice": "joe", "language": "en-GB", "description": "A man."}
    assert all(voice == {"id": voice["id"], "name": voice["id"], **about} for voice in listed)
    only = (await client.get("/v1/audio/voices?model=fake-speech")).json()["voices"]
    assert [voice["id"] for voice in only] == list(OPENAI_VOICES)
    assert (await client.get("/v1/audio/voices?model=fake-chat")).json() == {"voices": []}


async def test_models_that_speak_are_listed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/audio/models")
    assert [model["id"] for model in answer.json()["models"]] == ["everything", "fake-speech"]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/audio/speech"), ("GET", "/v1/audio/voices"), ("GET", "/v1/audio/models")]
)
async def test_a_key_is_needed(fake: FakeServer, method: str, path: str) -> None:
    async with fake.client(key=None) as client:
        assert (await client.request(method, path)).status_code == 401


async def test_the_openai_sdk_reads_every_form(fake: FakeServer) -> None:
    async with (
        httpx2.AsyncClient(transport=httpx2.ASGITransport(fake.app)) as http,
        AsyncOpenAI(api_key=KEY, base_url="http://test/v1", http_client=http) as client,
    ):
        whole = await client.audio.speech.create(model="everything", input="One two.", voice="alloy")
        assert whole.content == b"One two."
        async with client.audio.speech.with_streaming_response.create(
            model="everything", input="One two.", voice={"id": "joe"}, response_format="opus", instructions="Be kind."
        ) as streamed:
            assert b"".join([chunk async for chunk in streamed.iter_bytes()]) == b"One two."
            assert streamed.headers["content-type"] == "audio/opus"
        with pytest.raises(BadRequestError) as caught:
            await client.audio.speech.create(model="everything", input="", voice="alloy")
        assert caught.value.param == "input"
