"""POST /v1/responses over the fake engine: what it takes, what it answers, what it refuses."""

from typing import Any

import httpx
import pytest

from server.core import ChatJob, Task
from server.engines.fake.engine import FakeEngine
from server.settings import Settings
from server.testing import FakeServer
from tests.api.responses.asking import answered, ask, text_of

pytestmark = pytest.mark.anyio

TEXT = "Hello from the fake engine."
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "How the weather is.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CLOCK = {"type": "function", "name": "clock"}
CALL = {"name": "get_weather", "arguments": {"city": "Oslo"}}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


@pytest.fixture
def engine(fake: FakeServer) -> FakeEngine:
    return fake.engines[Task.CHAT]


def server_with(settings: Settings, **options: Any) -> FakeServer:
    return FakeServer(settings, {Task.CHAT: options})


def asked(engine: FakeEngine) -> ChatJob:
    job = engine.jobs[-1]
    assert isinstance(job, ChatJob)
    return job


# ---------------------------------------------------------------- answers


async def test_a_response_has_the_apis_shape(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    body = await answered(client)
    assert body.pop("id").startswith("resp_")
    assert body["output"][0].pop("id").startswith("msg_")
    assert 1_700_000_000 < body.pop("created_at") <= body.pop("completed_at")
    assert body == {
        "object": "response",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "output": [
            {
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}],
            }
        ],
        "usage": {
            "input_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 7,
            "quality": {
                "mode": "medium",
                "passes": 1,
                "candidates": 1,
                "tokens_by_pass": [{"pass": "answer", "prompt_tokens": 2, "completion_tokens": 5}],
            },
        },
        "model": "everything",
        "instructions": None,
        "previous_response_id": None,
        "conversation": None,
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "reasoning": {"effort": None, "summary": None},
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "temperature": 1.0,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "top_logprobs": 0,
        "truncation": "disabled",
        "store": False,
        "background": False,
        "service_tier": "default",
        "metadata": {},
        "user": None,
        "safety_identifier": None,
        "prompt_cache_key": None,
    }
    assert (engine.finished, engine.running) == (1, 0)


async def test_what_was_asked_is_said_again(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    said = {
        "instructions": "Be brief.",
        "temperature": 0.5,
        "top_p": 0.25,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "max_output_tokens": 100,
        "max_tool_calls": 3,
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "truncation": "auto",
        "metadata": {"case": "7"},
        "user": "u1",
        "safety_identifier": "s1",
        "prompt_cache_key": "k1",
        "top_logprobs": 2,
    }
    body = await answered(client, store=False, service_tier="flex", **said)
    assert {name: body[name] for name in said} == said
    assert (body["store"], body["service_tier"]) == (False, "default")
    job = asked(engine)
    assert (job.temperature, job.top_p, job.presence_penalty, job.frequency_penalty) == (0.5, 0.25, 0.5, -0.5)
    assert (job.max_tokens, job.parallel_tool_calls, job.reasoning_effort) == (100, False, "low")
    assert job.top_logprobs is None


async def test_nulls_are_as_if_absent_and_unknown_fields_are_ignored(client: httpx.AsyncClient) -> None:
    given = (
        "instructions tools tool_choice text reasoning include metadata truncation store previous_response_id "
        "conversation max_output_tokens temperature stream top_logprobs"
    )
    absent = dict.fromkeys(given.split())
    body = await answered(client, context_management=[{"type": "compaction"}], moderation={"x": 1}, news=7, **absent)
    assert text_of(body) == TEXT


async def test_reasoning_is_an_item_before_the_message(settings: Settings) -> None:
    async with server_with(settings, reasoning="so it is") as server, server.client() as client:
        body = await answered(client)
    reasoning, message = body["output"]
    assert reasoning.pop("id").startswith("rs_")
    assert reasoning == {
        "type": "reasoning",
        "status": "completed",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "so it is"}],
    }
    assert message["type"] == "message"
    assert body["usage"]["output_tokens_details"] == {"reasoning_tokens": 3}


async def test_a_limit_reached_makes_it_incomplete(client: httpx.AsyncClient) -> None:
    body = await answered(client, max_output_tokens=2)
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (body["completed_at"], body["error"]) == (None, None)
    assert text_of(body) == "Hello from"
    assert body["output"][0]["status"] == "incomplete"


