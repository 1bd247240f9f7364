"""Spoken answers: their shape, whole and streamed, what is not spoken, and what they cost."""

import base64
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from server.accounts.keys.service import Accounts
from server.accounts.ledger.ledger import Ledger
from server.core import ChatJob, Job, SpeechJob, Task
from server.engines.fake.engine import FakeEngine
from server.errors import EngineFailed, InvalidRequest
from server.models.config.spec import Price
from server.settings import Settings
from server.testing import FakeServer
from tests.api.test_chat_sounds import sound

pytestmark = pytest.mark.anyio

TEXT = "The capital is Tokyo."
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def asking(**fields: Any) -> dict[str, Any]:
    return {
        "model": "everything",
        "messages": [{"role": "user", "content": "Which city?"}],
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "wav"},
        **fields,
    }


@pytest.fixture
async def fake(settings: Settings) -> AsyncIterator[FakeServer]:
    async with FakeServer(settings, {Task.CHAT: {"text": TEXT}, Task.SPEECH: {"voices": ("alloy",)}}) as server:
        yield server


async def ask(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/v1/chat/completions", json=asking(**fields))
    assert answer.status_code == 200, answer.text
    answered: dict[str, Any] = answer.json()
    ChatCompletion.model_validate(answered, strict=True)
    return answered


async def message(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    said: dict[str, Any] = (await ask(client, **fields))["choices"][0]["message"]
    return said


async def refusal(client: httpx.AsyncClient, status: int = 400, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/v1/chat/completions", json=asking(**fields))
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


async def streamed(client: httpx.AsyncClient, **fields: Any) -> list[dict[str, Any]]:
    """The deltas' objects, in order; the stream must end with [DONE]."""
    answer = await client.post("/v1/chat/completions", json=asking(stream=True, **fields))
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    return chunks


def spoken(engine: FakeEngine) -> list[SpeechJob]:
    return [job for job in engine.jobs if isinstance(job, SpeechJob)]


# ---------------------------------------------------------------- the shape


async def test_an_answer_is_spoken_whole(fake: FakeServer, client: httpx.AsyncClient) -> None:
    answer = await ask(client)
    (choice,) = answer["choices"]
    said = choice["message"]
    assert said["content"] is None
    assert choice["finish_reason"] == "stop"
    assert said["audio"].keys() == {"id", "data", "expires_at", "transcript"}
    assert said["audio"]["id"].startswith("audio_")
    assert said["audio"]["transcript"] == TEXT
    assert base64.b64decode(said["audio"]["data"]) == TEXT.encode()  # the fake's audio is its text
    assert said["audio"]["expires_at"] - answer["created"] in (3600, 3601)
    replied, speak = answer["usage"]["quality"]["tokens_by_pass"]
    assert replied == {"pass": "answer", "prompt_tokens": 2, "completion_tokens": 4}
    assert (speak["pass"], speak["characters"], speak["completion_tokens"]) == ("speak", len(TEXT), 0)
    assert answer["usage"]["completion_tokens"] == 4
    assert [job.text for job in spoken(fake.engines[Task.SPEECH])] == ["Yes.", TEXT]  # the voice was tried first
    assert fake.registry.leases == 0


@pytest.mark.parametrize(
    ("name", "form"),
    [("wav", "wav"), ("aac", "aac"), ("mp3", "mp3"), ("flac", "flac"), ("opus", "opus"), ("pcm16", "pcm")],
)
async def test_formats_and_voices_reach_the_speech_model(
    fake: FakeServer, client: httpx.AsyncClient, name: str, form: str
) -> None:
    await ask(client, audio={"voice": {"id": "alloy"}, "format": name})
    assert {(job.voice, job.format) for job in spoken(fake.engines[Task.SPEECH])} == {("alloy", form)}


async def test_a_stream_says_the_text_then_the_sound_then_how_long_it_is_known(client: httpx.AsyncClient) -> None:
    chunks = await streamed(client, stream_options={"include_usage": True})
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    audio = [delta["audio"] for delta in deltas if "audio" in delta]
    assert [name for name in audio if "id" in name] == audio[:1]
    texts = [piece["transcript"] for piece in audio if "transcript" in piece]
    assert "".join(texts) == TEXT
    assert len(texts) == 4
    data = [piece["data"] for piece in audio if "data" in piece]
    assert b"".join(map(base64.b64decode, data)) == TEXT.encode()
    assert [*piece_kinds(audio)] == ["transcript"] * 4 + ["data"] * 4 + ["expires_at"]
    assert "audio" in deltas[-2]
    assert deltas[-1] == {}
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert not any(delta.get("content") for delta in deltas)
    assert chunks[-1]["usage"]["quality"]["tokens_by_pass"][-1]["characters"] == len(TEXT)


def piece_kinds(audio: list[dict[str, Any]]) -> list[str]:
    return [kind for piece in audio for kind in piece if kind != "id"]


async def test_sound_in_sound_out(settings: Settings) -> None:
    replies = {"<spoken>Which city.</spoken>": TEXT, "Check your": "OK"}
    options = {Task.TRANSCRIPTION: {"text": "Which city."}, Task.CHAT: {"replies": replies}}
    async with FakeServer(settings, options) as fake, fake.client() as client:
        for quality in ("low", "medium", "high", "ultra"):
            answer = await ask(client, messages=[{"role": "user", "content": [sound()]}], quality=quality)
            assert answer["choices"][0]["message"]["audio"]["transcript"] == TEXT
            names = [one["pass"] for one in answer["usage"]["quality"]["tokens_by_pass"]]
            assert (names[0], names[-1]) == ("hear", "speak")


async def test_a_model_may_name_its_voice(settings: Settings) -> None:
    async with FakeServer(settings, senses={"voice": "fake-speech"}) as fake, fake.client() as client:
        assert "audio" in await message(client, model="fake-chat")


async def test_reasoning_is_not_spoken(settings: Settings) -> None:
    async with FakeServer(settings, {Task.CHAT: {"text": TEXT, "reasoning": "let me see"}}) as fake:
        async with fake.client() as client:
            said = await message(client)
        assert said["reasoning_content"] == "let me see"
        assert said["audio"]["transcript"] == TEXT
        assert spoken(fake.engines[Task.SPEECH])[-1].text == TEXT


# ---------------------------------------------------------------- what is not spoken


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_is_text(settings: Settings, stream: bool) -> None:
    options = {Task.CHAT: {"text": TEXT, "call": {"name": "look", "arguments": {"a": 1}}}}
    async with FakeServer(settings, options) as fake, fake.client() as client:
        if stream:
            deltas = [chunk["choices"][0]["delta"] for chunk in await streamed(client, tools=[TOOL])]
            assert any("tool_calls" in delta for delta in deltas)
            assert not any("audio" in delta for delta in deltas)
        else:
            said = await message(client, tools=[TOOL])
            assert said["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"a": 1}'}
            assert "audio" not in said
        assert [job.text for job in spoken(fake.engines[Task.SPEECH])] == ["Yes."]


async def test_an_answer_beside_tools_is_spoken_where_none_is_called(client: httpx.AsyncClient) -> None:
    assert (await message(client, tools=[TOOL]))["audio"]["transcript"] == TEXT
    audio = [chunk["choices"][0]["delta"].get("audio", {}) for chunk in await streamed(client, tools=[TOOL])]
    assert "".join(piece.get("transcript", "") for piece in audio) == TEXT


async def test_a_text_without_a_word_stays_text(
    fake: FakeServer, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, read = fake.engines[Task.SPEECH], fake.engines[Task.SPEECH].read

    async def refusing(job: Job) -> Any:
        if isinstance(job, SpeechJob) and job.text == TEXT:
            raise InvalidRequest("The input has nothing in it to speak.", param="input")
        return await read(job)

    monkeypatch.setattr(engine, "read", refusing)
    answer = await ask(client)
    said = answer["choices"][0]["message"]
    assert said["content"] == TEXT
    assert "audio" not in said
    assert answer["usage"]["quality"]["notes"] == ["the answer has nothing in it to speak"]
    deltas = [chunk["choices"][0]["delta"] for chunk in await streamed(client)]
    assert not any("expires_at" in delta.get("audio", {}) for delta in deltas)


async def test_text_alone_may_stand_beside_settings_of_sound(fake: FakeServer, client: httpx.AsyncClient) -> None:
    for modalities in (["text"], None, []):
        said = await message(client, modalities=modalities, audio={"voice": "alloy"})
        assert (said["content"], "audio" in said) == (TEXT, False)
    assert fake.engines[Task.SPEECH].started == 0


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"audio": None}, "audio"),
        ({"audio": {"voice": "alloy"}}, "audio.format"),
        ({"audio": {"voice": "alloy", "format": "midi"}}, "audio.format"),
        ({"audio": {"voice": 5, "format": "wav"}}, "audio.voice"),
        ({"audio": {"voice": "nobody", "format": "wav"}}, "audio.voice"),
        ({"modalities": ["text", "video"]}, "modalities[1]"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"model": "fake-chat"}, "modalities"),
    ],
)
async def test_what_cannot_be_spoken_is_refused_by_name(
    fake: FakeServer, client: httpx.AsyncClient, fields: dict[str, Any], param: str
) -> None:
    error = await refusal(client, **fields)
    assert error["param"].partition(".str")[0] == param, error
    assert fake.engines[Task.CHAT].finished == 0
    assert fake.registry.leases == 0


