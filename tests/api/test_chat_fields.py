"""The fields of vLLM's users in a chat's body: honoured, refused by name, or without effect on the answer."""

import json
from typing import Any

import httpx
import pytest

from server.core import ChatJob, Priority, Task
from server.engines.fake.engine import FakeEngine
from server.engines.fake.language import token_id
from server.settings import Settings
from server.testing import FakeServer
from tests.api.test_chat import ask, server_with, streamed
from tests.api.vllm_fields import HONOURED, IGNORED, OTHERS, REFUSED

pytestmark = pytest.mark.anyio

TEXT = ["Hello", " from", " the", " fake", " engine."]


@pytest.fixture
def engine(fake: FakeServer) -> FakeEngine:
    return fake.engines[Task.CHAT]


@pytest.mark.parametrize(("field", "value", "job_field", "expected"), HONOURED)
async def test_what_is_honoured_reaches_the_engine(
    client: httpx.AsyncClient, engine: FakeEngine, field: str, value: Any, job_field: str, expected: Any
) -> None:
    beside = OTHERS.get(field, {})
    assert (await ask(client, **{field: value}, **beside)).status_code == 200
    (job,) = engine.jobs
    assert getattr(job, job_field) == expected


@pytest.mark.parametrize(("field", "value"), REFUSED)
async def test_what_is_not_supported_is_refused_by_its_name(
    client: httpx.AsyncClient, engine: FakeEngine, field: str, value: Any
) -> None:
    answer = await ask(client, **{field: value})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field
    assert engine.jobs == []
    assert (await ask(client, **{field: None})).status_code == 200  # as if it were not there


@pytest.mark.parametrize(("field", "value"), IGNORED)
async def test_what_constrains_nothing_changes_nothing(
    client: httpx.AsyncClient, engine: FakeEngine, field: str, value: Any
) -> None:
    assert (await ask(client)).status_code == 200
    assert (await ask(client, **{field: value})).status_code == 200
    plain, job = engine.jobs
    assert job == plain


