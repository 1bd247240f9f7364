"""Sounds in chat messages: their limits, who hears them, and what the chat model gets in their place."""

import base64
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from server.accounts.keys.service import Accounts
from server.accounts.ledger.ledger import Ledger
from server.api.openai.audio_input import MAX_FETCHED, resolve_sounds
from server.api.openai.media_fetch import MediaClient
from server.core import ChatJob, Task, TranscriptionJob
from server.errors import InvalidRequest
from server.models.config.spec import Price
from server.settings import Settings
from server.testing import FakeServer
from tests.api.test_image_input import Names, anywhere, http, site

pytestmark = pytest.mark.anyio

SOUND = b"not really a sound: the engines are fakes"
SAID = "Name the capital of Japan."


def encoded(data: bytes = SOUND) -> str:
    return base64.b64encode(data).decode()


def sound(data: str | None = None, kind: str = "wav") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": encoded() if data is None else data, "format": kind}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def asking(*parts: Any, model: str = "everything", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": list(parts)}], **fields}


@pytest.fixture
async def fake(settings: Settings) -> AsyncIterator[FakeServer]:
    options = {Task.TRANSCRIPTION: {"text": SAID, "duration": 4.0}, Task.CHAT: {"replies": {SAID: "Tokyo."}}}
    async with FakeServer(settings, options) as server:
        yield server


