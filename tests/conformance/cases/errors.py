"""Errors. Every refusal is `{"error": {message, type, param, code}}` with a right status, and names the field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.conformance.asks import chat, chat_body, tool, user
from tests.conformance.case import Check, case
from tests.conformance.expect import among, equal, error, that
from tests.conformance.target import Target

TYPE, VALUE, MISSING = "invalid_type", "invalid_value", "missing_required_parameter"
CODES = (TYPE, VALUE, MISSING, "unsupported_value", "unsupported_parameter", None)


@dataclass(frozen=True)
class Wrong:
    """A chat with one field that is wrong. param: how the error's begins. code: one of CODES, or () for any of them."""

    name: str
    title: str
    fields: Mapping[str, Any]
    param: str
    code: str | tuple[()] = ()


HELLO = user("Hello")

WRONG = (
    Wrong("no_model", "Without model", {"model": ...}, "model", MISSING),
    Wrong("model_of_a_wrong_type", "model that is a number", {"model": 5}, "model", TYPE),
    Wrong("no_messages", "Without messages", {"messages": ...}, "messages", MISSING),
    Wrong("null_messages", "messages that is null", {"messages": None}, "messages"),
    Wrong("empty_messages", "messages without one", {"messages": []}, "messages"),
    Wrong("messages_of_a_wrong_type", "messages that is a string", {"messages": "Hello"}, "messages", TYPE),
    Wrong("message_of_a_wrong_type", "A message that is a string", {"messages": ["Hello"]}, "messages[0]", TYPE),
    Wrong("no_role", "A message without role", {"messages": [{"content": "Hello"}]}, "messages[0].role", MISSING),
    Wrong("unknown_role", "An unknown role", {"messages": [{"role": "king", "content": "Hi"}]}, "messages[0].role"),
    Wrong("no_content", "A user's message without content", {"messages": [{"role": "user"}]}, "messages[0].content"),
    Wrong("content_of_a_wrong_type", "content that is a number", {"messages": [user(5)]}, "messages[0].content"),
    Wrong(
        "second_message",
        "The second of two messages",
        {"messages": [HELLO, {"role": "king", "content": "Hi"}]},
        "messages[1].role",
    ),
    Wrong(
        "unknown_part", "A part of an unknown type", {"messages": [user([{"type": "smell"}])]}, "messages[0].content"
    ),
    Wrong(
        "text_of_a_wrong_type",
        "A text part whose text is a number",
        {"messages": [user([{"type": "text", "text": 5}])]},
        "messages[0].content",
    ),
    Wrong(
        "tool_result_without_id",
        "A tool result without tool_call_id",
        {"messages": [HELLO, {"role": "tool", "content": "5"}]},
        "messages[1]",
    ),
    Wrong(
        "tool_result_without_call",
        "A tool result that answers no call",
        {"messages": [HELLO, {"role": "tool", "content": "5", "tool_call_id": "call_1"}]},
        "messages",
    ),
    Wrong("max_tokens_below_one", "max_tokens: 0", {"max_tokens": 0}, "max_tokens", VALUE),
    Wrong("negative_max_tokens", "max_tokens: -1", {"max_tokens": -1}, "max_tokens", VALUE),
    Wrong("max_tokens_of_a_wrong_type", "max_tokens that is a string", {"max_tokens": "many"}, "max_tokens", TYPE),
    Wrong("broken_max_tokens", "max_tokens: 1.5", {"max_tokens": 1.5}, "max_tokens"),
    Wrong("huge_max_tokens", "max_tokens of 30 digits", {"max_tokens": 10**30}, "max_tokens"),
    Wrong(
        "negative_max_completion_tokens",
        "max_completion_tokens: -1",
        {"max_tokens": ..., "max_completion_tokens": -1},
        "max_completion_tokens",
    ),
    Wrong("two_limits", "max_tokens beside another max_completion_tokens", {"max_completion_tokens": 9}, "max_"),
    Wrong("high_temperature", "temperature: 2.5", {"temperature": 2.5}, "temperature", VALUE),
    Wrong("negative_temperature", "temperature: -1", {"temperature": -1}, "temperature", VALUE),
    Wrong("temperature_of_a_wrong_type", "temperature that is a word", {"temperature": "hot"}, "temperature", TYPE),
    Wrong("high_top_p", "top_p: 1.5", {"top_p": 1.5}, "top_p", VALUE),
    Wrong("negative_top_p", "top_p: -0.5", {"top_p": -0.5}, "top_p", VALUE),
    Wrong("no_choices", "n: 0", {"n": 0}, "n", VALUE),
    Wrong("too_many_choices", "n: 129", {"n": 129}, "n", VALUE),
    Wrong("five_stops", "Five stop strings", {"stop": ["a", "b", "c", "d", "e"]}, "stop", VALUE),
    Wrong("stop_of_a_wrong_type", "stop that is a number", {"stop": 5}, "stop"),
    Wrong("high_frequency_penalty", "frequency_penalty: 3", {"frequency_penalty": 3}, "frequency_penalty", VALUE),
    Wrong("low_presence_penalty", "presence_penalty: -3", {"presence_penalty": -3}, "presence_penalty", VALUE),
    Wrong("high_logit_bias", "A logit_bias of 101", {"logit_bias": {"5": 101}}, "logit_bias", VALUE),
    Wrong("logit_bias_by_word", "A logit_bias whose key is no id", {"logit_bias": {"word": 1}}, "logit_bias"),
    Wrong(
        "logit_bias_outside", "A logit_bias of an id that is no token", {"logit_bias": {"99999999": 1}}, "logit_bias"
    ),
    Wrong("seed_of_a_wrong_type", "seed that is a word", {"seed": "luck"}, "seed", TYPE),
    Wrong("many_top_logprobs", "top_logprobs: 21", {"logprobs": True, "top_logprobs": 21}, "top_logprobs", VALUE),
    Wrong("top_logprobs_alone", "top_logprobs without logprobs", {"top_logprobs": 2}, "top_logprobs"),
    Wrong("logprobs_of_a_wrong_type", "logprobs that is a number", {"logprobs": 5}, "logprobs"),
    Wrong("stream_of_a_wrong_type", "stream that is a word", {"stream": "perhaps"}, "stream", TYPE),
    Wrong(
        "stream_options_alone",
        "stream_options without stream",
        {"stream_options": {"include_usage": True}},
        "stream_options",
    ),
    Wrong("too_many_tools", "129 tools", {"tools": [tool(name=f"f{n}") for n in range(129)]}, "tools"),
    Wrong("long_tool_name", "A function's name of 65 characters", {"tools": [tool(name="f" * 65)]}, "tools[0]"),
    Wrong("odd_tool_name", "A function's name with a space", {"tools": [tool(name="f g")]}, "tools[0]"),
    Wrong("tool_without_function", "A tool without function", {"tools": [{"type": "function"}]}, "tools[0]"),
    Wrong("unknown_tool_type", "A tool of an unknown type", {"tools": [{"type": "hammer"}]}, "tools[0]"),
    Wrong(
        "choice_of_no_tool",
        "tool_choice of a function that isn't there",
        {"tools": [tool()], "tool_choice": {"type": "function", "function": {"name": "other"}}},
        "tool_choice",
    ),
    Wrong(
        "unknown_choice", "An unknown word as tool_choice", {"tools": [tool()], "tool_choice": "often"}, "tool_choice"
    ),
    Wrong("required_without_tools", "tool_choice: required without tools", {"tool_choice": "required"}, "tool_choice"),
    Wrong("unknown_format", "An unknown response_format", {"response_format": {"type": "poem"}}, "response_format"),
    Wrong(
        "format_without_schema",
        "json_schema without its schema's object",
        {"response_format": {"type": "json_schema"}},
        "response_format",
    ),
    Wrong(
        "schema_of_a_wrong_type",
        "A schema that is a number",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": 5}}},
        "response_format",
    ),
    Wrong("unknown_effort", "An unknown reasoning_effort", {"reasoning_effort": "heroic"}, "reasoning_effort"),
    Wrong("functions_of_a_wrong_type", "functions that is a word", {"functions": "all"}, "functions", TYPE),
)


