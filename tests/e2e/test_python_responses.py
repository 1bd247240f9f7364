"""Responses and conversations from the real starter model through the OpenAI SDK for Python, unmodified."""

import json
from typing import Any, Literal

import jsonschema
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseOutputMessage, ResponseStreamEvent
from pydantic import BaseModel

from tests.e2e.live import LiveServer, until

MODEL = "gpt-4o-mini"
JAPAN = "What is the capital of Japan?"
TOKYO = "The capital of Japan is Tokyo."
PERU = "And of Peru?"
CAPITAL: dict[str, Any] = {
    "type": "function",
    "name": "get_capital",
    "description": "Get the capital of a country",
    "parameters": {
        "type": "object",
        "properties": {"country": {"type": "string", "maxLength": 30}},
        "required": ["country"],
        "additionalProperties": False,
    },
    "strict": True,
}
FORCED: dict[str, Any] = {"tools": [CAPITAL], "tool_choice": {"type": "function", "name": "get_capital"}}
ENDLESS = {"ignore_eos": True}
"""A field of vLLM's: the model goes on until its limit."""


def ask(sdk: OpenAI, asked: Any, **options: Any) -> Response:
    """Greedy and short unless `options` say otherwise."""
    chosen: dict[str, Any] = {"model": MODEL, "temperature": 0, "max_output_tokens": 60} | options
    answer: Response = sdk.responses.create(input=asked, **chosen)
    return answer


def tokens(answer: Response) -> tuple[int, int]:
    """Read and written. Which of them were cached hangs on what was asked before."""
    assert answer.usage is not None
    return answer.usage.input_tokens, answer.usage.output_tokens


def call(answer: Response) -> ResponseFunctionToolCall:
    (one,) = answer.output
    assert isinstance(one, ResponseFunctionToolCall)
    return one


class Place(BaseModel):
    country: Literal["Japan", "Peru"]
    large: bool


# ---------------------------------------------------------------- one answer


def test_a_response_names_tokyo(sdk: OpenAI) -> None:
    answer = ask(sdk, JAPAN, metadata={"project": "atlas"})
    assert answer.output_text == TOKYO
    assert (answer.object, answer.status, answer.model) == ("response", "completed", MODEL)
    assert answer.id.startswith("resp_")
    (message,) = answer.output
    assert isinstance(message, ResponseOutputMessage)
    assert (message.role, message.status) == ("assistant", "completed")
    assert message.id.startswith("msg_")
    assert answer.usage is not None
    assert answer.usage.output_tokens == 8
    assert answer.usage.total_tokens == answer.usage.input_tokens + 8
    assert answer.metadata == {"project": "atlas"}
    assert answer._request_id is not None
    assert answer._request_id.startswith("req_")


def test_instructions_and_roles_are_read(sdk: OpenAI) -> None:
    items: list[Any] = [
        {"role": "developer", "content": "You are a helpful assistant."},
        {"role": "user", "content": [{"type": "input_text", "text": JAPAN}]},
    ]
    assert "Tokyo" in ask(sdk, items).output_text
    plain = ask(sdk, JAPAN).usage
    told = ask(sdk, JAPAN, instructions="You are a helpful assistant. Answer in one sentence.")
    assert told.instructions == "You are a helpful assistant. Answer in one sentence."
    assert plain is not None
    assert told.usage is not None
    assert told.usage.input_tokens != plain.input_tokens


def test_a_limit_makes_it_incomplete(sdk: OpenAI) -> None:
    answer = ask(sdk, JAPAN, max_output_tokens=3)
    assert answer.output_text == "The capital of"
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


def test_log_probabilities_are_included_when_asked(sdk: OpenAI) -> None:
    answer = ask(sdk, JAPAN, include=["message.output_text.logprobs"], top_logprobs=2)
    (message,) = answer.output
    assert isinstance(message, ResponseOutputMessage)
    (part,) = message.content
    assert part.type == "output_text"
    assert part.logprobs
    assert "".join(one.token for one in part.logprobs).removesuffix("<|im_end|>") == TOKYO
    assert {len(one.top_logprobs) for one in part.logprobs} == {2}