async def ask(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    answered: dict[str, Any] = answer.json()
    return answered


async def refusal(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


def asked(fake: FakeServer) -> tuple[Any, ...]:
    """The messages that the chat model answered."""
    job = fake.engines[Task.CHAT].jobs[-1]
    assert isinstance(job, ChatJob)
    return job.messages


# ---------------------------------------------------------------- heard


async def test_what_was_said_takes_the_sounds_place(fake: FakeServer, client: httpx.AsyncClient) -> None:
    answer = await ask(client, asking(sound(kind="mp3")))
    assert answer["choices"][0]["message"]["content"] == "Tokyo."
    assert asked(fake) == ({"role": "user", "content": f"<spoken>{SAID}</spoken>"},)
    heard = fake.engines[Task.TRANSCRIPTION].jobs
    assert [job.audio for job in heard if isinstance(job, TranscriptionJob)] == [SOUND, SOUND]  # measured, then heard
    assert fake.engines[Task.TRANSCRIPTION].finished == 1
    hear, replied = answer["usage"]["quality"]["tokens_by_pass"]
    assert (hear["pass"], hear["audio_seconds"]) == ("hear", 4.0)
    assert replied["pass"] == "answer"
    assert answer["usage"]["prompt_tokens"] == 5  # of the chat model, by the fake's words
    assert fake.registry.leases == 0


async def test_each_sound_has_its_place_among_the_parts(fake: FakeServer, client: httpx.AsyncClient) -> None:
    buffer = BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    picture = {"type": "image_url", "image_url": {"url": url}}
    body = asking(text("Compare:"), sound(), text("with"), sound())
    body["messages"].insert(0, {"role": "user", "content": [picture, sound()]})
    body["messages"].insert(1, {"role": "assistant", "content": "Yes."})
    await ask(client, body)
    first, reply, last = asked(fake)
    assert first["content"] == [picture, text(f"<spoken>{SAID}</spoken>")]
    assert reply == {"role": "assistant", "content": "Yes."}
    assert last["content"] == f"Compare:\n<spoken>{SAID}</spoken>\nwith\n<spoken>{SAID}</spoken>"


async def test_a_recording_without_words_is_said_to_be_one(fake: FakeServer, client: httpx.AsyncClient) -> None:
    fake.engines[Task.TRANSCRIPTION].options = type(fake.engines[Task.TRANSCRIPTION].options)(text="")
    await ask(client, asking(sound()))
    assert asked(fake)[0]["content"] == "<spoken>(no words)</spoken>"


async def test_a_model_may_name_its_transcriber(settings: Settings) -> None:
    options = {Task.TRANSCRIPTION: {"text": SAID}}
    async with (
        FakeServer(settings, options, senses={"transcriber": "fake-transcription"}) as fake,
        fake.client() as client,
    ):
        await ask(client, asking(sound(), model="fake-chat"))
        assert asked(fake)[0]["content"] == f"<spoken>{SAID}</spoken>"


async def test_a_model_with_ears_gets_the_sound(settings: Settings) -> None:
    async with FakeServer(settings, senses={"audio": True}) as fake, fake.client() as client:
        await ask(client, asking(text("Listen:"), sound(kind="mp3")))
        assert asked(fake)[0]["content"] == [text("Listen:"), sound(kind="mp3")]
        assert fake.engines[Task.TRANSCRIPTION].started == 0


async def test_a_transcriber_that_is_not_installed_hears_nothing(settings: Settings) -> None:
    async with FakeServer(settings, senses={"transcriber": "gone"}) as fake, fake.client() as client:
        error = await refusal(client, asking(text("x"), sound(), model="fake-chat"))
        assert (error["param"], error["message"]) == ("messages[0].content[1]", "This model does not hear sound.")


async def test_a_text_model_refuses_before_anything_is_done(fake: FakeServer, client: httpx.AsyncClient) -> None:
    error = await refusal(client, asking(text("x"), sound(), model="fake-chat"))
    assert (error["param"], error["message"]) == ("messages[0].content[1]", "This model does not hear sound.")
    assert fake.engines[Task.CHAT].started == 0


async def test_every_mode_answers_what_was_said(settings: Settings) -> None:
    options = {Task.TRANSCRIPTION: {"text": SAID}, Task.CHAT: {"replies": {SAID: "Tokyo.", "Check your": "OK"}}}
    async with FakeServer(settings, options) as fake, fake.client() as client:
        for quality in ("low", "medium", "high", "ultra", "auto"):
            answer = await ask(client, asking(sound(), quality=quality))
            assert answer["choices"][0]["message"]["content"] == "Tokyo.", quality
            names = [one["pass"] for one in answer["usage"]["quality"]["tokens_by_pass"]]
            assert names[0] == "hear"
            assert len(names) >= 2
        assert answer["usage"]["quality"]["mode"] == "medium"
    checks = [job for job in fake.engines[Task.CHAT].jobs if isinstance(job, ChatJob) and len(job.messages) == 3]
    assert checks
    assert all(job.messages[0]["content"] == f"<spoken>{SAID}</spoken>" for job in checks)


async def test_ultra_counts_its_drafts_and_not_its_sounds(settings: Settings) -> None:
    async with FakeServer(settings) as fake, fake.client() as client:
        answer = await ask(client, asking(sound(), sound(), quality="ultra"))
        assert answer["usage"]["quality"]["candidates"] == 3, "of five drafts the first three agree, which settles it"


# ---------------------------------------------------------------- what goes wrong


async def test_a_refusal_of_the_transcriber_names_the_part(fake: FakeServer, client: httpx.AsyncClient) -> None:
    error = await refusal(client, asking(sound(), text("x"), sound("")))
    assert (error["param"], error["message"]) == ("messages[0].content[2]", "The file is empty.")
    assert fake.engines[Task.CHAT].finished == 0
    assert fake.registry.leases == 0


async def test_sounds_have_a_length_together(settings: Settings) -> None:
    options = {Task.TRANSCRIPTION: {"duration": 4.0}}
    async with FakeServer(settings, options, senses={"max_audio_seconds": 7.5}) as fake, fake.client() as client:
        await ask(client, asking(sound()))
        error = await refusal(client, asking(sound(), sound()))
        assert error["param"] == "messages[0].content[1]"
        assert "longer than 7.5 seconds together" in error["message"]


async def test_what_was_said_must_fit_the_context(settings: Settings) -> None:
    options = {Task.TRANSCRIPTION: {"text": "so many words that none of them fit"}, Task.CHAT: {"context": 5}}
    async with FakeServer(settings, options) as fake, fake.client() as client:
        error = await refusal(client, asking(sound()))
        assert error["code"] == "context_length_exceeded"
        assert fake.registry.leases == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_hangs_up_leaves_nothing_open(fake: FakeServer, stream: bool) -> None:
    ears = fake.engines[Task.TRANSCRIPTION]
    ears.gate.close()
    body = json.dumps(asking(sound(), stream=stream)).encode()
    async with fake.exchange("POST", "/v1/chat/completions", body=body):
        await ears.gate.until_waiting()
    await ears.until_idle()
    await fake.engines[Task.CHAT].until_idle()
    assert fake.registry.leases == 0


# ---------------------------------------------------------------- money

PRICE = Price(prompt_token=Decimal("0.1"), completion_token=Decimal(1), audio_second=Decimal(2), character=Decimal(7))


@pytest.mark.parametrize(("granted", "status"), [(40, 200), (9, 402)])
async def test_the_seconds_are_held_and_paid_at_the_transcribers_price(
    settings: Settings, granted: int, status: int
) -> None:
    async with await Accounts.open(settings) as accounts:
        ledger = Ledger(accounts.database)
        account = await accounts.create_account("payer", metered=True)
        await ledger.grant(account.id, Decimal(granted))
        key = (await accounts.create_key(account=account.id)).key
        options = {Task.TRANSCRIPTION: {"text": "two words", "duration": 4.0}, Task.CHAT: {"text": "three more words"}}
        fake = FakeServer(settings, options, accounts=accounts, bank=ledger, price=PRICE)
        async with fake, fake.client(key) as client:
            answer = await client.post("/v1/chat/completions", json=asking(sound(), max_tokens=10))
            assert answer.status_code == status, answer.text
            spent = Decimal(granted) - (await ledger.balance(account.id)).available
            if status == 200:
                # 4 s at 2, 2 prompt tokens at 0.1, and 3 + 2 generated (the fake counts the transcript's) at 1 for 3
                assert spent == Decimal("11.2")
                entries = [entry async for entry in ledger.entries(account.id)]
                charges = {entry.note: -entry.amount for entry in entries if entry.kind == "charge"}
                assert charges == {"pass 1 (hear)": Decimal(8), "pass 2 (answer)": Decimal("3.2")}
                (hold,) = [-entry.amount for entry in entries if entry.kind == "hold"]
                # 8 for the sound, 10 tokens, and a prompt of the mark's 2 words, 4 s of 8 tokens and the mark's 16
                assert hold == Decimal(8) + 10 + Decimal("0.1") * (2 + 32 + 16)
            else:
                assert spent == 0
                assert fake.engines[Task.TRANSCRIPTION].finished == 0
        await ledger.aclose()


# ---------------------------------------------------------------- the forms


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio"}, "input_audio.data"),
        ({"type": "input_audio", "input_audio": "UklGRg=="}, "input_audio.data"),
        ({"type": "input_audio", "input_audio": {"data": 5, "format": "wav"}}, "input_audio.data"),
        ({"type": "input_audio", "input_audio": {"data": "UklGRg=="}}, "input_audio.format"),
        (sound(kind="midi"), "input_audio.format"),
        (sound("####"), "input_audio.data"),
        (sound("é"), "input_audio.data"),
        (sound("data:image/png;base64,iVBORw0KGgo="), "input_audio.data"),
        ({"type": "audio_url"}, "audio_url.url"),
        ({"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,####"}}, "audio_url.url"),
        ({"type": "audio_url", "audio_url": {"url": "https://sounds.example/a.wav"}}, "audio_url.url"),
        ({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}, "type"),
        ({"type": "file", "file": {}}, "file.file_id"),
    ],
)
async def test_broken_parts_are_refused_by_name(client: httpx.AsyncClient, part: Any, param: str) -> None:
    error = await refusal(client, asking(text("x"), part))
    assert error["param"] == f"messages[0].content[1].{param}"


