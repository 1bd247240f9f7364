"""POST /v1/audio/transcriptions and /translations over the fake engine."""

import json
from typing import Any

import httpx
import httpx2
import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.types.audio import TranscriptionVerbose

from server.core import Task, TranscriptionJob
from server.engines.fake.engine import FakeEngine
from server.settings import Settings
from server.testing import KEY, Exchange, FakeServer

USAGE = {
    "type": "duration",
    "seconds": 9,
    "quality": {
        "mode": "medium",
        "passes": 1,
        "candidates": 1,
        "tokens_by_pass": [{"pass": "answer", "prompt_tokens": 0, "completion_tokens": 4, "audio_seconds": 8.47}],
    },
}

pytestmark = pytest.mark.anyio

AUDIO = b"RIFF, or so"
TEXT = "One two. Three four."
BOUNDARY = "a1b2c3"


@pytest.fixture
async def fake(settings: Settings) -> Any:
    async with FakeServer(settings, {Task.TRANSCRIPTION: {"text": TEXT, "duration": 8.47}}) as server:
        yield server


@pytest.fixture
def engine(fake: FakeServer) -> FakeEngine:
    return fake.engines[Task.TRANSCRIPTION]


async def send(
    client: httpx.AsyncClient, route: str = "transcriptions", *, file: Any = ("a.mp3", AUDIO), **fields: Any
) -> httpx.Response:
    """`fields` with None are left out; `array__` at a name's end stands for `[]`."""
    data = {name.replace("array__", "[]"): value for name, value in {"model": "everything", **fields}.items()}
    return await client.post(
        f"/v1/audio/{route}",
        data={name: value for name, value in data.items() if value is not None},
        files={"file": file} if file is not None else {"other": ("b", b"")},
    )


def line(server: FakeServer, **fields: str) -> Exchange:
    """A request whose answer is read piece by piece."""
    parts = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {"model": "everything", **fields}.items()
    )
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
    body = f"{parts}{head}".encode() + AUDIO + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return server.exchange("POST", "/v1/audio/transcriptions", body=body, headers=headers)


def sdk(server: FakeServer) -> AsyncOpenAI:
    transport = httpx2.ASGITransport(app=server.app)
    http = httpx2.AsyncClient(transport=transport, base_url="http://test")
    return AsyncOpenAI(api_key=KEY, base_url="http://test/v1", http_client=http, max_retries=0)


async def test_json_is_the_default_answer(client: httpx.AsyncClient, fake: FakeServer, engine: FakeEngine) -> None:
    answer = await send(client)
    assert answer.status_code == 200
    assert answer.json() == {"text": TEXT, "usage": USAGE}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-sagehold-model"] == "fake-transcription"
    assert engine.jobs == [TranscriptionJob(audio=AUDIO, filename="a.mp3")]
    assert (fake.registry.leases, engine.finished) == (0, 1)