async def test_a_voice_that_fails_fails_the_answer(
    fake: FakeServer, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake.engines[Task.SPEECH], "break_at", failing)
    assert (await refusal(client, 500))["code"] == "engine_failed"
    answer = await client.post("/v1/chat/completions", json=asking(stream=True))
    last = json.loads(answer.text.strip().split("\n\n")[-2][6:])
    assert last["error"]["code"] == "engine_failed"
    assert fake.registry.leases == 0


def failing(_: int) -> None:
    raise EngineFailed


async def test_a_client_that_hangs_up_ends_the_voice(fake: FakeServer) -> None:
    voice = fake.engines[Task.SPEECH]
    voice.gate.close()
    voice.gate.let(3)  # the trial is read, the text is read, its first word is said
    async with fake.exchange("POST", "/v1/chat/completions", body=json.dumps(asking(stream=True)).encode()):
        await voice.gate.until_waiting()
    await voice.until_idle()
    await fake.engines[Task.CHAT].until_idle()
    assert (voice.started, voice.finished) == (2, 0)
    assert fake.registry.leases == 0


# ---------------------------------------------------------------- the next turn


async def test_an_answers_id_stands_for_its_text(fake: FakeServer, client: httpx.AsyncClient) -> None:
    whole = (await message(client))["audio"]["id"]
    chunks = await streamed(client)
    (pieces,) = [one["id"] for chunk in chunks if "id" in (one := chunk["choices"][0]["delta"].get("audio", {}))]
    for name in (whole, pieces):
        history = [
            {"role": "user", "content": "Which city?"},
            {"role": "assistant", "audio": {"id": name}},
            {"role": "user", "content": "Are you sure?"},
        ]
        await ask(client, messages=history)
        job = fake.engines[Task.CHAT].jobs[-1]
        assert isinstance(job, ChatJob)
        assert job.messages[1] == {"role": "assistant", "content": TEXT}
    error = await refusal(client, messages=[{"role": "assistant", "audio": {"id": "audio_nobodys"}}])
    assert error["param"] == "messages[0].audio.id"
    assert "transcript" in error["message"]
    error = await refusal(client, messages=[{"role": "assistant", "audio": {}}])
    assert error["param"] == "messages[0].audio.id"


