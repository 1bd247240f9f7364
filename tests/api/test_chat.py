"""POST /v1/chat/completions over the fake engine: shapes, streams, dialects, errors, hang-ups."""

import json
from typing import Any

import httpx
import httpx2
import pytest
from openai import AsyncOpenAI

from server.core import ChatJob, Task
from server.engines.fake.engine import FakeEngine
from server.settings import Settings
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio

TEXT = "Hello from the fake engine."
HELLO = [{"role": "user", "content": "hello there"}]
WEATHER = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
CALL = {"name": "get_weather", "arguments": {"city": "Oslo", "unit": "c"}}


@pytest.fixture
def engine(fake: FakeServer) -> FakeEngine:
    return fake.engines[Task.CHAT]


def server_with(settings: Settings, **options: Any) -> FakeServer:
    return FakeServer(settings, {Task.CHAT: options})


async def ask(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/v1/chat/completions", json={"model": "everything", "messages": HELLO, **body})


async def streamed(client: httpx.AsyncClient, **body: Any) -> list[Any]:
    """The events' JSON; `[DONE]` as that word."""
    answer = await ask(client, stream=True, **body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    return [line[6:] if line[6:] == "[DONE]" else json.loads(line[6:]) for line in lines]


async def test_a_completion_has_the_openai_shape(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    answer = await ask(client)
    body = answer.json()
    assert body.pop("id").startswith("chatcmpl-")
    assert body.pop("created") > 1_700_000_000
    assert body.pop("system_fingerprint").startswith("fp_")
    assert body == {
        "object": "chat.completion",
        "model": "everything",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 5,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "quality": {
                "mode": "medium",
                "passes": 1,
                "candidates": 1,
                "tokens_by_pass": [{"pass": "answer", "prompt_tokens": 2, "completion_tokens": 5}],
            },
        },
        "service_tier": "default",
    }  # fmt: skip
    assert answer.headers["x-sagehold-model"] == "fake-chat"
    assert (engine.finished, engine.running) == (1, 0)


async def test_the_default_limit_is_the_room_and_never_overrides_the_clients(
    client: httpx.AsyncClient, engine: FakeEngine
) -> None:
    await ask(client)
    await ask(client, max_tokens=3)
    await ask(client, max_completion_tokens=1000)
    assert [job.max_tokens for job in engine.jobs if isinstance(job, ChatJob)] == [None, 3, 1000]


async def test_a_limit_reached_is_told_as_length(client: httpx.AsyncClient) -> None:
    body = (await ask(client, max_tokens=2)).json()
    assert body["choices"][0]["message"]["content"] == "Hello from"
    assert body["choices"][0]["finish_reason"] == "length"


async def test_choices_come_apart_by_index(client: httpx.AsyncClient) -> None:
    body = (await ask(client, n=3)).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in body["choices"]} == {"Hello from the fake engine."}


async def test_a_stream_begins_with_the_role_and_ends_with_done(client: httpx.AsyncClient) -> None:
    *chunks, done = await streamed(client)
    assert done == "[DONE]"
    assert chunks[0]["choices"] == [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
    ]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Hello from the fake engine."
    assert chunks[-1]["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    for field in ("id", "created", "model", "system_fingerprint"):
        assert len({chunk[field] for chunk in chunks}) == 1
    assert all(chunk["object"] == "chat.completion.chunk" and "usage" not in chunk for chunk in chunks)


async def test_usage_comes_last_and_only_when_asked_for(client: httpx.AsyncClient) -> None:
    *chunks, last, _ = await streamed(client, stream_options={"include_usage": True})
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 7
    assert all(chunk["usage"] is None and chunk["choices"] for chunk in chunks)


async def test_text_with_every_kind_of_character_survives_the_stream(settings: Settings) -> None:
    text = 'quote " backslash \\ line\nbreak tab\t null \x00 emoji 🦉 rtl שלום'
    async with server_with(settings, text=text) as server, server.client() as client:
        chunks = await streamed(client)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]) == text


async def test_logprobs_in_both_forms(client: httpx.AsyncClient) -> None:
    whole = (await ask(client, logprobs=True, top_logprobs=2)).json()["choices"][0]["logprobs"]
    assert [entry["token"] for entry in whole["content"]] == ["Hello", " from", " the", " fake", " engine."]
    assert whole["content"][0]["bytes"] == list(b"Hello")
    assert len(whole["content"][0]["top_logprobs"]) == 2
    *chunks, _ = await streamed(client, logprobs=True, top_logprobs=2)
    pieces = [entry for chunk in chunks if (logs := chunk["choices"][0]["logprobs"]) for entry in logs["content"]]
    assert pieces == whole["content"]