async def test_every_field_reaches_the_job(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    await send(
        client,
        language="German",
        prompt="Namen",
        temperature="0.4",
        response_format="verbose_json",
        timestamp_granularitiesarray__=["word", "segment"],
        chunking_strategy="auto",
        unknown="x",
    )
    assert engine.jobs == [
        TranscriptionJob(
            audio=AUDIO,
            filename="a.mp3",
            language="de",
            prompt="Namen",
            temperature=0.4,
            words=True,
        )
    ]


async def test_empty_fields_are_absent(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    answer = await send(client, language="", prompt="", temperature="", response_format="", stream="")
    assert answer.json()["text"] == TEXT
    assert engine.jobs == [TranscriptionJob(audio=AUDIO, filename="a.mp3")]


@pytest.mark.parametrize("zero", ["0", "0.0", None])
async def test_temperature_zero_leaves_it_to_the_engine(
    client: httpx.AsyncClient, engine: FakeEngine, zero: str | None
) -> None:
    await send(client, temperature=zero)
    job = engine.jobs[0]
    assert isinstance(job, TranscriptionJob)
    assert job.temperature is None


@pytest.mark.parametrize(
    ("form", "media_type", "body"),
    [
        ("text", "text/plain; charset=utf-8", f"{TEXT}\n"),
        (
            "srt",
            "text/plain; charset=utf-8",
            "1\n00:00:00,000 --> 00:00:04,235\nOne two.\n\n2\n00:00:04,235 --> 00:00:08,470\nThree four.\n\n",
        ),
        (
            "vtt",
            "text/vtt; charset=utf-8",
            "WEBVTT\n\n00:00:00.000 --> 00:00:04.235\nOne two.\n\n00:00:04.235 --> 00:00:08.470\nThree four.\n\n",
        ),
    ],
)
async def test_plain_forms_are_raw_bodies(client: httpx.AsyncClient, form: str, media_type: str, body: str) -> None:
    answer = await send(client, response_format=form)
    assert answer.headers["content-type"] == media_type
    assert answer.text == body


async def test_verbose_json_has_segments_by_default(client: httpx.AsyncClient) -> None:
    answer = (await send(client, response_format="verbose_json")).json()
    assert list(answer) == ["task", "language", "duration", "text", "segments", "usage"]
    assert (answer["task"], answer["language"], answer["duration"]) == ("transcribe", "english", 8.47)
    assert answer["segments"][1] == {
        "id": 1,
        "seek": 423,
        "start": 4.235,
        "end": 8.47,
        "text": " Three four.",
        "tokens": [0, 1],
        "temperature": 0.0,
        "avg_logprob": -0.25,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.01,
    }
    assert answer["usage"] == USAGE


@pytest.mark.parametrize("name", ["timestamp_granularities", "timestamp_granularitiesarray__"])
async def test_words_and_segments_as_asked(client: httpx.AsyncClient, name: str) -> None:
    words = (await send(client, response_format="verbose_json", **{name: "word"})).json()
    assert "segments" not in words
    assert [word["word"] for word in words["words"]] == ["One", "two.", "Three", "four."]
    assert set(words["words"][0]) == {"word", "start", "end"}
    both = (await send(client, response_format="verbose_json", **{name: ["word", "segment"]})).json()
    assert (len(both["words"]), len(both["segments"])) == (4, 2)
    segments = (await send(client, response_format="verbose_json", **{name: "segment"})).json()
    assert "words" not in segments


@pytest.mark.parametrize("form", ["json", "text", "srt", "vtt"])
async def test_segments_go_with_every_form(client: httpx.AsyncClient, form: str) -> None:
    plain = await send(client, response_format=form)
    asked = await send(client, response_format=form, timestamp_granularitiesarray__="segment")
    assert (asked.status_code, asked.content) == (200, plain.content)


async def test_translation_is_into_english(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    answer = (await send(client, "translations", language="fr", response_format="verbose_json")).json()
    assert (answer["task"], answer["language"]) == ("translate", "english")
    assert engine.jobs == [TranscriptionJob(audio=AUDIO, filename="a.mp3", language="fr", translate=True)]


async def test_stream_tells_each_segment_as_it_comes(fake: FakeServer, engine: FakeEngine) -> None:
    engine.gate.close()
    async with line(fake, stream="true") as answer:
        engine.gate.let(3)  # Facts, the facts, the first segment
        assert await answer.start() == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert await answer.chunk() == b'data: {"type":"transcript.text.delta","delta":"One two."}\n\n'
        await engine.gate.until_waiting()
        engine.gate.open()
        assert await answer.chunk() == b'data: {"type":"transcript.text.delta","delta":" Three four."}\n\n'
        done = await answer.chunk()
        assert done is not None
        assert json.loads(done.removeprefix(b"data: ")) == {
            "type": "transcript.text.done",
            "text": TEXT,
            **{name: value for name, value in USAGE.items() if name != "type"},
        }
        assert await answer.chunk() is None
    assert (engine.finished, fake.registry.leases) == (1, 0)


async def streamed(client: httpx.AsyncClient, route: str = "transcriptions", **fields: Any) -> list[dict[str, Any]]:
    answer = await send(client, route, stream="true", **fields)
    assert answer.status_code == 200
    return [json.loads(one.removeprefix("data: ")) for one in answer.text.split("\n\n") if one]


async def test_a_verbose_stream_tells_each_segment_with_its_words_and_ends_in_the_whole(
    client: httpx.AsyncClient,
) -> None:
    fields = {"response_format": "verbose_json", "timestamp_granularitiesarray__": ["word", "segment"]}
    whole = (await send(client, **fields)).json()
    *events, done = await streamed(client, **fields)
    assert [event["type"].removeprefix("transcript.text.") for event in events] == ["delta", "segment"] * 2
    assert [event["delta"] for event in events[::2]] == ["One two.", " Three four."]
    words = [event.pop("words") for event in events[1::2]]
    assert words == [whole["words"][:2], whole["words"][2:]]
    assert events[1::2] == [{"type": "transcript.text.segment", **segment} for segment in whole["segments"]]
    billed = whole.pop("usage")
    assert billed.pop("type") == "duration"
    assert done == {"type": "transcript.text.done", **whole, **billed}


async def test_a_verbose_stream_has_what_is_asked_for(client: httpx.AsyncClient) -> None:
    *events, done = await streamed(client, "translations", response_format="verbose_json")
    assert "words" not in events[1]
    assert "words" not in done
    assert (done["task"], len(done["segments"])) == ("translate", 2)
    *events, done = await streamed(client, response_format="verbose_json", timestamp_granularitiesarray__="word")
    assert [word["word"] for word in events[1]["words"]] == ["One", "two."]
    assert "segments" not in done
    assert [event["type"] for event in await streamed(client, response_format="text")] == [
        "transcript.text.delta",
        "transcript.text.delta",
        "transcript.text.done",
    ]


@pytest.mark.parametrize("stream", ["true", "false"])
@pytest.mark.parametrize("passed", [0, 1, 2, 3])
async def test_hanging_up_stops_the_work(fake: FakeServer, engine: FakeEngine, stream: str, passed: int) -> None:
    engine.gate.close()
    async with line(fake, stream=stream):
        engine.gate.let(passed)
        await engine.gate.until_waiting()
    assert (engine.running, engine.cut_short, fake.registry.leases) == (0, 1, 0)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"file": None}, "file", "missing_required_parameter"),
        ({"response_format": "docx"}, "response_format", "invalid_value"),
        ({"response_format": "diarized_json"}, "response_format", "invalid_value"),
        ({"temperature": "1.1"}, "temperature", "invalid_value"),
        ({"temperature": "-0.1"}, "temperature", "invalid_value"),
        ({"temperature": "nan"}, "temperature", "invalid_value"),
        ({"temperature": "warm"}, "temperature", "invalid_type"),
        ({"language": "klingon"}, "language", "invalid_value"),
        ({"stream": "perhaps"}, "stream", "invalid_type"),
        ({"stream": "true", "response_format": "srt"}, "response_format", "invalid_value"),
        ({"stream": "true", "response_format": "vtt"}, "response_format", "invalid_value"),
        ({"timestamp_granularitiesarray__": "word"}, "timestamp_granularities", "invalid_value"),
        ({"timestamp_granularities": "word", "response_format": "text"}, "timestamp_granularities", "invalid_value"),
        (
            {"timestamp_granularities": ["word", "letter"], "response_format": "verbose_json"},
            "timestamp_granularities[1]",
            "invalid_value",
        ),
        ({"includearray__": "logprobs"}, "include", "unsupported_parameter"),
    ],
)
async def test_wrong_fields_are_named(
    client: httpx.AsyncClient, engine: FakeEngine, fields: dict[str, Any], param: str, code: str
) -> None:
    answer = await send(client, **fields)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
    assert engine.jobs == []