def test_input_tokens_are_those_that_a_response_reads(sdk: OpenAI) -> None:
    counted = sdk.responses.input_tokens.count(model=MODEL, input=JAPAN)
    answer = ask(sdk, JAPAN)
    assert answer.usage is not None
    assert counted.input_tokens == answer.usage.input_tokens
    with_tool = sdk.responses.input_tokens.count(model=MODEL, input=JAPAN, tools=[CAPITAL])  # type: ignore[list-item]
    assert with_tool.input_tokens > counted.input_tokens


# ---------------------------------------------------------------- streams


def test_the_stream_helper_says_the_same(sdk: OpenAI) -> None:
    whole = ask(sdk, JAPAN)
    pieces, numbers, snapshots = [], [], []
    with sdk.responses.stream(model=MODEL, input=JAPAN, temperature=0) as stream:
        for event in stream:
            numbers.append(event.sequence_number)
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
                snapshots.append(event.snapshot)
        final = stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert len(pieces) > 1
    assert "".join(pieces) == snapshots[-1] == final.output_text == whole.output_text
    assert tokens(final) == tokens(whole)
    assert final.status == "completed"


def test_a_call_is_streamed(sdk: OpenAI) -> None:
    with sdk.responses.stream(model=MODEL, input=JAPAN, **FORCED) as stream:
        events = list(stream)
        final = stream.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    (done,) = [event for event in events if event.type == "response.function_call_arguments.done"]
    (made,) = final.output
    assert made.type == "function_call"
    assert "".join(deltas) == done.arguments == made.arguments
    jsonschema.validate(json.loads(made.arguments), CAPITAL["parameters"])


def test_a_plain_stream_begins_and_ends_as_documented(sdk: OpenAI) -> None:
    types = [event.type for event in ask(sdk, JAPAN, stream=True)]  # type: ignore[attr-defined]
    assert types[:4] == [
        *("response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"),
    ]
    assert types[-4:] == [
        *("response.output_text.done", "response.content_part.done", "response.output_item.done"),
        "response.completed",
    ]
    assert set(types[4:-4]) == {"response.output_text.delta"}


# ---------------------------------------------------------------- forms and tools


def test_parse_gives_an_object_of_the_users_class(sdk: OpenAI) -> None:
    answer = sdk.responses.parse(model=MODEL, input="Describe Japan.", text_format=Place, max_output_tokens=200)
    assert isinstance(answer.output_parsed, Place)


def test_a_stream_is_parsed_too(sdk: OpenAI) -> None:
    with sdk.responses.stream(model=MODEL, input="Describe Japan.", text_format=Place) as stream:
        final = stream.get_final_response()
    assert isinstance(final.output_parsed, Place)


def test_a_whole_round_with_a_tool(sdk: OpenAI) -> None:
    """Once with the items sent back, once by the id of the response that made the call."""
    first = ask(sdk, JAPAN, **FORCED)
    made = call(first)
    assert made.name == "get_capital"
    jsonschema.validate(json.loads(made.arguments), CAPITAL["parameters"])
    assert made.call_id != made.id
    result = {"type": "function_call_output", "call_id": made.call_id, "output": "Tokyo"}
    sent = ask(sdk, [{"role": "user", "content": JAPAN}, *(one.to_dict() for one in first.output), result])
    referred = ask(sdk, [result], previous_response_id=first.id)
    assert "Tokyo" in sent.output_text
    assert referred.output_text == sent.output_text
    assert tokens(referred) == tokens(sent)


def test_a_tool_of_the_users_class(sdk: OpenAI) -> None:
    """`pydantic_function_tool` and `parse`, which fills in `parsed_arguments`."""
    tool: Any = openai.pydantic_function_tool(Place, name="describe")["function"] | {"type": "function"}
    answer = sdk.responses.parse(model=MODEL, input="Describe Japan.", tools=[tool], tool_choice="required")
    for one in answer.output:
        assert one.type == "function_call"
        Place.model_validate_json(one.arguments)


# ---------------------------------------------------------------- what the server keeps