async def test_reasoning_is_a_field_of_its_own(settings: Settings) -> None:
    async with server_with(settings, reasoning="Let me think.") as server, server.client() as client:
        message = (await ask(client)).json()["choices"][0]["message"]
        *chunks, _ = await streamed(client)
    assert message["reasoning_content"] == "Let me think."
    assert message["content"] == "Hello from the fake engine."
    reasoning = [chunk["choices"][0]["delta"].get("reasoning_content", "") for chunk in chunks]
    assert "".join(reasoning) == "Let me think."


async def test_a_tool_call_whole_and_streamed(settings: Settings) -> None:
    tools = [{"type": "function", "function": WEATHER}]
    async with server_with(settings, call=CALL) as server, server.client() as client:
        choice = (await ask(client, tools=tools)).json()["choices"][0]
        *chunks, _ = await streamed(client, tools=tools)
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    (call,) = choice["message"]["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert call["id"]
    assert json.loads(call["function"]["arguments"]) == CALL["arguments"]

    pieces = [piece for chunk in chunks for piece in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert pieces[0] == {
        "index": 0,
        "id": pieces[0]["id"],
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }
    assert pieces[0]["id"]
    assert all(set(piece) == {"index", "function"} and piece["index"] == 0 for piece in pieces[1:])
    assert json.loads("".join(piece["function"]["arguments"] for piece in pieces)) == CALL["arguments"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_the_legacy_dialect_is_answered_in_kind(settings: Settings) -> None:
    async with server_with(settings, call=CALL) as server, server.client() as client:
        choice = (await ask(client, functions=[WEATHER])).json()["choices"][0]
        *chunks, _ = await streamed(client, functions=[WEATHER])
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"]["name"] == "get_weather"
    assert json.loads(choice["message"]["function_call"]["arguments"]) == CALL["arguments"]
    assert "tool_calls" not in choice["message"]
    pieces = [piece for chunk in chunks if (piece := chunk["choices"][0]["delta"].get("function_call"))]
    assert pieces[0]["name"] == "get_weather"
    assert json.loads("".join(piece["arguments"] for piece in pieces)) == CALL["arguments"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "function_call"


async def test_without_a_call_the_legacy_field_is_absent(client: httpx.AsyncClient) -> None:
    message = (await ask(client, functions=[WEATHER])).json()["choices"][0]["message"]
    assert "function_call" not in message
    assert message["content"]


async def test_an_unknown_model_is_404_in_the_standard_words(client: httpx.AsyncClient) -> None:
    answer = await ask(client, model="nobody")
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "The model `nobody` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }


async def test_a_prompt_too_long_is_refused_before_the_first_byte(settings: Settings) -> None:
    async with server_with(settings, context=1) as server, server.client() as client:
        answer = await ask(client, stream=True)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


async def test_an_engine_that_dies_is_a_500_or_an_error_event(settings: Settings) -> None:
    async with server_with(settings, die_after=2) as server, server.client() as client:
        whole = await ask(client)
    assert whole.status_code == 500
    assert whole.json()["error"]["code"] == "engine_failed"
    async with server_with(settings, die_after=2) as server, server.client() as client:
        *chunks, error, done = await streamed(client)
    assert done == "[DONE]"
    assert error["error"]["code"] == "engine_failed"
    assert chunks[-1]["choices"][0]["finish_reason"] is None


async def test_a_bug_tells_nothing_of_itself(settings: Settings) -> None:
    async with server_with(settings, bug_after=0) as server, server.client() as client:
        answer = await ask(client)
    assert answer.status_code == 500
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.json()["error"]["code"] == "internal_error"
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_hangs_up_stops_the_engine(fake: FakeServer, engine: FakeEngine, stream: bool) -> None:
    engine.gate.close()
    content = json.dumps({"model": "everything", "messages": HELLO, "stream": stream}).encode()
    async with fake.exchange("POST", "/v1/chat/completions", body=content) as exchange:
        engine.gate.let(3)
        await engine.gate.until_waiting()
        assert engine.running == 1
        exchange.hang_up()
    assert (engine.running, engine.cut_short, fake.registry.leases) == (0, 1, 0)


async def test_the_openai_sdk_reads_it(fake: FakeServer) -> None:
    transport = httpx2.ASGITransport(app=fake.app)
    async with AsyncOpenAI(
        base_url="http://server/v1", api_key=KEY, http_client=httpx2.AsyncClient(transport=transport)
    ) as sdk:
        whole = await sdk.chat.completions.create(model="everything", messages=[{"role": "user", "content": "hi"}])
        assert whole.choices[0].message.content == "Hello from the fake engine."
        stream = await sdk.chat.completions.create(
            model="everything", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(pieces) == "Hello from the fake engine."