@pytest.mark.parametrize(
    "body",
    [
        {"use_beam_search": False},
        {"length_penalty": 1.0},
        {"best_of": 1},
        {"kv_transfer_params": {}},
        {"vllm_xargs": {}},
        {"logits_processors": []},
        {"watermarking": False},
    ],
)
async def test_a_value_that_asks_for_nothing_is_taken(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await ask(client, **body)).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"stop_token_ids": list(range(65))}, "stop_token_ids"),
        ({"stop_token_ids": [-1]}, "stop_token_ids[0]"),
        ({"stop_token_ids": [2**31]}, "stop_token_ids[0]"),
        ({"bad_words": ["a"] * 65}, "bad_words"),
        ({"bad_words": [""]}, "bad_words[0]"),
        ({"bad_words": ["a" * 257]}, "bad_words[0]"),
        ({"allowed_token_ids": []}, "allowed_token_ids"),
        ({"allowed_token_ids": list(range(1025))}, "allowed_token_ids"),
        ({"prompt_logprobs": 21}, "prompt_logprobs"),
        ({"prompt_logprobs": -1}, "prompt_logprobs"),
        ({"prompt_logprobs": 1, "stream": True}, "prompt_logprobs"),
        ({"cache_salt": ""}, "cache_salt"),
        ({"cache_salt": "a/b"}, "cache_salt"),
        ({"cache_salt": "a\\b"}, "cache_salt"),
        ({"cache_salt": "a\x00b"}, "cache_salt"),
        ({"cache_salt": "x" * 129}, "cache_salt"),
        ({"priority": -1}, "priority"),
        ({"min_tokens": 5, "max_tokens": 4}, "min_tokens"),
        ({"min_tokens": 5, "max_completion_tokens": 4}, "min_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
    ],
)
async def test_what_is_beyond_the_limits_is_named(client: httpx.AsyncClient, body: dict[str, Any], param: str) -> None:
    answer = await ask(client, **body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_nothing_left_to_draw_from_is_greedy(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    await ask(client, top_p=0, temperature=1.5)
    (job,) = engine.jobs
    assert isinstance(job, ChatJob)
    assert (job.temperature, job.top_p) == (0.0, None)


async def test_a_priority_puts_a_request_back_and_never_ahead(settings: Settings) -> None:
    claims = []
    async with FakeServer(settings) as server, server.client() as client:
        lease = server.registry.lease

        def noting(spec: Any, claim: Any) -> Any:
            claims.append(claim.priority)
            return lease(spec, claim)

        server.registry.lease = noting  # type: ignore[method-assign]
        for priority in (0, 5, None):
            assert (await ask(client, priority=priority)).status_code == 200
    assert claims == [Priority.NORMAL, Priority.BACKGROUND, Priority.NORMAL]


async def test_the_ids_of_tokens_come_where_they_are_asked_for(client: httpx.AsyncClient) -> None:
    body = (await ask(client, return_token_ids=True)).json()
    assert body["prompt_token_ids"] == [token_id("hello"), token_id("there")]
    assert body["choices"][0]["token_ids"] == [token_id(token) for token in TEXT]
    plain = (await ask(client)).json()
    assert "prompt_token_ids" not in plain
    assert "token_ids" not in plain["choices"][0]

    first, *chunks, _ = await streamed(client, return_token_ids=True)
    assert first["prompt_token_ids"] == [token_id("hello"), token_id("there")]
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert all("prompt_token_ids" not in chunk for chunk in chunks)
    ids = [token for chunk in chunks for token in chunk["choices"][0].get("token_ids", [])]
    assert ids == [token_id(token) for token in TEXT]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "".join(TEXT)


async def test_log_probabilities_of_the_prompt_are_as_vllm_has_them(client: httpx.AsyncClient) -> None:
    body = (await ask(client, prompt_logprobs=2)).json()
    there, other = str(token_id("there")), str(token_id("~0"))
    assert body["prompt_logprobs"] == [
        None,
        {
            there: {"logprob": -0.25, "rank": 1, "decoded_token": "there"},
            other: {"logprob": -2.0, "rank": 2, "decoded_token": "~0"},
        },
    ]
    assert "prompt_token_ids" not in body
    assert "prompt_logprobs" not in (await ask(client)).json()


async def test_tokens_may_be_written_as_their_ids(client: httpx.AsyncClient) -> None:
    body = (await ask(client, logprobs=True, top_logprobs=1, return_tokens_as_token_ids=True)).json()
    first = body["choices"][0]["logprobs"]["content"][0]
    assert first["token"] == first["top_logprobs"][0]["token"] == f"token_id:{token_id('Hello')}"
    assert first["bytes"] == list(b"Hello")
    chunks = await streamed(client, logprobs=True, return_tokens_as_token_ids=True)
    assert chunks[1]["choices"][0]["logprobs"]["content"][0]["token"] == f"token_id:{token_id('Hello')}"


@pytest.mark.parametrize("field", ["prompt_logprobs", "return_token_ids"])
async def test_one_pass_tells_its_tokens(client: httpx.AsyncClient, engine: FakeEngine, field: str) -> None:
    for mode in ("high", "ultra"):
        answer = await ask(client, quality=mode, **{field: 1})
        assert answer.status_code == 200, answer.text
        assert answer.json()["usage"]["quality"]["passes"] == 1
        assert field in answer.headers["x-quality-reason"]
    assert len(engine.jobs) == 2


async def test_reasoning_may_be_left_out(settings: Settings) -> None:
    async with server_with(settings, reasoning="Let me think.") as server, server.client() as client:
        told = (await ask(client)).json()["choices"][0]["message"]
        left_out = (await ask(client, include_reasoning=False)).json()["choices"][0]["message"]
        chunks = await streamed(client, include_reasoning=False)
    assert told["reasoning"] == told["reasoning_content"] == "Let me think."
    assert "reasoning" not in left_out
    assert "reasoning_content" not in left_out
    assert left_out["content"] == "".join(TEXT)
    assert not any("reasoning" in key for chunk in chunks[:-1] for key in chunk["choices"][0]["delta"])


async def test_reasoning_has_both_names_in_a_stream(settings: Settings) -> None:
    async with server_with(settings, reasoning="Let me think.") as server, server.client() as client:
        *chunks, _ = await streamed(client)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    for name in ("reasoning", "reasoning_content"):
        assert "".join(delta.get(name, "") for delta in deltas) == "Let me think."


# ---------------------------------------------------------------- usage, roles and the first chunk


async def test_usage_in_every_chunk_where_it_is_asked_for(client: httpx.AsyncClient) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True, "include_obfuscation": False}
    role, *chunks, last, _ = await streamed(client, stream_options=options)
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks] == [1, 2, 3, 4, 5, 5]
    assert {chunk["usage"]["prompt_tokens"] for chunk in (role, *chunks)} == {2}
    assert chunks[-1]["usage"]["total_tokens"] == 7
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 7)
    # Without include_usage there is none, as with vLLM.
    plain = await streamed(client, stream_options={"continuous_usage_stats": True})
    assert all("usage" not in chunk for chunk in plain[:-1])


