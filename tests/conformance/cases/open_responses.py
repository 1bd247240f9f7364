"""Open Responses. Its compliance cases in words of our own: every answer is as the specification's types say."""

import base64
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from openresponses_types import types
from openresponses_types.types import ResponseResource

from tests.conformance.asks import SCHEMA, obeys, user
from tests.conformance.case import Failed, case
from tests.conformance.cases.vision import picture
from tests.conformance.expect import equal, ok, that
from tests.conformance.response_asks import flat_tool
from tests.conformance.sse import DONE
from tests.conformance.strict import strictly
from tests.conformance.target import Answer, Target

JAPAN = "What is the capital of Japan?"
ENOUGH = 256
"""Tokens of an answer. The suite sets no limit, for models that find an end."""
TRIES = 3
ASKED_OF_TOOL = "Describe Japan by the function."
Rows = list[dict[str, Any]]


def asked(target: Target, given: Any, **fields: Any) -> Answer:
    """As the suite asks: `stream` said either way."""
    body = {"model": target.model("chat"), "input": given, "stream": False, "temperature": 0} | fields
    return ok(target.post("/responses", body))


def resource(raw: bytes | str) -> dict[str, Any]:
    """A ResponseResource, strictly as the specification's types say, with something in its output."""
    value: ResponseResource = strictly(ResponseResource, raw, "the response")
    that(value.output, "the output is empty")
    return value.model_dump(mode="json")


def tries() -> Iterator[dict[str, Any]]:
    """Fields to ask by, again and again while the model finds no end: greedy, a small one may say the same for ever."""
    yield {}
    for seed in range(1, TRIES):
        yield {"temperature": 0.7, "seed": seed}


def whole(found: dict[str, Any], again: bool) -> bool:
    """Whether the response is completed. One that the model did not end is to be asked for again, if it may be."""
    if again and found["status"] == "incomplete" and found["incomplete_details"] == {"reason": "max_output_tokens"}:
        return False
    equal(found["status"], "completed", "status")
    return True


def completed(target: Target, given: Any, **fields: Any) -> dict[str, Any]:
    """The response to it, which is completed."""
    for number, more in enumerate(tries(), 1):
        found = resource(asked(target, given, max_output_tokens=ENOUGH, **fields, **more).raw)
        if whole(found, again=number < TRIES):
            return found
    raise AssertionError("the last of the tries ends it")


@cache
def event_types() -> dict[str, Any]:
    """The specification's events by their `type`."""
    found = [value for name, value in vars(types).items() if name.endswith("StreamingEvent")]
    return {next(iter(one.model_fields["type"].annotation)).value: one for one in found}


def events_of(answer: Answer) -> Rows:
    """Each event is strictly as the specification's types say."""
    found = []
    for event in answer.events():
        if event.data == DONE:
            continue
        body = event.json()
        if body.get("type") not in event_types():
            raise Failed(f"the specification knows no event {body.get('type')}")
        strictly(event_types()[body["type"]], event.data, f"the event {body['type']}")
        found.append(body)
    that(found, "the stream is empty")
    return found


def last_response(events: Rows) -> dict[str, Any]:
    ends = [one for one in events if one["type"] in ("response.completed", "response.failed", "response.incomplete")]
    equal(len(ends), 1, "the number of events that end a response")
    found: dict[str, Any] = ends[0]["response"]
    return found


def calls(found: dict[str, Any]) -> Rows:
    rows = [item for item in found["output"] if item["type"] == "function_call"]
    that(rows, f"no function_call; the output is {[item['type'] for item in found['output']]}")
    return rows


@case("Open Responses", needs="chat")
def basic(target: Target) -> None:
    """Basic: a message is answered by a completed ResponseResource."""
    completed(target, [{"type": "message", **user(JAPAN)}])