async def test_a_body_that_is_neither_a_form_nor_json_is_a_415(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/audio/transcriptions", content=b"a=b", headers={"content-type": "text/plain"})
    assert answer.status_code == 415


async def test_too_large_a_file_is_a_413(settings: Settings) -> None:
    small = settings.model_copy(update={"max_upload": 1000})
    async with FakeServer(small) as server, server.client() as client:
        answer = await send(client, file=("a.wav", bytes(1001)))
        assert answer.status_code == 413
        assert answer.json()["error"]["message"] == "Maximum content size limit (1000) exceeded (1001 bytes read)"
        assert server.engines[Task.TRANSCRIPTION].jobs == []
        assert (await send(client, file=("a.wav", bytes(1000)))).status_code == 200


async def test_what_the_engine_refuses_is_a_400_even_when_streamed(settings: Settings) -> None:
    async with FakeServer(settings, {Task.TRANSCRIPTION: {"refuse": "No sound."}}) as server:
        async with server.client() as client:
            for stream in ("true", "false"):
                answer = await send(client, stream=stream)
                assert (answer.status_code, answer.json()["error"]["message"]) == (400, "No sound.")
        assert server.registry.leases == 0


async def test_an_engine_that_dies_is_a_500_or_an_error_event(settings: Settings) -> None:
    async with FakeServer(settings, {Task.TRANSCRIPTION: {"die_after": 2, "text": TEXT}}) as server:
        async with server.client() as client:
            answer = await send(client, stream="true")
            events = [json.loads(frame.removeprefix("data: ")) for frame in answer.text.split("\n\n") if frame]
            assert events[0]["delta"] == "One two."
            assert events[-1]["error"]["code"] == "engine_failed"
            answer = await send(client)
            assert (answer.status_code, answer.json()["error"]["code"]) == (500, "engine_failed")
        assert server.registry.leases == 0


async def test_a_model_that_does_not_listen_is_a_404(client: httpx.AsyncClient) -> None:
    answer = await send(client, model="fake-chat")
    assert answer.status_code == 404
    assert "everything, fake-transcription" in answer.json()["error"]["message"]


async def test_the_sdk_reads_every_form(fake: FakeServer) -> None:
    async with sdk(fake) as client:
        create = client.audio.transcriptions.create
        plain = await create(model="everything", file=("a.mp3", AUDIO))
        assert plain.text == TEXT
        assert plain.usage is not None
        assert (plain.usage.type, plain.usage.seconds) == ("duration", 9)  # type: ignore[union-attr]
        assert await create(model="everything", file=("a.mp3", AUDIO), response_format="text") == f"{TEXT}\n"
        verbose = await create(
            model="everything",
            file=("a.mp3", AUDIO),
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
        assert isinstance(verbose, TranscriptionVerbose)
        TranscriptionVerbose.model_validate(verbose.model_dump(), strict=True)
        assert verbose.words is not None
        assert [word.word for word in verbose.words] == ["One", "two.", "Three", "four."]
        stream = await create(model="everything", file=("a.mp3", AUDIO), stream=True)
        events = [event async for event in stream]
        assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
        assert events[-1].text == TEXT  # type: ignore[union-attr]
        with pytest.deprecated_call():  # the SDK's word on that route
            translated = await client.audio.translations.create(model="everything", file=("a.mp3", AUDIO))
        assert translated.text == TEXT
        with pytest.raises(BadRequestError):
            await create(model="everything", file=("a.mp3", AUDIO), include=["logprobs"])