def test_turns_are_kept_and_branch(sdk: OpenAI) -> None:
    first = ask(sdk, JAPAN)
    second = ask(sdk, PERU, previous_response_id=first.id)
    assert second.previous_response_id == first.id
    items: list[Any] = [
        {"role": "user", "content": JAPAN},
        {"role": "assistant", "content": TOKYO},
        {"role": "user", "content": PERU},
    ]
    sent = ask(sdk, items)
    assert tokens(second) == tokens(sent)
    assert second.output_text == sent.output_text
    other = ask(sdk, PERU, previous_response_id=first.id)
    assert other.id != second.id
    assert other.output_text == second.output_text


def test_a_kept_response_comes_back_and_goes(sdk: OpenAI) -> None:
    answer = ask(sdk, [{"role": "user", "content": JAPAN}, {"role": "user", "content": PERU}], metadata={"a": "b"})
    again = sdk.responses.retrieve(answer.id)
    assert again.to_dict() == answer.to_dict()
    texts = [item.content[0].text for item in sdk.responses.input_items.list(answer.id, order="asc", limit=1)]  # type: ignore[union-attr]
    assert texts == [JAPAN, PERU]  # in pages of one
    sdk.responses.delete(answer.id)
    for gone in (sdk.responses.retrieve, sdk.responses.delete):
        with pytest.raises(openai.NotFoundError):
            gone(answer.id)
    with pytest.raises(openai.BadRequestError) as caught:
        ask(sdk, PERU, previous_response_id=answer.id)
    assert caught.value.param == "previous_response_id"


def test_what_is_not_to_be_stored_is_not(sdk: OpenAI) -> None:
    answer = ask(sdk, JAPAN, store=False)
    assert answer.output_text == TOKYO
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(answer.id)


def test_a_stranger_sees_what_never_was(sdk: OpenAI, server: LiveServer) -> None:
    answer = ask(sdk, JAPAN)
    server.command("accounts", "create", "stranger to responses", "--unmetered")
    stranger = sdk.with_options(api_key=server.command("keys", "create", "--account", "stranger to responses"))
    said = []
    for name in (answer.id, "resp_" + "0" * 48):
        with pytest.raises(openai.NotFoundError) as caught:
            stranger.responses.retrieve(name)
        said.append((caught.value.code, caught.value.message.replace(name, "…")))
    assert said[0] == said[1]