async def test_logprobs_come_where_they_are_included(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    body = await answered(client, include=["message.output_text.logprobs"], top_logprobs=2)
    [part] = body["output"][0]["content"]
    assert [entry["token"] for entry in part["logprobs"]] == ["Hello", " from", " the", " fake", " engine."]
    assert [len(entry["top_logprobs"]) for entry in part["logprobs"]] == [2] * 5
    assert part["logprobs"][0]["bytes"] == list(b"Hello")
    await answered(client, include=["message.output_text.logprobs", "web_search_call.action.sources"])
    assert asked(engine).top_logprobs == 0


async def test_quality_is_asked_for_in_all_ways(settings: Settings) -> None:
    quality = {Task.CHAT: {"ultra": {"drafts": 3, "sure": 1}}}
    async with FakeServer(settings, quality=quality) as server, server.client() as client:
        by_body = await answered(client, quality="ultra", return_drafts=True)
        by_header = await client.post(
            "/v1/responses", json={"model": "everything", "input": "hi"}, headers={"x-quality": "ultra"}
        )
        by_name = await client.post("/v1/responses", json={"model": "everything:ultra", "input": "hi"})
        low = await answered(client, quality="low")
    for body in (by_body, by_header.json(), by_name.json()):
        assert body["usage"]["quality"]["mode"] == "ultra"
        assert body["usage"]["quality"]["candidates"] == 3
    assert by_body["usage"]["quality"]["drafts"]
    assert by_name.headers["x-quality"] == "ultra"
    assert low["usage"]["quality"]["mode"] == "low"


# ---------------------------------------------------------------- functions


async def test_a_call_is_an_item_whose_arguments_are_text(settings: Settings) -> None:
    async with server_with(settings, call=CALL) as server, server.client() as client:
        body = await answered(client, tools=[WEATHER, CLOCK])
        assert [tool.name for tool in asked(server.engines[Task.CHAT]).tools] == ["get_weather", "clock"]
    [call] = body["output"]
    assert call.pop("id").startswith("fc_")
    assert call == {
        "type": "function_call",
        "call_id": "call_fake0",
        "name": "get_weather",
        "arguments": '{"city": "Oslo"}',
        "status": "completed",
    }
    assert body["status"] == "completed"
    assert body["tools"] == [
        {**WEATHER, "strict": False},
        {**CLOCK, "description": None, "parameters": None, "strict": False},
    ]


@pytest.mark.parametrize(
    ("choice", "wanted", "tools", "said"),
    [
        ("none", "none", 2, "none"),
        ("auto", "auto", 2, "auto"),
        ("required", "required", 2, "required"),
        ("clock", ("clock",), 2, {"type": "function", "name": "clock"}),
        ({"type": "function", "name": "clock"}, ("clock",), 2, {"type": "function", "name": "clock"}),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "clock"}]},
            "required",
            1,
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "clock"}]},
        ),
        (
            {"type": "allowed_tools", "mode": "none", "tools": [{"type": "function", "name": "clock"}]},
            "none",
            1,
            "none",
        ),
    ],
)
async def test_functions_are_chosen_in_all_ways(
    client: httpx.AsyncClient, engine: FakeEngine, choice: Any, wanted: Any, tools: int, said: Any
) -> None:
    body = await answered(client, tools=[WEATHER, CLOCK], tool_choice=choice)
    job = asked(engine)
    assert (job.tool_choice, len(job.tools)) == (wanted, tools)
    assert body["tool_choice"] == said


# ---------------------------------------------------------------- forms