async def test_the_role_of_each_choice_comes_with_its_first_piece(client: httpx.AsyncClient) -> None:
    *chunks, _ = await streamed(client, n=2)
    seen: list[tuple[int, str]] = []
    for chunk in chunks:
        (choice,) = chunk["choices"]
        seen.append((choice["index"], next(iter(choice["delta"].keys()), "end")))
    assert seen[:5] == [(0, "role"), (0, "content"), (1, "role"), (1, "content"), (0, "content")]
    assert [kind for _, kind in seen].count("role") == 2


async def test_an_answer_without_text_has_a_role(settings: Settings) -> None:
    async with server_with(settings, text="") as server, server.client() as client:
        *chunks, _ = await streamed(client)
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [{"role": "assistant", "content": ""}, {}]


async def test_nothing_is_sent_before_the_first_token(fake: FakeServer, engine: FakeEngine) -> None:
    """`vllm bench serve` takes the first chunk for the first token."""
    engine.gate.close()
    engine.gate.let(1)  # it has been read
    messages = [{"role": "user", "content": "hello there"}]
    body = json.dumps({"model": "everything", "messages": messages, "stream": True}).encode()
    async with fake.exchange("POST", "/v1/chat/completions", body=body) as exchange:
        assert await exchange.start() == 200
        await engine.gate.until_waiting()
        assert exchange.unread() == []
        engine.gate.open()
        assert b'"role":"assistant"' in (await exchange.chunk() or b"").partition(b"\n")[0]


# ---------------------------------------------------------------- functions by their bare names

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("get_weather", "get_time")]


@pytest.mark.parametrize("choice", ["get_time", {"type": "function", "name": "get_time"}])
async def test_a_tool_may_be_chosen_by_its_bare_name(
    client: httpx.AsyncClient, engine: FakeEngine, choice: Any
) -> None:
    body = (await ask(client, tools=TOOLS, tool_choice=choice)).json()
    assert body["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_time"
    (job,) = engine.jobs
    assert isinstance(job, ChatJob)
    assert job.forced_tool == "get_time"


async def test_a_function_may_be_chosen_by_its_bare_name(client: httpx.AsyncClient) -> None:
    functions = [tool["function"] for tool in TOOLS]
    body = (await ask(client, functions=functions, function_call="get_time")).json()
    assert body["choices"][0]["message"]["function_call"]["name"] == "get_time"


@pytest.mark.parametrize("body", [{"tools": TOOLS, "tool_choice": "sometimes"}, {"tool_choice": "get_time"}])
async def test_a_name_that_is_no_function_is_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await ask(client, **body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "tool_choice"


async def test_settings_of_a_voice_are_no_wish_for_one(client: httpx.AsyncClient) -> None:
    voice = {"voice": "alloy", "format": "mp3"}
    assert (await ask(client, modalities=["text"], audio=voice)).status_code == 200
    assert (await ask(client, audio=voice)).status_code == 200
