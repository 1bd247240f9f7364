"""Streamed responses. POST /v1/responses with `stream`."""

from openai.types.responses import Response

from tests.conformance.asks import SCHEMA, obeys
from tests.conformance.case import case
from tests.conformance.expect import equal, error, that
from tests.conformance.response_asks import calls, flat_tool, respond, responded, said, streamed_events
from tests.conformance.target import Target

OPENING = ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
CLOSING = ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
NAMED = {"type": "function", "name": "describe"}


@case("OpenAI", needs="chat")
def order(target: Target) -> None:
    """Each event is as the SDK declares it, numbered from 0 without a gap, in the documented order; no `[DONE]`."""
    kinds = [event.type for event in streamed_events(target)]
    equal(kinds[:4], OPENING, "the first events")
    equal(kinds[-4:-1], CLOSING, "the last events but one")
    that(kinds[-1] in ("response.completed", "response.incomplete"), f"the last event is {kinds[-1]}")
    equal(set(kinds[4:-4]), {"response.output_text.delta"}, "those between")


@case("OpenAI", needs="chat")
def same_text(target: Target) -> None:
    """The deltas make the text of each later event, and what comes without a stream."""
    events = streamed_events(target)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    (done,) = (event for event in events if event.type == "response.output_text.done")
    (part,) = (event for event in events if event.type == "response.content_part.done")
    (item,) = (event for event in events if event.type == "response.output_item.done")
    last: Response = events[-1].response
    equal(done.text, text, "the text of output_text.done")
    equal(part.part.text, text, "the text of content_part.done")
    equal(item.item.content[0].text, text, "the text of output_item.done")
    equal(said(last), text, "the text of the last event")
    whole = responded(target)
    equal(said(whole), text, "the text without a stream")
    counts = [one.usage and (one.usage.input_tokens, one.usage.output_tokens) for one in (whole, last)]
    equal(counts[0], counts[1], "tokens without a stream")


@case("OpenAI", needs="chat")
def pieces(target: Target) -> None:
    """A longer answer comes in more than one delta."""
    events = streamed_events(target, "Tell me a story.", max_output_tokens=32)
    that(sum(event.type == "response.output_text.delta" for event in events) > 1, "one delta")


@case("OpenAI", needs="chat")
def ids(target: Target) -> None:
    """Every event of an item has its id and its index; the response is the same in the first event and the last."""
    events = streamed_events(target)
    names = {event.item_id for event in events if hasattr(event, "item_id")}
    names |= {event.item.id for event in events if hasattr(event, "item")}
    equal(len(names), 1, f"the number of different item ids among {names}")
    equal({event.output_index for event in events if hasattr(event, "output_index")}, {0}, "the output indices")
    first, last = events[0].response, events[-1].response
    equal((last.id, last.created_at), (first.id, first.created_at), "id and created_at of the last event")
    equal((first.status, first.output, first.usage), ("in_progress", [], None), "what the first event has")


@case("OpenAI", needs="chat")
def limit(target: Target) -> None:
    """A limit that cuts the answer ends the stream with response.incomplete."""
    last = streamed_events(target, "Tell me a story.", max_output_tokens=16)[-1]
    equal(last.type, "response.incomplete", "the last event")
    equal(last.response.incomplete_details.reason, "max_output_tokens", "the reason")


@case("OpenAI", needs="chat")
def function_call(target: Target) -> None:
    """A call streams as output_item.added, deltas of its arguments, their end, output_item.done."""
    chosen = {"tools": [flat_tool()], "tool_choice": NAMED, "max_output_tokens": 60}
    events = streamed_events(target, "Describe Japan by the function.", **chosen)
    kinds = [event.type for event in events]
    equal(kinds[:3], OPENING[:3], "the first events")
    tail = ["response.function_call_arguments.done", "response.output_item.done", "response.completed"]
    equal(kinds[-3:], tail, "the last events")
    equal(set(kinds[3:-3]), {"response.function_call_arguments.delta"}, "those between")
    added = events[2].item
    equal((added.type, added.name, added.arguments), ("function_call", "describe", ""), "the item that is added")
    arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    equal(events[-3].arguments, arguments, "the whole arguments")
    (made,) = calls(events[-1].response)
    equal((made.arguments, made.call_id, made.id), (arguments, added.call_id, added.id), "the call in the last event")
    obeys(arguments, SCHEMA, "the arguments")


@case("OpenAI", needs="chat")
def logprobs(target: Target) -> None:
    """Included log-probabilities come with the deltas."""
    events = streamed_events(target, include=["message.output_text.logprobs"], top_logprobs=1)
    found = [one for event in events if event.type == "response.output_text.delta" for one in event.logprobs]
    that(found, "no logprobs")
    (done,) = (event for event in events if event.type == "response.output_text.done")
    equal([one.token for one in done.logprobs], [one.token for one in found], "the tokens of output_text.done")


@case("OpenAI", needs="chat")
def refused_before(target: Target) -> None:
    """What is refused has its status: no stream begins."""
    error(respond(target, stream=True, temperature=5), 400, param="temperature")
    error(respond(target, "word " * 40_000, stream=True), 400, code="context_length_exceeded")


@case("OpenAI", needs="chat")
def obfuscation(target: Target) -> None:
    """`stream_options.include_obfuscation` is taken; stream_options without a stream is 400, or ignored."""
    streamed_events(target, stream_options={"include_obfuscation": False})
    answer = respond(target, stream_options={"include_obfuscation": False})
    if answer.status != 200:
        error(answer, 400, param="stream_options")
