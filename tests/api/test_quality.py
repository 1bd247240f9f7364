"""Where a quality mode is said, and where the answer says what was done."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from server.api import sse
from server.core import Task
from server.settings import Settings
from server.testing import CALLER, KEY, FakeAccounts, FakeServer
from tests.pipeline.test_billing import bank_with

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "Tell me about the sea."}]


@pytest.fixture
async def asking(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Each mode of this chat model has a limit by which it is known: 1, 2, 3 tokens."""
    modes = {Task.CHAT: {"low": {"max_tokens": 1}, "high": {"max_tokens": 2, "check": False}}}
    async with FakeServer(settings, quality=modes) as server, server.client() as client:
        yield client


async def ask(client: httpx.AsyncClient, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await client.post(
        "/v1/chat/completions", json={"model": "everything", "messages": MESSAGES, **body}, headers=headers
    )


@pytest.mark.parametrize(
    ("body", "header", "suffix", "mode"),
    [
        ("low", None, "", "low"),
        (None, "low", "", "low"),
        (None, None, ":low", "low"),
        ("high", "low", ":low", "high"),
        (None, "high", ":low", "high"),
        ("hd", None, "", "high"),
        ("standard", None, "", "medium"),
        ("LOW", None, "", "low"),
        (None, None, "", "medium"),
        ("auto", None, ":low", "medium"),
    ],
)
async def test_the_body_wins_over_the_header_over_the_suffix(
    asking: httpx.AsyncClient, body: str | None, header: str | None, suffix: str, mode: str
) -> None:
    headers = {"X-Quality": header} if header else None
    answer = await ask(asking, headers, model=f"everything{suffix}", quality=body)
    assert answer.headers["x-quality"] == mode
    words = {"low": 1, "high": 2, "medium": 5}[mode]
    assert answer.json()["usage"]["completion_tokens"] == words
    assert answer.json()["model"] == f"everything{suffix}"
    assert answer.headers["x-sagehold-model"] == "fake-chat"


async def test_the_answer_tells_what_was_done(asking: httpx.AsyncClient) -> None:
    answer = await ask(asking, quality="low")
    assert answer.headers["x-quality-passes"] == "1"
    said = "the mode sets max_tokens 1 (not the room that is left)"
    assert answer.headers["x-quality-reason"] == f"asked for; {said}"
    assert answer.json()["usage"]["quality"] == {
        "mode": "low",
        "passes": 1,
        "candidates": 1,
        "tokens_by_pass": [{"pass": "answer", "prompt_tokens": 5, "completion_tokens": 1}],
        "notes": [said],
    }


@pytest.mark.parametrize(
    ("headers", "body", "param"),
    [
        (None, {"quality": "best"}, "quality"),
        (None, {"quality": 3}, "quality"),
        ({"X-Quality": "best"}, {}, "quality"),
        (None, {"model": "everything:best"}, "quality"),
        ({"X-Quality-Budget-Ms": "soon"}, {}, "x-quality-budget-ms"),
        ({"X-Quality-Budget-Ms": "0"}, {}, "x-quality-budget-ms"),
        ({"X-Quality-Budget-Ms": "-1"}, {}, "x-quality-budget-ms"),
    ],
)
async def test_what_is_no_mode_is_a_400_that_names_them(
    asking: httpx.AsyncClient, headers: dict[str, str] | None, body: dict[str, Any], param: str
) -> None:
    answer = await ask(asking, headers, **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    if param == "quality":
        assert "auto, low, medium, high or ultra" in error["message"]


async def test_a_key_for_one_model_may_say_how_well(settings: Settings) -> None:
    async with FakeServer(settings) as server, server.client() as client:
        assert isinstance(server.accounts, FakeAccounts)
        server.accounts.keys[KEY] = replace(CALLER, models=frozenset({"everything"}))
        assert (await ask(client, model="everything:low")).status_code == 200
        assert (await ask(client, model="fake-chat:low")).status_code == 404


@pytest.mark.parametrize("mode", ["low", "medium", "high", "ultra"])
async def test_every_task_takes_every_mode(settings: Settings, mode: str) -> None:
    async with (
        FakeServer(settings, {Task.TRANSCRIPTION: {"text": "Hello there."}}) as server,
        server.client() as client,
    ):
        speech = await client.post(
            "/v1/audio/speech", json={"model": "everything", "input": "Hello there.", "quality": mode}
        )
        assert (speech.headers["x-quality"], speech.content) == (mode, b"Hello there.")
        heard = await client.post(
            "/v1/audio/transcriptions", data={"model": "everything", "quality": mode}, files={"file": ("a.wav", b"x")}
        )
        assert heard.headers["x-quality"] == mode
        assert heard.json()["text"] == "Hello there."
        assert heard.json()["usage"]["quality"]["mode"] == mode
        drawn = await client.post(
            "/v1/images/generations", json={"model": "everything", "prompt": "a cat", "quality": mode, "n": 2}
        )
        assert drawn.headers["x-quality"] == mode
        assert drawn.json()["quality"] == ("max" if mode == "ultra" else mode)  # the word that the SDK knows
        assert len(drawn.json()["data"]) == 2


async def test_a_wrong_form_field_is_a_400(asking: httpx.AsyncClient) -> None:
    answer = await asking.post(
        "/v1/audio/transcriptions", data={"model": "everything", "quality": "best"}, files={"file": ("a.wav", b"x")}
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "quality")


async def test_a_busy_model_steps_down_before_it_queues(settings: Settings) -> None:
    async with FakeServer(settings) as server, server.client() as client:
        server.registry.loads["fake-chat"] = 0.7
        answer = await ask(client)
        assert answer.headers["x-quality"] == "low"
        assert answer.headers["x-quality-reason"] == "busy (70%): one less than medium (nothing asks for more)"
        assert (await ask(client, quality="medium")).headers["x-quality"] == "medium"


async def test_comments_keep_a_stream_alive_while_passes_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE", 0.01)
    modes = {Task.CHAT: {"ultra": {"drafts": 2}}}
    async with FakeServer(settings, quality=modes) as server:
        gate = server.engines[Task.CHAT].gate
        gate.close()
        gate.let(1)  # Facts
        body = {"model": "everything", "messages": MESSAGES, "stream": True, "quality": "ultra"}
        async with server.exchange("POST", "/v1/chat/completions", body=json.dumps(body).encode()) as exchange:
            assert await exchange.start() == 200
            # Nothing of the answer before its first token is there: who measures it takes the first chunk for it.
            assert await exchange.chunk() == b": pass 1 of 5, drafts\n\n"
            assert await exchange.chunk() == b": pass 1 of 5, drafts\n\n"
            gate.open()
            rest = b""
            while (piece := await exchange.chunk()) is not None:
                rest += piece
            assert rest.endswith(b"data: [DONE]\n\n")
            assert b'"role":"assistant"' in rest.removeprefix(b": pass 1 of 5, drafts\n\n").partition(b"\n")[0]
            assert b"fake" in rest


async def test_every_pass_is_held_and_paid(settings: Settings) -> None:
    # 2 tokens of prompt at 0.1; 1 a token that is written. The drafts agree, so the other passes are not needed.
    async with bank_with(settings, 1000) as bank:
        answer = await bank.ask(max_tokens=5, quality="ultra")
        assert answer.json()["usage"]["credits"] == 0.2 + 5 * 5
        kinds = await bank.lines()
        held = next(-amount for kind, amount in kinds if kind == "hold")
        drafts = Decimal("0.2") + 25
        judge = 5 * (Decimal(202) / 10) + 5 * 5 * Decimal("0.1") + 5
        critique = Decimal("20.2") + Decimal("0.5") + 200
        rewrite = Decimal("40.2") + Decimal("0.5") + 5
        compare = 2 * (Decimal("20.2") + Decimal("0.5") + 1)  # the draft too, where it was not judged
        assert held == drafts + judge + critique + rewrite + compare


async def test_who_cannot_pay_for_all_passes_is_told_before_the_first(settings: Settings) -> None:
    async with bank_with(settings, 100) as bank:
        answer = await bank.ask(max_tokens=5, quality="ultra")
        assert answer.status_code == 402
        assert (await bank.ask(max_tokens=5, quality="low")).status_code == 200