def _wrong(wrong: Wrong) -> Check:
    def check(target: Target) -> None:
        value = error(chat(target, **wrong.fields), 400)
        equal(value.type, "invalid_request_error", "the error's type")
        that(
            (value.param or "").replace(".[", "[").startswith(wrong.param),
            f"the error's param is {value.param!r}, not {wrong.param!r}: {value.message[:80]}",
        )
        among(value.code, (wrong.code,) if isinstance(wrong.code, str) else CODES, "the error's code")

    check.__name__ = wrong.name
    check.__doc__ = f"{wrong.title}: 400 with param `{wrong.param}`."
    return check


for one in WRONG:
    case("OpenAI", needs="chat")(_wrong(one))


def _body(name: str, title: str, content: bytes) -> None:
    def check(target: Target) -> None:
        headers = {"content-type": "application/json"}
        answer = target.send("POST", "/chat/completions", headers=headers, content=content)
        equal(error(answer, 400).type, "invalid_request_error", "the error's type")

    check.__name__ = name
    check.__doc__ = f"{title}: 400."
    case("OpenAI", needs="chat")(check)


DEEP = b'{"model":"m","messages":' + 20000 * b"[" + 20000 * b"]" + b"}"
_body("empty_body", "An empty body", b"")
_body("no_json", "A body that is no JSON", b"{model: gpt}")
_body("torn_json", "JSON that is cut off", b'{"model": "m", "messages": [{"role": "us')
_body("list_body", "A body that is a list", b"[1, 2]")
_body("string_body", "A body that is a string", b'"hello"')
_body("null_body", "A body that is null", b"null")
_body("not_utf8", "A body that is no UTF-8", b'{"model": "\xff\xfe", "messages": []}')
_body("nan_in_body", "NaN as a number", b'{"model": "m", "messages": [], "temperature": NaN}')
_body("deep_body", "20,000 lists, one in the other", DEEP)