@pytest.mark.parametrize("role", ["system", "developer", "assistant", "tool"])
@pytest.mark.parametrize("kind", ["input_audio", "audio_url", "image_url"])
async def test_only_users_send_sounds_and_pictures(client: httpx.AsyncClient, role: str, kind: str) -> None:
    message = {"role": role, "tool_call_id": "call_1", "content": [{"type": kind, kind: {"url": "data:x"}}]}
    error = await refusal(client, {"model": "everything", "messages": [message]})
    assert error["param"] == "messages[0].content[0].type"
    assert role in error["message"]


async def test_every_form_becomes_one(settings: Settings) -> None:
    url = f"data:audio/ogg;base64,{encoded()}"
    forms = [sound(), sound(url), {"type": "audio_url", "audio_url": {"url": url}}]
    (message,) = await resolve_sounds(user(text("x"), *forms), settings)
    assert message["content"][0] == text("x")
    assert [part["type"] for part in message["content"][1:]] == ["input_audio"] * 3
    assert [part["input_audio"]["data"] for part in message["content"][1:]] == [encoded()] * 3


async def test_bytes_and_number_are_limited(client: httpx.AsyncClient, settings: Settings) -> None:
    small = settings.model_copy(update={"max_audio_input": len(SOUND) - 1})
    for form in (sound(), sound(f"data:audio/wav;base64,{encoded()}")):
        with pytest.raises(InvalidRequest) as refused:
            await resolve_sounds(user(form), small)
        assert refused.value.param == "messages[0].content[0].input_audio.data"
        assert f"more than {len(SOUND) - 1} bytes" in refused.value.message
    error = await refusal(client, asking(*[sound()] * 9))
    assert (error["param"], error["message"]) == (
        "messages[0].content[8].input_audio.data",
        "The messages have more than 8 sounds, which is the limit.",
    )


