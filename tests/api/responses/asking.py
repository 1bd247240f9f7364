"""Asking for responses over fakes, and reading the events of their streams."""

import json
import re
from typing import Any

import httpx
from openai.types.responses import Response, ResponseStreamEvent
from openresponses_types import types as spec
from pydantic import BaseModel, TypeAdapter

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ID = re.compile(r"(resp|msg|rs|fc|fco|call)_[0-9a-f]{48}")

SPEC_EVENTS: dict[str, type[BaseModel]] = {
    "response.created": spec.ResponseCreatedStreamingEvent,
    "response.in_progress": spec.ResponseInProgressStreamingEvent,
    "response.completed": spec.ResponseCompletedStreamingEvent,
    "response.incomplete": spec.ResponseIncompleteStreamingEvent,
    "response.failed": spec.ResponseFailedStreamingEvent,
    "response.output_item.added": spec.ResponseOutputItemAddedStreamingEvent,
    "response.output_item.done": spec.ResponseOutputItemDoneStreamingEvent,
    "response.content_part.added": spec.ResponseContentPartAddedStreamingEvent,
    "response.content_part.done": spec.ResponseContentPartDoneStreamingEvent,
    "response.output_text.delta": spec.ResponseOutputTextDeltaStreamingEvent,
    "response.output_text.done": spec.ResponseOutputTextDoneStreamingEvent,
    "response.function_call_arguments.delta": spec.ResponseFunctionCallArgumentsDeltaStreamingEvent,
    "response.function_call_arguments.done": spec.ResponseFunctionCallArgumentsDoneStreamingEvent,
    "error": spec.ErrorStreamingEvent,
}
"""The reasoning's events have other names in the specification than in the API: those of the API are sent."""


async def ask(client: httpx.AsyncClient, given: Any = "hello there", **body: Any) -> httpx.Response:
    return await client.post("/v1/responses", json={"model": "everything", "input": given, **body})


async def answered(client: httpx.AsyncClient, given: Any = "hello there", **body: Any) -> dict[str, Any]:
    """The response, whose shape is looked at."""
    answer = await ask(client, given, **body)
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()
    check(response)
    return response


async def streamed(client: httpx.AsyncClient, given: Any = "hello there", **body: Any) -> list[dict[str, Any]]:
    """The events, each of whose shapes is looked at."""
    answer = await ask(client, given, stream=True, **body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events_of(answer.text)


def events_of(text: str) -> list[dict[str, Any]]:
    events = []
    assert text.endswith("\n\n")
    for frame in text.removesuffix("\n\n").split("\n\n"):
        if frame.startswith(":"):
            continue
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        check_event(event)
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def check(response: dict[str, Any]) -> None:
    """Fail unless the response is one by the SDK's types and by the specification's."""
    Response.model_validate(response)
    text = response["text"]
    if text["format"]["type"] == "json_schema":  # of which the specification's types say that it has no schema
        text = {**text, "format": {**text["format"], "schema": None}}
    spec.ResponseResource.model_validate({**response, "text": text})


def check_event(event: dict[str, Any]) -> None:
    EVENTS.validate_python(event)
    if "response" in event:
        check(event["response"])
        event = {**event, "response": {**event["response"], "text": {"format": {"type": "text"}}}}
    if event["type"] in SPEC_EVENTS:
        SPEC_EVENTS[event["type"]].model_validate(event)


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


def anonymous(value: Any) -> Any:
    """With the ids in the order in which they come, and without times."""
    seen: dict[str, str] = {}
    text = ID.sub(lambda found: seen.setdefault(found[0], f"{found[1]}_{len(seen)}"), json.dumps(value, sort_keys=True))
    return json.loads(re.sub(r'"(created_at|completed_at)": \d+', r'"\1": 0', text))


def accumulated(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The output, put together from the events; what is done must be what its pieces were."""
    output: list[dict[str, Any]] = []
    done: set[int] = set()
    for event in events:
        item = output[event["output_index"]] if event.get("output_index", len(output)) < len(output) else None
        match event["type"]:
            case "response.output_item.added":
                assert event["output_index"] == len(output) == len(done), "one item at a time"
                assert event["item"]["status"] == "in_progress"
                output.append(event["item"])
            case "response.content_part.added":
                assert item is not None
                assert event["content_index"] == len(item["content"])
                item["content"].append(event["part"])
            case "response.output_text.delta" | "response.reasoning_text.delta":
                assert item is not None
                assert item["id"] == event["item_id"]
                part = item["content"][event["content_index"]]
                part["text"] += event["delta"]
                if "logprobs" in event:
                    part["logprobs"] += event["logprobs"]
            case "response.function_call_arguments.delta":
                assert item is not None
                assert item["id"] == event["item_id"]
                item["arguments"] += event["delta"]
            case "response.output_text.done" | "response.reasoning_text.done":
                assert item is not None
                assert item["content"][event["content_index"]]["text"] == event["text"]
            case "response.content_part.done":
                assert item is not None
                assert item["content"][event["content_index"]] == event["part"]
            case "response.function_call_arguments.done":
                assert item is not None
                assert (item["arguments"], item["name"]) == (event["arguments"], event["name"])
            case "response.output_item.done":
                assert item is not None
                assert {**item, "status": event["item"]["status"]} == event["item"]
                output[event["output_index"]] = event["item"]
                done.add(event["output_index"])
    assert done == set(range(len(output)))
    return output