def test_a_conversation_holds_its_turns(sdk: OpenAI) -> None:
    kept = sdk.conversations.create(metadata={"topic": "capitals"}, items=[{"role": "user", "content": "Hello."}])
    assert kept.id.startswith("conv_")
    first = ask(sdk, JAPAN, conversation=kept.id)
    assert first.conversation is not None
    assert first.conversation.id == kept.id
    ask(sdk, PERU, conversation=kept.id)
    items = list(sdk.conversations.items.list(kept.id, order="asc", limit=2))
    assert [getattr(item, "role", None) for item in items] == ["user", "user", "assistant", "user", "assistant"]
    last = items[-1]
    assert last.id is not None
    assert sdk.conversations.items.retrieve(last.id, conversation_id=kept.id) == last
    sdk.conversations.items.delete(last.id, conversation_id=kept.id)
    assert len(list(sdk.conversations.items.list(kept.id))) == 4
    assert sdk.conversations.update(kept.id, metadata={"topic": "none"}).metadata == {"topic": "none"}
    assert sdk.conversations.retrieve(kept.id).metadata == {"topic": "none"}
    assert sdk.conversations.delete(kept.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        sdk.conversations.retrieve(kept.id)


# ---------------------------------------------------------------- in the background


def finished(sdk: OpenAI, name: str) -> Response:
    def done() -> Response | None:
        answer = sdk.responses.retrieve(name)
        return None if answer.status in ("queued", "in_progress") else answer

    answer = until(done, "the background is done", within=60, every=0.1)
    assert answer is not None
    return answer


def test_work_in_the_background_is_fetched_later(sdk: OpenAI) -> None:
    begun = ask(sdk, JAPAN, background=True)
    assert begun.status in ("queued", "in_progress")
    assert begun.background is True
    assert finished(sdk, begun.id).output_text == TOKYO


def test_a_stream_from_the_background_is_taken_up_again(sdk: OpenAI) -> None:
    """The client hangs up after a few events; the work goes on, and each later event comes once."""
    seen: list[ResponseStreamEvent] = []
    with ask(sdk, JAPAN, background=True, stream=True) as stream:  # type: ignore[attr-defined]
        for event in stream:
            seen.append(event)
            if len(seen) == 4:
                break
    name = seen[0].response.id  # type: ignore[union-attr]
    rest = list(sdk.responses.retrieve(name, stream=True, starting_after=seen[-1].sequence_number))
    assert [event.sequence_number for event in (*seen, *rest)] == list(range(len(seen) + len(rest)))
    assert rest[-1].type == "response.completed"
    text = "".join(event.delta for event in (*seen, *rest) if event.type == "response.output_text.delta")
    assert text == rest[-1].response.output_text == TOKYO
    replayed = list(sdk.responses.retrieve(name, stream=True))
    assert [event.to_dict() for event in replayed[len(seen) :]] == [event.to_dict() for event in rest]


def test_work_in_the_background_is_cancelled(sdk: OpenAI, server: LiveServer) -> None:
    model = "smollm2-135m-instruct"
    begun = ask(sdk, JAPAN, background=True, max_output_tokens=4000, extra_body=ENDLESS)
    until(lambda: sdk.responses.retrieve(begun.id).status == "in_progress", "it runs", within=30)
    cancelled = sdk.responses.cancel(begun.id)
    assert cancelled.status == "cancelled"
    until(lambda: server.running(model) == 0, "nothing runs any more", within=10)
    assert sdk.responses.retrieve(begun.id).status == "cancelled"
    assert sdk.responses.cancel(begun.id).status == "cancelled", "again: nothing changes"


def test_a_client_that_hangs_up_ends_the_work(sdk: OpenAI, server: LiveServer) -> None:
    with ask(sdk, JAPAN, stream=True, max_output_tokens=4000, extra_body=ENDLESS) as stream:  # type: ignore[attr-defined]
        next(iter(stream))
    until(lambda: server.running("smollm2-135m-instruct") == 0, "nothing runs any more", within=10)


# ---------------------------------------------------------------- errors and the asynchronous client


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"model": "no/such"}, openai.NotFoundError, None),
        ({"temperature": 5}, openai.BadRequestError, "temperature"),
        ({"input": []}, openai.BadRequestError, "input"),
        ({"tools": [{"type": "web_search"}]}, openai.BadRequestError, "tools[0].type"),
        ({"previous_response_id": "resp_none"}, openai.BadRequestError, "previous_response_id"),
        ({"background": True, "store": False}, openai.BadRequestError, "store"),
        ({"conversation": "conv_none"}, openai.NotFoundError, None),
    ],
)
def test_refusals_are_the_sdks_own(
    sdk: OpenAI, fields: dict[str, Any], error: type[openai.APIStatusError], param: str | None
) -> None:
    body: dict[str, Any] = {"model": MODEL, "input": JAPAN} | fields
    with pytest.raises(error) as caught:
        sdk.responses.create(**body)
    if param is not None:
        assert caught.value.param == param


@pytest.mark.anyio
async def test_the_asynchronous_client(server: LiveServer) -> None:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, timeout=100) as sdk:
        first = await sdk.responses.create(model=MODEL, input=JAPAN, temperature=0)
        assert first.output_text == TOKYO
        async with sdk.responses.stream(
            model=MODEL, input=PERU, previous_response_id=first.id, temperature=0, max_output_tokens=40
        ) as stream:
            events = [event async for event in stream]
            second = await stream.get_final_response()
        assert [event.sequence_number for event in events] == list(range(len(events)))
        again = await sdk.responses.retrieve(second.id)
        assert again.output_text == second.output_text
        items = [item async for item in sdk.responses.input_items.list(second.id)]
        assert items
        parsed = await sdk.responses.parse(model=MODEL, input="Describe Japan.", text_format=Place)
        assert isinstance(parsed.output_parsed, Place)
