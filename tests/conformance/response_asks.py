"""Requests to /v1/responses that many cases make, and what is always asked of their answers."""

import json
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, get_args

from openai.types.responses import Response, ResponseFunctionToolCall, ResponseOutputMessage, ResponseStreamEvent

from tests.conformance.asks import QUESTION, SCHEMA
from tests.conformance.case import Failed
from tests.conformance.expect import equal, ok, that
from tests.conformance.sse import DONE, Event
from tests.conformance.target import Answer, Target

PATIENCE = 120.0
"""Seconds until work in the background, or a batch, must have come to its end."""


def response_body(target: Target, asked: Any = QUESTION, **fields: Any) -> dict[str, Any]:
    """A greedy response of 16 tokens, unless the fields say otherwise; `...` leaves a field out."""
    body = {"model": target.model("chat"), "input": asked, "max_output_tokens": 16, "temperature": 0} | fields
    return {name: value for name, value in body.items() if value is not ...}


def respond(target: Target, asked: Any = QUESTION, **fields: Any) -> Answer:
    return target.post("/responses", response_body(target, asked, **fields))


def responded(target: Target, asked: Any = QUESTION, **fields: Any) -> Response:
    """The response, strictly as the SDK declares it. Raises Failed unless it is a 200."""
    return read_response(target, respond(target, asked, **fields))


def read_response(target: Target, answer: Answer) -> Response:
    value: Response = target.strict(Response, ok(answer).raw)
    return value


def messages(value: Response) -> list[ResponseOutputMessage]:
    return [item for item in value.output if isinstance(item, ResponseOutputMessage)]


def said(value: Response) -> str:
    """The text of the messages."""
    return value.output_text


def calls(value: Response) -> list[ResponseFunctionToolCall]:
    found = [item for item in value.output if isinstance(item, ResponseFunctionToolCall)]
    that(found, f"no function_call; the output is {[item.type for item in value.output]}")
    return found


def flat_tool(schema: Any = SCHEMA, name: str = "describe", **more: Any) -> dict[str, Any]:
    """A function as this route has it: its fields lie in the tool itself."""
    return {"type": "function", "name": name, "description": "Describe a country.", "parameters": schema, **more}


def prompt_tokens(value: Response) -> int:
    if value.usage is None:
        raise Failed("no usage")
    return value.usage.input_tokens


# ---------------------------------------------------------------- streams


@cache
def event_types() -> dict[str, Any]:
    """The SDK's event by its `type`."""
    members = get_args(get_args(ResponseStreamEvent)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


def response_events(target: Target, answer: Answer) -> list[Any]:
    """Each event strictly as the SDK declares it; their names are their types, their numbers have no gap, no [DONE]."""
    return [read_event(target, event) for event in numbered(ok(answer).events())]


def numbered(events: Sequence[Event], first: int = 0) -> Sequence[Event]:
    that(events, "the stream is empty")
    that(all(event.data != DONE for event in events), "the stream has a [DONE], which this route does not send")
    found = [event.json().get("sequence_number") for event in events]
    equal(found, list(range(first, first + len(events))), "the sequence numbers")
    return events


def read_event(target: Target, event: Event) -> Any:
    kind = event.json().get("type")
    equal(event.name, kind, "the event's name")
    if kind not in event_types():
        raise Failed(f"the SDK knows no event {kind}")
    return target.strict(event_types()[kind], event.data, f"the event {kind}")


def streamed_events(target: Target, asked: Any = QUESTION, **fields: Any) -> list[Any]:
    return response_events(target, respond(target, asked, stream=True, **fields))


# ---------------------------------------------------------------- what takes its time


def waited(look: Callable[[], Any], done: Callable[[Any], bool], what: str) -> Any:
    """What `look` returns once it is `done`. Raises Failed where it isn't in time."""
    deadline = time.monotonic() + PATIENCE
    while not done(found := look()):
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not come within {PATIENCE:g} s: {json.dumps(found)[:120]}")
        time.sleep(0.05)
    return found


def finished(target: Target, name: str) -> dict[str, Any]:
    """A response once nothing works on it any more."""

    def look() -> dict[str, Any]:
        body: dict[str, Any] = ok(target.get(f"/responses/{name}")).json()
        return body

    found: dict[str, Any] = waited(look, lambda one: one["status"] not in ("queued", "in_progress"), "its end")
    return found