@case("Open Responses", needs="chat")
def streaming(target: Target) -> None:
    """Streaming: every event is one of the specification's, and the last has a completed response."""
    for number, more in enumerate(tries(), 1):
        given = [{"type": "message", **user(JAPAN)}]
        found = last_response(events_of(asked(target, given, stream=True, max_output_tokens=ENOUGH, **more)))
        strictly(ResponseResource, json.dumps(found), "the last response")
        if whole(found, again=number < TRIES):
            return


@case("Open Responses", needs="chat")
def system_prompt(target: Target) -> None:
    """System prompt: a message of role system among the items."""
    system = {"type": "message", "role": "system", "content": "You are a helpful assistant. Answer in one sentence."}
    completed(target, [system, {"type": "message", **user(JAPAN)}])


@case("Open Responses", needs="chat")
def tool_calling(target: Target) -> None:
    """Tool calling: a function tool is called by an item function_call. (It must be: small models choose badly.)"""
    answer = asked(target, [{"type": "message", **user(ASKED_OF_TOOL)}], tools=[flat_tool()], tool_choice="required")
    for call in calls(resource(answer.raw)):
        equal(call["name"], "describe", "the name")
        obeys(call["arguments"], SCHEMA, "the arguments")


@case("Open Responses", needs="chat")
def streaming_tool_calling(target: Target) -> None:
    """Streaming tool calling: the item is added, its arguments come as deltas and whole, the item is done."""
    given = [{"type": "message", **user(ASKED_OF_TOOL)}]
    events = events_of(asked(target, given, tools=[flat_tool()], tool_choice="required", stream=True))
    kinds = [one["type"] for one in events]
    for kind in ("response.output_item.added", "response.output_item.done"):
        items = [one["item"] for one in events if one["type"] == kind]
        that(any(item["type"] == "function_call" for item in items), f"no {kind} with a function_call")
    for kind in ("response.function_call_arguments.delta", "response.function_call_arguments.done"):
        that(kind in kinds, f"no {kind}")
    calls(last_response(events))


@case("Open Responses", needs="chat")
def round_trip(target: Target) -> None:
    """Function call round trip: the result of a call goes back behind the items of the first answer."""
    question = {"type": "message", **user(ASKED_OF_TOOL)}
    chosen = {"tools": [flat_tool()], "tool_choice": {"type": "function", "name": "describe"}}
    first = resource(asked(target, [question], **chosen).raw)
    (call,) = calls(first)
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"capital": "Tokyo"}'}
    completed(target, [question, call, result], tools=[flat_tool()], tool_choice="none")


@case("Open Responses", needs="vision")
def image_input(target: Target) -> None:
    """Image input: a picture as a data URL in a part input_image."""
    parts = [
        {"type": "input_text", "text": "Which colour is it? Answer in one word."},
        {"type": "input_image", "image_url": picture()},
    ]
    completed(target, [{"type": "message", **user(parts)}], model=target.model("vision"))


@case("Open Responses", needs="chat")
def file_input(target: Target) -> None:
    """File input: a text within a part input_file, as base64."""
    data = base64.b64encode(b"The capital of Atlantis is Poseidonis.").decode()
    parts = [
        {"type": "input_text", "text": "What is the capital of Atlantis?"},
        {"type": "input_file", "filename": "atlantis.txt", "file_data": f"data:text/plain;base64,{data}"},
    ]
    completed(target, [{"type": "message", **user(parts)}])


@case("Open Responses", needs="chat")
def multi_turn(target: Target) -> None:
    """Multi-turn: what the assistant said before is among the items."""
    said = {"type": "message", "role": "assistant", "content": "The capital of Japan is Tokyo."}
    follow = {"type": "message", **user("How many people live there?")}
    completed(target, [{"type": "message", **user(JAPAN)}, said, follow])


@case("Open Responses", needs="chat")
def previous_response(target: Target) -> None:
    """Previous response: the server keeps the turn that `previous_response_id` names."""
    first = completed(target, JAPAN)
    second = completed(target, "Say that again.", previous_response_id=first["id"])
    equal(second["previous_response_id"], first["id"], "previous_response_id")
