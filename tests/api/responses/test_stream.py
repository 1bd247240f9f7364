"""Streams of responses: the events in their order, whose sum is the object, whatever the model says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.api import sse
from server.api.openai.responses.request import ResponsesRequest
from server.api.openai.responses.stream import ResponseStream, whole
from server.api.openai.responses.turn import Turn
from server.core import (
    ChatJob,
    Event,
    Facts,
    Finish,
    FinishReason,
    ReasoningDelta,
    Task,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from server.pipeline.run import Run
from server.settings import Settings
from server.testing import FakeServer
from server.testing.exchange import Exchange
from tests.api.responses.asking import accumulated, anonymous, answered, ask, events_of, streamed

TEXT = "Hello from the fake engine."
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
BODY = json.dumps({"model": "everything", "input": "hi", "stream": True}).encode()
ITEM_OF_TEXT = [
    "response.output_item.added",
    "response.content_part.added",
    *["response.output_text.delta"] * 5,
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]


def server_with(settings: Settings, **options: Any) -> FakeServer:
    return FakeServer(settings, {Task.CHAT: options})


def types(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


# ---------------------------------------------------------------- in order


@pytest.mark.anyio
async def test_a_text_is_streamed_as_the_api_does(client: httpx.AsyncClient) -> None:
    events = await streamed(client)
    assert types(events) == ["response.created", "response.in_progress", *ITEM_OF_TEXT, "response.completed"]
    created, in_progress, added, part = events[:4]
    assert created["response"] == in_progress["response"]
    assert (created["response"]["status"], created["response"]["output"]) == ("in_progress", [])
    assert (created["response"]["usage"], created["response"]["completed_at"]) == (None, None)
    assert added["item"] == {
        "type": "message",
        "id": added["item"]["id"],
        "status": "in_progress",
        "role": "assistant",
        "content": [],
    }
    assert part["part"] == {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    deltas = events[4:9]
    assert [event["delta"] for event in deltas] == ["Hello", " from", " the", " fake", " engine."]
    assert all(
        (event["item_id"], event["output_index"], event["content_index"], event["logprobs"])
        == (added["item"]["id"], 0, 0, [])
        for event in deltas
    )
    assert events[9]["text"] == TEXT
    final = events[-1]["response"]
    assert final["output"] == accumulated(events)
    assert final["id"] == created["response"]["id"]
    assert final["usage"]["total_tokens"] == 7


@pytest.mark.anyio
async def test_a_stream_ends_with_what_a_whole_answer_is(settings: Settings) -> None:
    options: dict[str, Any] = {"reasoning": "so it is", "call": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    async with server_with(settings, **options) as server, server.client() as client:
        for body in (
            {},
            {"tools": [WEATHER]},
            {"max_output_tokens": 2},
            {"include": ["message.output_text.logprobs"], "top_logprobs": 3},
            {"text": {"format": {"type": "json_object"}}},
            {"metadata": {"a": "b"}, "instructions": "x", "temperature": 0},
        ):
            events = await streamed(client, **body)
            final = events[-1]["response"]
            assert anonymous(final) == anonymous(await answered(client, **body))
            assert final["output"] == accumulated(events)
            assert events[-1]["type"] == f"response.{final['status']}"


@pytest.mark.anyio
async def test_reasoning_has_events_of_its_own(settings: Settings) -> None:
    async with server_with(settings, reasoning="so it is") as server, server.client() as client:
        events = await streamed(client)
    assert types(events)[2:10] == [
        "response.output_item.added",
        "response.content_part.added",
        *["response.reasoning_text.delta"] * 3,
        "response.reasoning_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    assert events[9]["item"]["content"] == [{"type": "reasoning_text", "text": "so it is"}]
    assert types(events)[10:-1] == ITEM_OF_TEXT


@pytest.mark.anyio
async def test_a_call_is_streamed_by_its_arguments(settings: Settings) -> None:
    call = {"name": "get_weather", "arguments": {"city": "Oslo", "unit": "c"}}
    async with server_with(settings, call=call) as server, server.client() as client:
        events = await streamed(client, tools=[WEATHER])
    assert types(events)[2:-1] == [
        "response.output_item.added",
        *["response.function_call_arguments.delta"] * 4,
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    assert (events[2]["item"]["name"], events[2]["item"]["arguments"]) == ("get_weather", "")
    assert json.loads(events[-3]["arguments"]) == call["arguments"]


@pytest.mark.anyio
async def test_text_with_every_kind_of_character_survives(settings: Settings) -> None:
    text = 'quote " backslash \\ line\nbreak tab\t null \x00 emoji 🦉 rtl שלום'
    async with server_with(settings, text=text) as server, server.client() as client:
        events = await streamed(client)
    assert "".join(event.get("delta", "") for event in events) == text
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == text


@pytest.mark.anyio
async def test_the_headers_are_those_of_a_stream(client: httpx.AsyncClient) -> None:
    answer = await ask(client, stream=True)
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-sagehold-model"] == "fake-chat"
    assert "[DONE]" not in answer.text


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.anyio
async def test_what_is_refused_before_the_first_event_has_a_status(settings: Settings) -> None:
    async with server_with(settings, refuse="No.") as server, server.client() as client:
        answer = await ask(client, stream=True)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "No.")


@pytest.mark.anyio
async def test_an_engine_that_dies_ends_the_stream_with_an_error_and_the_failed_response(settings: Settings) -> None:
    async with server_with(settings, die_after=2) as server, server.client() as client:
        events = await streamed(client)
    assert types(events) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 2,
        "error",
        "response.failed",
    ]
    error, failed = events[-2], events[-1]["response"]
    said = {key: error[key] for key in ("code", "message", "param")}
    assert said["code"] == "engine_failed"
    assert error["error"] == {"type": "server_error", **said}
    assert (failed["status"], failed["completed_at"], failed["usage"]) == ("failed", None, None)
    assert failed["error"] == {"code": "server_error", "message": error["message"]}
    [item] = failed["output"]
    assert (item["status"], item["content"][0]["text"]) == ("incomplete", "Hello from")


@pytest.mark.anyio
async def test_a_bug_is_told_without_its_words(settings: Settings) -> None:
    async with server_with(settings, bug_after=1) as server, server.client() as client:
        answer = await ask(client, stream=True)
    assert "/with/a/path" not in answer.text
    assert types(events_of(answer.text))[-2:] == ["error", "response.failed"]


@pytest.mark.anyio
async def test_a_model_that_loads_long_is_waited_for_with_comments(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "PATIENCE", 0)
    fake.registry.loaded.clear()
    async with fake.exchange("POST", "/v1/responses", body=BODY) as exchange:
        assert await exchange.start() == 200
        assert await exchange.chunk() == b": waiting for the model\n\n"
        fake.registry.loaded.set()
        assert types(events_of((await rest(exchange)).decode()))[-1] == "response.completed"


@pytest.mark.anyio
async def test_one_that_fails_then_is_an_error_without_a_response(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "PATIENCE", 0)
    fake.registry.loaded.clear()
    fake.registry.failed["fake-chat"] = "no such layer"
    async with fake.exchange("POST", "/v1/responses", body=BODY) as exchange:
        await exchange.start()
        await exchange.chunk()
        fake.registry.loaded.set()
        [error] = events_of((await rest(exchange)).decode())
    assert (error["type"], error["code"], error["sequence_number"]) == ("error", "model_unavailable", 0)


@pytest.mark.anyio
async def test_comments_say_which_pass_is_at_work(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE", 0.01)
    async with FakeServer(settings, quality={Task.CHAT: {"ultra": {"drafts": 2}}}) as server:
        gate = server.engines[Task.CHAT].gate
        gate.close()
        gate.let(1)  # the reading
        body = {"model": "everything", "input": "Why?", "stream": True, "quality": "ultra"}
        async with server.exchange("POST", "/v1/responses", body=json.dumps(body).encode()) as exchange:
            await exchange.start()
            first = await exchange.chunk()
            assert first is not None
            assert first.startswith(b"event: response.created\n")
            assert await exchange.chunk() == b": pass 1 of 5, drafts\n\n"
            gate.open()
            events = events_of((first + await rest(exchange)).decode())
    assert events[-1]["response"]["usage"]["quality"]["mode"] == "ultra"


async def rest(exchange: Exchange) -> bytes:
    answer = b""
    while (piece := await exchange.chunk()) is not None:
        answer += piece
    return answer


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_cancels_the_work(fake: FakeServer, stream: bool) -> None:
    engine = fake.engines[Task.CHAT]
    engine.gate.close()
    body = json.dumps({"model": "everything", "input": "hi", "stream": stream}).encode()
    async with fake.exchange("POST", "/v1/responses", body=body) as exchange:
        engine.gate.let(3)  # the reading, and two of its words
        await engine.gate.until_waiting()
        exchange.hang_up()
        await engine.until_idle()
    assert (engine.cut_short, engine.finished) == (1, 0)


# ---------------------------------------------------------------- by construction


class Scripted:
    """A run whose model says what it is told to."""

    credits = None
    plan = SimpleNamespace(job=ChatJob(messages=()))
    quality = None
    drafts = ()

    def __init__(self, said: Sequence[Event]) -> None:
        self._said = said

    async def events(self, deliver: Callable[[Usage], Awaitable[None]] | None = None) -> AsyncIterator[Event]:
        for event in self._said:
            if deliver is not None and isinstance(event, Usage):
                await deliver(event)
            yield event


texts = st.text(st.sampled_from('ab \n"🦉'), max_size=4)
logprobs = st.none() | st.just((TokenLogprob("a", -0.5, (97,), (TokenLogprob("a", -0.5, (97,)),)),))
plain = st.builds(TextDelta, st.just(0), texts, logprobs)
thoughts = st.builds(ReasoningDelta, st.just(0), texts)
reasons: list[FinishReason] = ["stop", "length", "tool_calls", "content_filter"]


@st.composite
def runs(draw: st.DrawFn) -> list[Event]:
    """Thoughts, words and calls in any order, each in pieces; blanks with log-probabilities within calls."""
    events: list[Event] = []
    calls = 0
    for kind in draw(st.lists(st.sampled_from(["text", "thought", "call"]), max_size=6)):
        if kind == "call":
            events.append(ToolCallDelta(0, calls, id=f"call_{calls}", name="f"))
            for piece in draw(st.lists(texts, max_size=3)):
                if draw(st.booleans()):
                    events.append(TextDelta(0, "", draw(logprobs)))
                events.append(ToolCallDelta(0, calls, arguments=piece))
            calls += 1
        else:
            events += draw(st.lists(plain if kind == "text" else thoughts, max_size=3))
    return [*events, Finish(0, draw(st.sampled_from(reasons))), Usage(3, 4)]


async def _frames(run: Run, turn: Turn) -> str:
    stream = ResponseStream(turn)
    return b"".join([frame async for frame in stream.frames(run)]).decode()


@given(runs())
def test_whatever_a_model_says_the_events_add_up_to_the_object(said: list[Event]) -> None:
    run = cast(Run, Scripted(said))
    body = ResponsesRequest(model="m", input="hi")
    turn = Turn(account_id="a", body=body, own=[])
    events = events_of(asyncio.run(_frames(run, turn)))
    final = events[-1]["response"]
    assert accumulated(events) == final["output"]
    assert anonymous(final) == anonymous(json.loads(asyncio.run(whole(run, turn))))
    assert types(events)[:2] == ["response.created", "response.in_progress"]
    assert final["output"], "an answer is never nothing"
    assert {item["status"] for item in final["output"][:-1]} <= {"completed"}
    assert final["output"][-1]["status"] == final["status"] in ("completed", "incomplete")
    # Nothing that was said is lost, but for blanks that no word follows.
    words = "".join(event.text for event in said if isinstance(event, TextDelta))
    kept = "".join(part["text"] for item in final["output"] if item["type"] == "message" for part in item["content"])
    assert kept.split() == words.split()
    thought = "".join(event.text for event in said if isinstance(event, ReasoningDelta))
    assert thought == "".join(
        part["text"] for item in final["output"] if item["type"] == "reasoning" for part in item["content"]
    )
    made = [item["arguments"] for item in final["output"] if item["type"] == "function_call"]
    pieces: dict[int, str] = {}
    for event in said:
        if isinstance(event, ToolCallDelta):
            pieces[event.call] = pieces.get(event.call, "") + event.arguments
    assert made == list(pieces.values())


@pytest.mark.anyio
async def test_blanks_before_a_call_are_no_message(settings: Settings) -> None:
    async with server_with(settings) as server, server.client() as client:
        said = [TextDelta(0, "\n\n"), ToolCallDelta(0, 0, "{}", "call_1", "f"), TextDelta(0, "\n")]
        for _ in range(2):
            server.engines[Task.CHAT].script.append([Facts(1, 9), *said, Finish(0, "tool_calls"), Usage(1, 2)])
        assert [item["type"] for item in (await answered(client))["output"]] == ["function_call"]
        assert [item["type"] for item in accumulated(await streamed(client))] == ["function_call"]


@pytest.mark.anyio
async def test_an_answer_without_a_word_is_an_empty_message(settings: Settings) -> None:
    async with server_with(settings, text="") as server, server.client() as client:
        [item] = (await answered(client))["output"]
        assert item["content"] == [{"type": "output_text", "text": "", "annotations": [], "logprobs": []}]
        assert accumulated(await streamed(client))[0]["content"] == item["content"]


@pytest.mark.anyio
async def test_thoughts_that_the_limit_cuts_off_are_the_whole_answer(settings: Settings) -> None:
    async with server_with(settings) as server, server.client() as client:
        said = [ReasoningDelta(0, "so"), Finish(0, "length"), Usage(1, 2)]
        server.engines[Task.CHAT].script.append([Facts(1, 9), *said])
        body = await answered(client)
    assert (body["status"], [item["type"] for item in body["output"]]) == ("incomplete", ["reasoning"])
    assert body["output"][0]["status"] == "incomplete"
