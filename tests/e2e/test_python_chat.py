"""Chat from the real starter model through the OpenAI SDK for Python, unmodified."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import jsonschema
import pytest
from openai import OpenAI
from openai.types import Model
from openai.types.chat import ChatCompletion
from pydantic import BaseModel
from tokenizers import Tokenizer

from tests.e2e.live import CHAT, MODELS, SLASHED, LiveServer, until

MODEL = "gpt-4o-mini"
JAPAN = "What is the capital of Japan?"
TOKYO = "The capital of Japan is Tokyo."
WEEK = "How many days are in a week?"

CAPITAL: dict[str, Any] = {
    "name": "get_capital",
    "description": "Get the capital of a country",
    "parameters": {
        "type": "object",
        "properties": {"country": {"type": "string", "maxLength": 30}},
        "required": ["country"],
        "additionalProperties": False,
    },
}
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Get the weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 30}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}
TOOLS = [{"type": "function", "function": CAPITAL}, {"type": "function", "function": WEATHER}]
SCHEMA_OF = {function["name"]: function["parameters"] for function in (CAPITAL, WEATHER)}


def ask(sdk: OpenAI, asked: str | Sequence[Any], **options: Any) -> ChatCompletion:
    """Greedy and short unless `options` say otherwise."""
    messages: Any = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    chosen: dict[str, Any] = {"model": MODEL, "temperature": 0, "max_tokens": 60} | options
    answer: ChatCompletion = sdk.chat.completions.create(messages=messages, **chosen)
    return answer


def text(answer: ChatCompletion) -> str:
    content = answer.choices[0].message.content
    assert content is not None
    return content


def lasting(model: Model) -> dict[str, Any]:
    """What the API says of it, without its bytes in memory: they are measured anew every fifteen seconds."""
    row: dict[str, Any] = model.to_dict()
    return row | {"models": {task: one | {"memory": None} for task, one in row["models"].items()}}


def test_the_models_are_listed_and_retrieved(sdk: OpenAI) -> None:
    listed = {model.id: model for model in sdk.models.list()}
    assert {"gpt-4o-mini", "deepseek-v4-flash", "whisper-1", "tts-1", CHAT} <= set(listed)
    one = sdk.models.retrieve("deepseek-v4-flash")
    assert lasting(one) == lasting(listed["deepseek-v4-flash"])
    assert sdk.models.retrieve(SLASHED).id == SLASHED
    row = one.to_dict()
    assert (row["object"], row["state"]) == ("model", "ready")
    assert {"chat", "transcription", "speech"} <= set(row["capabilities"])  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["gpt-4o", "deepseek-v4-flash", SLASHED, CHAT])
def test_greedy_answers_name_tokyo(sdk: OpenAI, name: str) -> None:
    answer = ask(sdk, JAPAN, model=name)
    assert text(answer) == TOKYO
    assert (answer.model, answer.object, answer.choices[0].finish_reason) == (name, "chat.completion", "stop")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 8
    assert answer._request_id is not None
    assert answer._request_id.startswith("req_")


def test_a_week_has_seven_days(sdk: OpenAI) -> None:
    assert "7" in text(ask(sdk, WEEK))


def test_a_stream_says_the_same_and_tells_usage_when_asked(sdk: OpenAI) -> None:
    whole = ask(sdk, JAPAN)
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": JAPAN}], "temperature": 0, "stream": True}
    *chunks, last = sdk.chat.completions.create(**asked, stream_options={"include_usage": True})
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text(whole)
    assert len([chunk for chunk in chunks if chunk.choices[0].delta.content]) > 1  # in pieces, not at once
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert last.choices == []
    assert last.usage is not None
    assert whole.usage is not None
    assert last.usage.completion_tokens == whole.usage.completion_tokens
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in [*chunks, last]}) == 1
    plain = list(sdk.chat.completions.create(**asked))
    assert all(chunk.choices and chunk.usage is None for chunk in plain)


def test_two_answers_come_as_two_choices(sdk: OpenAI) -> None:
    answer = ask(sdk, "Tell me a story.", n=2, temperature=1.0, max_tokens=16, seed=5)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert len({choice.message.content for choice in answer.choices}) == 2
    assert answer.usage is not None
    assert 16 < answer.usage.completion_tokens <= 32


def test_a_seed_brings_an_answer_back(sdk: OpenAI) -> None:
    """One answer at a time: in bfloat16, what else is in the batch moves the probabilities by some hundredths."""
    chosen: dict[str, Any] = {"temperature": 1.0, "max_tokens": 16}
    said = [text(ask(sdk, "Tell me a story.", **chosen, seed=seed)) for seed in (5, 5, 1234)]
    assert said[0] == said[1] != said[2]


def test_stop_texts_end_the_answer_and_are_not_in_it(sdk: OpenAI) -> None:
    assert text(ask(sdk, JAPAN, stop=["Tokyo", "Kyoto"])) == "The capital of Japan is "
    answer = ask(sdk, JAPAN, stop=" of")
    assert (text(answer), answer.choices[0].finish_reason) == ("The capital", "stop")


def test_logprobs_are_of_the_tokens_that_were_chosen(sdk: OpenAI) -> None:
    answer = ask(sdk, JAPAN, logprobs=True, top_logprobs=3)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert answer.usage is not None
    assert len(logprobs.content) == answer.usage.completion_tokens
    assert "".join(one.token for one in logprobs.content).removesuffix("<|im_end|>") == text(answer)
    for one in logprobs.content:
        assert len(one.top_logprobs) == 3
        assert one.top_logprobs[0].token == one.token  # greedy
        assert 0 >= one.logprob == one.top_logprobs[0].logprob >= one.top_logprobs[1].logprob
        assert one.bytes is not None
        assert bytes(one.bytes).decode() == one.token


def test_logit_bias_forces_and_bans(sdk: OpenAI) -> None:
    tokenizer = Tokenizer.from_file(str(MODELS / CHAT / "tokenizer.json"))
    (paris,), (the,) = (tokenizer.encode(word, add_special_tokens=False).ids for word in (" Paris", "The"))
    assert text(ask(sdk, JAPAN, logit_bias={str(paris): 100}, max_tokens=3)) == " Paris Paris Paris"
    assert not text(ask(sdk, JAPAN, logit_bias={str(the): -100})).startswith("The")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_cuts_the_answer_and_says_so(sdk: OpenAI, name: str) -> None:
    answer = ask(sdk, JAPAN, **({"max_tokens": None} | {name: 3}))
    assert (text(answer), answer.choices[0].finish_reason) == ("The capital of", "length")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_what_other_clients_send_is_understood(sdk: OpenAI) -> None:
    """The developer role, parts, nulls, fields of newer APIs."""
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "You are a helpful assistant."}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": "What is the capital of"}, {"type": "text", "text": "Japan?"}],
        },
    ]
    nulls = dict.fromkeys(
        ("stop", "n", "seed", "tools", "tool_choice", "response_format", "logit_bias", "stream_options", "functions",
         "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "user", "parallel_tool_calls")
    )  # fmt: skip
    newer = {"prompt_cache_key": "k", "store": False, "metadata": {"a": "b"}, "verbosity": "low", "not_yet_known": [1]}
    assert "Tokyo" in text(ask(sdk, messages, extra_body={**nulls, **newer}))


# ---------------------------------------------------------------- structured output


def structured(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


SCHEMAS = {
    "integer range": ("How many days are in a week?", closed(days={"type": "integer", "minimum": 1, "maximum": 31})),
    "enum": ("What colour is the sky?", closed(colour={"enum": ["red", "green", "blue"]}, sure={"type": "boolean"})),
    "array": (
        "List three fruits.",
        closed(fruits={"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 3, "maxItems": 3}),
    ),
    "nested": (
        "Describe a car and its owner.",
        closed(
            name={"type": "string", "maxLength": 12},
            wheels={"const": 4},
            owner=closed(
                age={"type": "integer", "minimum": 18, "maximum": 99},
                tags={"type": "array", "items": {"enum": ["fast", "old"]}, "minItems": 1, "maxItems": 2},
            ),
        ),
    ),
    "referred": (
        "Name two points.",
        {
            "$defs": {"point": closed(x={"type": "integer", "minimum": 0, "maximum": 9}, y={"enum": [None, True]})},
            **closed(start={"$ref": "#/$defs/point"}, end={"$ref": "#/$defs/point"}),
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.5, "seed": 7}], ids=["greedy", "hot"])
@pytest.mark.parametrize("name", SCHEMAS)
def test_a_json_schema_is_obeyed(sdk: OpenAI, name: str, sampling: dict[str, Any]) -> None:
    question, schema = SCHEMAS[name]
    answer = ask(sdk, question, response_format=structured(schema), max_tokens=200, **sampling)
    assert answer.choices[0].finish_reason == "stop"
    jsonschema.validate(json.loads(text(answer)), schema)


def test_a_json_object_is_one(sdk: OpenAI) -> None:
    answer = ask(sdk, "Give the capital of Japan as JSON.", response_format={"type": "json_object"}, max_tokens=200)
    assert isinstance(json.loads(text(answer)), dict)


def test_a_schema_holds_in_a_stream_too(sdk: OpenAI) -> None:
    question, schema = SCHEMAS["nested"]
    chunks = sdk.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": question}], stream=True, response_format=structured(schema)  # type: ignore[call-overload]
    )  # fmt: skip
    jsonschema.validate(json.loads("".join(chunk.choices[0].delta.content or "" for chunk in chunks)), schema)


def test_parse_gives_an_object_of_the_users_class(sdk: OpenAI) -> None:
    class Person(BaseModel):
        mood: Literal["happy", "sad"]
        awake: bool

    class Pair(BaseModel):
        left: Person
        right: Person

    answer = sdk.chat.completions.parse(
        model=MODEL, messages=[{"role": "user", "content": "Describe two people."}], response_format=Pair
    )
    assert isinstance(answer.choices[0].message.parsed, Pair)


# ---------------------------------------------------------------- tools


def test_a_call_forced_by_name_obeys_its_schema(sdk: OpenAI) -> None:
    for name in SCHEMA_OF:
        choice = {"type": "function", "function": {"name": name}}
        answer = ask(sdk, JAPAN, tools=TOOLS, tool_choice=choice, max_tokens=100)
        message = answer.choices[0].message
        assert message.tool_calls is not None
        (call,) = message.tool_calls
        assert call.type == "function"
        assert call.function.name == name
        jsonschema.validate(json.loads(call.function.arguments), SCHEMA_OF[name])
        assert call.id
        assert message.content is None
        assert answer.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.2, "seed": 3}], ids=["greedy", "hot"])
def test_a_required_call_is_one_of_the_tools(sdk: OpenAI, sampling: dict[str, Any]) -> None:
    question = "What is the weather in Oslo?"
    answer = ask(sdk, question, tools=TOOLS, tool_choice="required", max_tokens=200, **sampling)
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.tool_calls
    for call in answer.choices[0].message.tool_calls:
        assert call.type == "function"
        jsonschema.validate(json.loads(call.function.arguments), SCHEMA_OF[call.function.name])


def test_a_call_is_streamed_in_pieces_that_fit(sdk: OpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "get_weather"}}
    tools: Any = TOOLS
    with sdk.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "Weather in Oslo?"}], tools=tools, tool_choice=choice
    ) as stream:
        answer = stream.get_final_completion()
    assert answer.choices[0].message.tool_calls
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    jsonschema.validate(json.loads(call.function.arguments), WEATHER["parameters"])
    assert answer.choices[0].finish_reason == "tool_calls"


def test_a_whole_round_with_a_tool(sdk: OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": JAPAN}]
    asked = ask(sdk, messages, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "get_capital"}})
    message = asked.choices[0].message
    assert message.tool_calls is not None
    messages.append(message.to_dict())
    messages.append({"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Tokyo"})
    answer = ask(sdk, messages, tools=TOOLS)
    assert "Tokyo" in text(answer)
    assert answer.choices[0].finish_reason == "stop"


def test_legacy_functions_are_answered_in_their_own_words(sdk: OpenAI) -> None:
    functions = [CAPITAL, WEATHER]
    answer = ask(sdk, JAPAN, functions=functions, function_call={"name": "get_capital"}, max_tokens=100)
    message = answer.choices[0].message
    assert message.function_call is not None
    assert message.function_call.name == "get_capital"
    arguments = json.loads(message.function_call.arguments)
    jsonschema.validate(arguments, CAPITAL["parameters"])
    assert message.tool_calls is None
    assert answer.choices[0].finish_reason == "function_call"
    messages = [
        {"role": "user", "content": JAPAN},
        message.to_dict(),
        {"role": "function", "name": "get_capital", "content": "Tokyo"},
    ]
    assert "Tokyo" in text(ask(sdk, messages, functions=functions, function_call="none"))


def test_answers_with_an_id_are_in_the_log(sdk: OpenAI, server: LiveServer) -> None:
    answer = ask(sdk, JAPAN)
    # The answer's last byte is sent before its line is written.
    (line,) = until(lambda: server.lines(str(answer._request_id)), "the request is in the log", within=10)
    assert "path=/v1/chat/completions status=200" in line
    assert "completion_tokens=8" in line