async def test_an_answer_obeys_a_schema(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    form = {"type": "json_schema", "name": "city", "schema": CITY, "strict": True, "description": "A city."}
    body = await answered(client, text={"format": form})
    assert asked(engine).output_schema == CITY
    assert asked(engine).form_field == "text.format"
    assert body["text"] == {"format": form, "verbosity": "medium"}
    assert text_of(body) == f'{{"city": "{TEXT}"}}'
    body = await answered(client, text={"format": {"type": "json_object"}})
    assert asked(engine).output_schema == {"type": "object"}
    assert body["text"]["format"] == {"type": "json_object"}
    await answered(client, text={"verbosity": "high"})
    assert asked(engine).output_schema is None


async def test_a_schema_stands_back_where_a_call_is_demanded(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    body = await answered(client, tools=[WEATHER], tool_choice="required", text={"format": {"type": "json_object"}})
    assert body["output"][0]["type"] == "function_call"
    assert asked(engine).tool_choice == "required"


async def test_forms_of_vllms_users_hold_too(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    await answered(client, structured_outputs={"choice": ["yes", "no"]}, top_k=5, seed=3)
    job = asked(engine)
    assert job.constraint is not None
    assert job.constraint.value == ("yes", "no")
    assert (job.top_k, job.seed) == (5, 3)


# ---------------------------------------------------------------- pictures and sound


async def test_pictures_reach_the_model(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": PIXEL, "detail": "low"},
    ]
    await answered(client, [{"role": "user", "content": content}])
    [message] = asked(engine).messages
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]
    assert message["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


async def test_a_sound_is_heard_by_the_models_transcriber(settings: Settings) -> None:
    said = "Name the capital of Japan."
    options = {Task.TRANSCRIPTION: {"text": said}, Task.CHAT: {"replies": {said: "Tokyo."}}}
    sound = {"type": "input_audio", "input_audio": {"data": "bm90IHJlYWxseQ==", "format": "wav"}}
    async with FakeServer(settings, options) as server, server.client() as client:
        assert text_of(await answered(client, [{"role": "user", "content": [sound]}])) == "Tokyo."


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        ({"input": [{"type": ["message"], "role": "user"}]}, "input[0].type"),
        ({"input": [{"role": "wizard", "content": "hi"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": ["hi"]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_video"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png,no"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": ["x", {"role": "user", "content": [{"type": "input_image", "image_url": "http://a/b.png"}]}]},
            "input[0]",
        ),
        (
            {
                "instructions": "Look.",
                "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://a/b.png"}]}],
            },
            "input[0].content[0].image_url",
        ),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_image", "image_url": PIXEL}]}]},
            "input[0].content[0].type",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA=="}}]}]},
            "input[0].content[0].input_audio.format",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "http://a/b"}]}]},
            "input[0].content[0].file_url",
        ),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}, "input[0].name"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "1"}]}, "input"),
        ({"input": [{"type": "reasoning", "summary": [{"type": "summary_text"}]}]}, "input[0].summary[0].text"),
        (
            {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}]},
            "input[0].encrypted_content",
        ),
        ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools[0].type"),
        ({"tools": [WEATHER, {"type": "mcp", "server_label": "x"}]}, "tools[1].type"),
        ({"tools": [{"type": "custom", "name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "no spaces"}]}, "tools[0].name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "file_search"}}, "tool_choice.type"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "x"}]}},
            "tool_choice.tools",
        ),
        (
            {"tools": [WEATHER], "tool_choice": "required", "structured_outputs": {"choice": ["a"]}},
            "structured_outputs.choice",
        ),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format"),
        (
            {"text": {"format": {"type": "json_object"}}, "structured_outputs": {"regex": "a"}},
            "structured_outputs.regex",
        ),
        ({"text": {"verbosity": "loud"}}, "text.verbosity"),
        ({"reasoning": {"effort": "wild"}}, "reasoning.effort"),
        ({"reasoning": {"summary": "long"}}, "reasoning.summary"),
        ({"include": ["everything"]}, "include[0]"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 2, "min_tokens": 3}, "min_tokens"),
        ({"max_tool_calls": 0}, "max_tool_calls"),
        ({"truncation": "sometimes"}, "truncation"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: ""}}, f"metadata.{'k' * 65}"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {"k": 7}}, "metadata.k"),
        ({"temperature": 3}, "temperature"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "messages"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"quality": "best"}, "quality"),
        ({"best_of": 2, "use_beam_search": True}, "use_beam_search"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(
    client: httpx.AsyncClient, engine: FakeEngine, body: dict[str, Any], param: str
) -> None:
    answer = await client.post("/v1/responses", json={"model": "everything", "input": "hi", **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param), error
    assert error["type"] == "invalid_request_error"
    assert engine.started == 0


async def test_a_field_of_chats_is_refused_with_its_name_here(client: httpx.AsyncClient) -> None:
    error = (await ask(client, max_tokens=5)).json()["error"]
    assert error["message"] == (
        "Unsupported parameter: 'max_tokens'. In the Responses API, this parameter has moved to 'max_output_tokens'."
    )
    assert error["code"] == "unsupported_parameter"


async def test_what_the_engine_refuses_is_named_in_this_apis_words(settings: Settings) -> None:
    async with server_with(settings, context=3) as server, server.client() as client:
        error = (await ask(client, "one two three four")).json()["error"]
    assert (error["param"], error["code"]) == ("input", "context_length_exceeded")


async def test_an_item_that_nobody_knows_is_not_found(client: httpx.AsyncClient) -> None:
    for item in ({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"type": None, "id": "msg_1"}):
        answer = await ask(client, [item])
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "input")
        assert answer.json()["error"]["message"] == "Item with id 'msg_1' not found."


async def test_a_model_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/responses", json={"model": "nothing", "input": "hi"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


async def test_an_engine_that_fails_is_a_500(settings: Settings) -> None:
    async with server_with(settings, die_after=2) as server, server.client() as client:
        answer = await ask(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "engine_failed")