# ---------------------------------------------------------------- money

PRICE = Price(prompt_token=Decimal("0.1"), completion_token=Decimal(1), character=Decimal("0.5"))


@pytest.mark.parametrize("broken", [False, True])
async def test_the_characters_are_paid_at_the_voices_price(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    async with await Accounts.open(settings) as accounts:
        ledger = Ledger(accounts.database)
        account = await accounts.create_account("payer", metered=True)
        await ledger.grant(account.id, Decimal(100))
        key = (await accounts.create_key(account=account.id)).key
        fake = FakeServer(settings, {Task.CHAT: {"text": TEXT}}, accounts=accounts, bank=ledger, price=PRICE)
        async with fake, fake.client(key) as client:
            if broken:
                monkeypatch.setattr(fake.engines[Task.SPEECH], "break_at", failing)
                await refusal(client, 500, max_tokens=10)
                assert (await ledger.balance(account.id)).available == 100
            else:
                answer = await ask(client, max_tokens=10)
                # 2 prompt tokens at 0.1, 4 generated at 1, 21 characters at 0.5
                assert answer["usage"]["credits"] == 14.7
                entries = [entry async for entry in ledger.entries(account.id)]
                charges = {entry.note: -entry.amount for entry in entries if entry.kind == "charge"}
                assert charges == {"pass 1 (answer)": Decimal("4.2"), "pass 2 (speak)": Decimal("10.5")}
                (hold,) = [-entry.amount for entry in entries if entry.kind == "hold"]
                assert hold == Decimal("0.2") + 10 * (1 + 6 * Decimal("0.5"))
        await ledger.aclose()