@case("OpenAI", needs="chat")
def too_long(target: Target) -> None:
    """A prompt longer than the model's context: 400 with code context_length_exceeded."""
    error(chat(target, "word " * 300_000), 400, code="context_length_exceeded")


@case("OpenAI, sagehold", needs="chat")
def limit_beyond_the_context(target: Target) -> None:
    """A limit above what the context has room for is cut to the room, or refused by name; never a fault."""
    answer = chat(target, max_tokens=50_000_000, stop=[" "])
    if answer.status != 200:
        value = error(answer, 400)
        that("max_tokens" in f"{value.param} {value.message}", f"the error does not name max_tokens: {value.message}")


@case("OpenAI", needs="chat")
def before_the_first_byte(target: Target) -> None:
    """A wrong request that wants a stream gets the status and JSON, no stream."""
    error(chat(target, stream=True, temperature=9), 400, param="temperature")
    error(chat(target, stream=True, model="none-of-that-name"), 404)


@case("OpenAI")
def unknown_url(target: Target) -> None:
    """An unknown URL: 404 in the envelope, which names method and path."""
    value = error(target.post("/none/of/that", {}, here=False), 404)
    equal(value.type, "invalid_request_error", "the error's type")
    that("POST" in value.message and "/none/of/that" in value.message, f"the message is {value.message}")


@case("OpenAI")
def wrong_method(target: Target) -> None:
    """A wrong method: 405 in the envelope with code method_not_supported."""
    error(target.get("/chat/completions", here=False), 405, code="method_not_supported")


@case("OpenAI", needs="chat")
def key_before_body(target: Target) -> None:
    """Without a right key, a wrong body is still a 401."""
    if target.key:
        error(target.post("/chat/completions", {"nothing": 1}, key="sk-none-of-ours"), 401)
    else:
        error(target.post("/chat/completions", {"nothing": 1}), 400)


@case("OpenAI, sagehold", needs="chat")
def message_is_short(target: Target) -> None:
    """An error does not send back what it was sent: a value of 100 kB gives a message below 2 kB."""
    for body in (
        {"temperature": "x" * 100_000},
        {"model": "x" * 100_000},
        {"response_format": {"type": "x" * 100_000}},
    ):
        answer = target.post("/chat/completions", chat_body(target, **body))
        that(len(answer.raw) < 2048, f"an error of {len(answer.raw)} bytes for {next(iter(body))}")
        error(answer, (400, 404))
