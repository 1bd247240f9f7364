"""From the body of a chat completion to the job: what is accepted, what is refused and how."""

from typing import Any

import pytest

from server.api.openai.chat_messages import MOST_MESSAGES, MOST_PARTS
from server.api.openai.chat_request import ChatRequest
from server.api.openai.sampling_request import MOST_BIASES
from server.api.validation import validate
from server.core import ChatJob, Tool
from server.errors import InvalidRequest

HELLO = [{"role": "user", "content": "hello"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TIME = {"name": "get_time"}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def job(**body: Any) -> ChatJob:
    return validate(ChatRequest, {"model": "m", "messages": HELLO, **body}).job()


def refused(**body: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        job(**body)
    return raised.value


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def tools(*functions: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "function", "function": function} for function in functions]


def test_the_smallest_request_leaves_everything_to_the_model() -> None:
    assert job() == ChatJob(messages=({"role": "user", "content": "hello"},))


def test_every_sampling_field_arrives() -> None:
    made = job(
        max_completion_tokens=7, temperature=0.5, top_p=0.9, n=3, stop=["a", "b"], seed=42, frequency_penalty=-1,
        presence_penalty=2, logit_bias={"15": -100}, logprobs=True, top_logprobs=5, top_k=40, min_p=0.1,
        repetition_penalty=1.1, min_tokens=2, ignore_eos=True, reasoning_effort="low", parallel_tool_calls=False,
    )  # fmt: skip
    assert (made.max_tokens, made.temperature, made.top_p, made.n, made.stop, made.seed) == (
        7,
        0.5,
        0.9,
        3,
        ("a", "b"),
        42,
    )
    assert (made.frequency_penalty, made.presence_penalty, made.logit_bias) == (-1, 2, {15: -100})
    assert (made.top_logprobs, made.top_k, made.min_p, made.repetition_penalty) == (5, 40, 0.1, 1.1)
    assert (made.min_tokens, made.ignore_eos, made.reasoning_effort, made.parallel_tool_calls) == (
        2,
        True,
        "low",
        False,
    )


def test_nulls_are_absent_and_unknown_fields_ignored() -> None:
    assert (
        job(
            temperature=None,
            tools=None,
            stop=None,
            n=None,
            logprobs=None,
            stream=None,
            prompt_cache_key="x",
            store=True,
        )
        == job()
    )


def test_as_many_biases_are_taken_as_vllm_has_room_for() -> None:
    """On a GPU one more ends its core."""
    from vllm.v1.worker.gpu.sample.logit_bias import MAX_NUM_LOGIT_BIAS_TOKENS

    assert MOST_BIASES <= MAX_NUM_LOGIT_BIAS_TOKENS
    assert len(job(logit_bias={str(token): 1 for token in range(MOST_BIASES)}).logit_bias or ()) == MOST_BIASES


def test_one_stop_string_is_a_list_of_one() -> None:
    assert job(stop="END").stop == ("END",)


def test_logprobs_alone_wants_no_alternatives() -> None:
    assert job(logprobs=True).top_logprobs == 0
    assert job(logprobs=False).top_logprobs is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1"),
        ({"logit_bias": {str(token): 1 for token in range(MOST_BIASES + 1)}}, "logit_bias"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": HELLO * (MOST_MESSAGES + 1)}, "messages"),
        ({"messages": [{"role": "user", "content": [text("a")] * (MOST_PARTS // 2 + 1)}] * 2}, "messages"),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL] * (MOST_PARTS + 1)}]}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url.url"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].function"),
        ({"modalities": ["text", "audio"]}, "audio"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tools": tools({"name": "no spaces please"})}, "tools[0].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": tools(TIME), "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"tools": tools(TIME), "functions": [TIME]}, "functions"),
        ({"functions": [TIME], "function_call": {"name": "other"}}, "function_call"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    assert refused(**body).param == param


def test_a_bare_image_url_is_its_url() -> None:
    bare = {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}
    (message,) = job(messages=[{"role": "user", "content": [text("what is this?"), bare]}]).messages
    assert message["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_a_key_of_the_wrong_kind_is_told_as_what_it_is() -> None:
    refusal = refused(logit_bias={"hello": 5})
    assert refusal.param == "logit_bias.hello"
    assert refusal.message.endswith("expected an integer, but got a string instead.")


def test_equal_limits_are_one_limit() -> None:
    assert job(max_tokens=5, max_completion_tokens=5).max_tokens == 5


def test_roles_become_the_four_that_templates_know() -> None:
    made = job(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [text("a"), text("b")]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ]
    )  # fmt: skip
    assert made.messages == (
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    )  # fmt: skip


def test_the_legacy_dialect_gets_ids_that_pair_calls_and_results() -> None:
    made = job(
        messages=[
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a": 1}'}},
            {"role": "function", "name": "f", "content": "42"},
        ]
    )
    assert made.messages[1]["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    ]
    assert made.messages[2] == {"role": "tool", "tool_call_id": "call_1", "content": "42"}


def test_an_image_part_keeps_the_parts_apart() -> None:
    url = "data:image/png;base64,AAAA"
    made = job(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what?"},
                    {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
                ],
            }
        ]
    )
    assert made.messages[0]["content"] == [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]


def test_tools_default_to_auto_and_are_told_whole() -> None:
    made = job(tools=tools(WEATHER))
    assert made.tools == (Tool("get_weather", "The weather", WEATHER["parameters"]),)
    assert (made.tool_choice, made.forced_tool) == ("auto", None)


def test_a_named_choice_is_forced() -> None:
    made = job(tools=tools(WEATHER, TIME), tool_choice={"type": "function", "function": {"name": "get_time"}})
    assert made.forced_tool == "get_time"


def test_allowed_tools_leave_the_others_out() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": tools({"name": "get_time"})}}
    made = job(tools=tools(WEATHER, TIME), tool_choice=choice)
    assert [tool.name for tool in made.tools] == ["get_time"]
    assert made.tool_choice == "required"


def test_empty_tools_are_no_tools() -> None:
    assert job(tools=[]) == job()
    assert job(tools=[], tool_choice="auto") == job()


@pytest.mark.parametrize(
    ("choice", "read"), [(None, "auto"), ("auto", "auto"), ("none", "none"), ({"name": "get_time"}, ("get_time",))]
)
def test_functions_are_tools_in_the_old_words(choice: Any, read: Any) -> None:
    made = job(functions=[TIME], function_call=choice)
    assert (made.tools, made.tool_choice) == ((Tool("get_time"),), read)


def test_response_formats_become_schemas() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert job(response_format={"type": "text"}).output_schema is None
    assert job(response_format={"type": "json_object"}).output_schema == {"type": "object"}
    assert (
        job(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}).output_schema
        == schema
    )