async def test_pictures_have_a_number_too(client: httpx.AsyncClient) -> None:
    buffer = BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    error = await refusal(client, asking(*[{"type": "image_url", "image_url": {"url": url}}] * 33))
    assert (error["param"], error["message"]) == (
        "messages[0].content[32].image_url.url",
        "The messages have more than 32 images, which is the limit.",
    )


async def test_a_sound_is_fetched_from_an_allowed_host_only_as_sound(settings: Settings) -> None:
    async with site(http(SOUND, "audio/wav")) as running:
        url = f"http://sounds.example:{running.port}/a.wav"

        def client(kind: Any = "audio", limit: int = 1000, names: int = 1) -> MediaClient:
            hosts = [f"sounds.example:{running.port}"]
            return MediaClient(
                hosts, kind=kind, limit=limit, resolve=Names(*[["127.0.0.1"]] * names), permitted=anywhere
            )

        part = {"type": "audio_url", "audio_url": {"url": url}}
        (message,) = await resolve_sounds(user(part), settings, client())
        assert message["content"][0]["input_audio"]["data"] == encoded()
        assert "Accept: audio/*" in running.requests[0]
        for wrong, reason in ((client("image"), "not an image"), (client(limit=5), "sound has more than 5 bytes")):
            with pytest.raises(InvalidRequest) as refused:
                await resolve_sounds(user(part), settings, wrong)
            assert reason in refused.value.message
        many = settings.model_copy(update={"max_audio_inputs": MAX_FETCHED + 1})
        with pytest.raises(InvalidRequest) as refused:
            await resolve_sounds(user(*[part] * (MAX_FETCHED + 1)), many, client(names=MAX_FETCHED))
        assert refused.value.message == "At most 8 sounds may be given by URL."
    with pytest.raises(InvalidRequest) as refused:
        await resolve_sounds(user(part), settings)
    assert refused.value.message == "Sounds by URL are not accepted here. Send the sound as a data URI."
