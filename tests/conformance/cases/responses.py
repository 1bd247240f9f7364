"""Responses. POST /v1/responses, answered whole."""

import time
from typing import Any

from tests.conformance.asks import QUESTION, SCHEMA, obeys, user
from tests.conformance.case import case
from tests.conformance.expect import among, equal, error, ok, refused_or_ok, that
from tests.conformance.response_asks import (
    calls,
    flat_tool,
    messages,
    prompt_tokens,
    respond,
    responded,
    response_body,
    said,
)
from tests.conformance.target import Target

ASK = "Describe Japan by the function."
NAMED = {"type": "function", "name": "describe"}
ROOM = 60
HOSTED: tuple[dict[str, Any], ...] = (
    {"type": "web_search"},
    {"type": "file_search", "vector_store_ids": ["vs_1"]},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation"},
    {"type": "mcp", "server_label": "a", "server_url": "http://127.0.0.1:9/"},
)


@case("OpenAI", needs="chat")
def form(target: Target) -> None:
    """The answer is a `response` with every field of the SDK's type, and none of another type."""
    value = responded(target)
    that(value.id.startswith("resp_"), f"the id is {value.id}")
    that(abs(time.time() - value.created_at) < 600, f"created_at is {value.created_at}, not this time in seconds")
    among(value.status, ("completed", "incomplete"), "status")
    equal(value.model, target.model("chat"), "model")


@case("OpenAI", needs="chat")
def keys(target: Target) -> None:
    """Fields that have no value are null, not absent: `error`, `incomplete_details`, `instructions` and more."""
    body = ok(respond(target, stop=["."])).json()
    nulls = ("error", "instructions", "previous_response_id", "max_tool_calls")
    missing = [name for name in (*nulls, "incomplete_details", "metadata", "tools", "usage") if name not in body]
    that(not missing, f"missing: {', '.join(missing)}")
    equal([body[name] for name in nulls], [None] * len(nulls), f"{', '.join(nulls)}")
    equal((body["metadata"], body["tools"], body["tool_choice"]), ({}, [], "auto"), "metadata, tools, tool_choice")


@case("OpenAI", needs="chat")
def message(target: Target) -> None:
    """The answer is a message of role assistant with an id of its own and one part `output_text`."""
    found = messages(responded(target))
    equal(len(found), 1, "the number of messages")
    that(found[0].id.startswith("msg_"), f"the message's id is {found[0].id}")
    equal([part.type for part in found[0].content], ["output_text"], "the parts")


@case("OpenAI", needs="chat")
def usage(target: Target) -> None:
    """`usage` has input, output and cached tokens, and sums up."""
    found = responded(target).usage
    that(found is not None, "no usage")
    if found is not None:
        that(found.input_tokens > 0 and 0 < found.output_tokens <= 16, f"usage is {found}")
        equal(found.total_tokens, found.input_tokens + found.output_tokens, "total_tokens")


@case("OpenAI", needs="chat")
def as_a_chat(target: Target) -> None:
    """The same words are read as those of a chat, and answered alike."""
    body = {"model": target.model("chat"), "messages": [user(QUESTION)], "max_tokens": 16, "temperature": 0}
    chat = ok(target.post("/chat/completions", body)).json()
    value = responded(target)
    equal(prompt_tokens(value), chat["usage"]["prompt_tokens"], "input_tokens")
    equal(said(value), chat["choices"][0]["message"]["content"], "the text")


@case("OpenAI", needs="chat")
def inputs(target: Target) -> None:
    """A text, a message without type, one with a type, and one in parts are the same input."""
    forms: tuple[Any, ...] = (
        QUESTION,
        [user(QUESTION)],
        [{"type": "message", **user(QUESTION)}],
        [user([{"type": "input_text", "text": QUESTION}])],
    )
    found = [prompt_tokens(responded(target, one, max_output_tokens=16)) for one in forms]
    equal(len(set(found)), 1, f"the number of different counts among {found}")


@case("OpenAI", needs="chat")
def instructions(target: Target) -> None:
    """`instructions` is read as a system message in front, and echoed."""
    value = responded(target, instructions="Answer in German.")
    sent = responded(target, [{"role": "system", "content": "Answer in German."}, user(QUESTION)])
    equal(value.instructions, "Answer in German.", "instructions")
    equal(prompt_tokens(value), prompt_tokens(sent), "input_tokens")


@case("OpenAI", needs="chat")
def developer(target: Target) -> None:
    """The role developer is taken, as a system message."""
    counts = {
        prompt_tokens(responded(target, [{"role": role, "content": "Be short."}, user(QUESTION)]))
        for role in ("system", "developer")
    }
    equal(len(counts), 1, f"the number of different counts among {counts}")


@case("OpenAI", needs="chat")
def history(target: Target) -> None:
    """What the model said goes back as it came: output items, or a message with parts `output_text`."""
    first = ok(respond(target)).json()
    text = first["output"][-1]["content"][0]["text"]
    written = {"role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]}
    counts = {
        prompt_tokens(responded(target, [user(QUESTION), *said_before, user("And of Peru?")]))
        for said_before in (first["output"], [written], [{"role": "assistant", "content": text}])
    }
    equal(len(counts), 1, f"the number of different counts among {counts}")


@case("OpenAI", needs="chat")
def unknown_item(target: Target) -> None:
    """An item of a type that nobody knows: 400 that names it."""
    that(
        (error(respond(target, [{"type": "poem"}]), 400).param or "").startswith("input[0]"), "the error names no item"
    )


@case("OpenAI", needs="chat")
def unknown_part(target: Target) -> None:
    """A part of a type that nobody knows: 400 that names it."""
    found = error(respond(target, [user([{"type": "text", "text": "Hello"}, {"type": "poem"}])]), 400)
    that((found.param or "").startswith("input[0].content["), f"the error's param is {found.param}")


@case("OpenAI", needs="chat")
def unknown_reference(target: Target) -> None:
    """An `item_reference` to nothing: 400 or 404 that names it."""
    found = error(respond(target, [{"type": "item_reference", "id": "msg_none"}, user(QUESTION)]), (400, 404))
    that("input[0]" in (found.param or "") or "msg_none" in found.message, f"the error names nothing: {found.message}")


@case("OpenAI", needs="chat")
def limit(target: Target) -> None:
    """A limit that cuts the answer makes it `incomplete`, with the reason max_output_tokens."""
    value = responded(target, "Tell me a story.", max_output_tokens=16)
    equal(value.status, "incomplete", "status")
    equal(value.incomplete_details and value.incomplete_details.reason, "max_output_tokens", "the reason")
    equal(value.max_output_tokens, 16, "max_output_tokens")
    equal(messages(value)[-1].status, "incomplete", "the message's status")


@case("OpenAI", needs="chat")
def metadata(target: Target) -> None:
    """`metadata` is echoed; more than 16 pairs, or a value that is no text, is 400."""
    equal(responded(target, metadata={"a": "b"}).metadata, {"a": "b"}, "metadata")
    error(respond(target, metadata={f"k{number}": "v" for number in range(17)}), 400)
    error(respond(target, metadata={"a": 5}), 400)


@case("OpenAI", needs="chat")
def json_schema(target: Target) -> None:
    """`text.format` of type json_schema, whose fields lie at its own level, holds the answer to the schema."""
    form = {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}
    value = responded(target, "Describe Japan.", text={"format": form}, max_output_tokens=ROOM)
    obeys(said(value), SCHEMA)
    equal(value.text and value.text.format and value.text.format.type, "json_schema", "text.format.type")


@case("OpenAI", needs="chat")
def schema_without_name(target: Target) -> None:
    """A json_schema without `name` or `schema`: 400 that names it."""
    for left, named in ({"schema": SCHEMA}, "name"), ({"name": "place"}, "schema"):
        found = error(respond(target, text={"format": {"type": "json_schema", **left}}), 400)
        that((found.param or "").startswith("text.format"), f"the error's param is {found.param} for {named}")


@case("OpenAI", needs="chat")
def unknown_format(target: Target) -> None:
    """A format that nobody knows: 400 that names it."""
    that(
        (error(respond(target, text={"format": {"type": "xml"}}), 400).param or "").startswith("text"), "it names none"
    )


@case("OpenAI", needs="chat")
def function_call(target: Target) -> None:
    """A forced function is called: an item `function_call` with an id, another `call_id`, and arguments that obey."""
    value = responded(target, ASK, tools=[flat_tool()], tool_choice=NAMED, max_output_tokens=ROOM)
    (made,) = calls(value)
    equal((made.name, made.status), ("describe", "completed"), "name and status")
    that(made.id and made.call_id and made.id != made.call_id, f"ids {made.id} and {made.call_id}")
    obeys(made.arguments, SCHEMA, "the arguments")
    equal(value.status, "completed", "status")


@case("OpenAI", needs="chat")
def required(target: Target) -> None:
    """`required` calls one of the tools; with parallel_tool_calls false exactly one."""
    tools = [flat_tool(), flat_tool(name="other")]
    value = responded(
        target, ASK, tools=tools, tool_choice="required", parallel_tool_calls=False, max_output_tokens=ROOM
    )
    equal(len(calls(value)), 1, "the number of calls")
    equal((value.tool_choice, value.parallel_tool_calls), ("required", False), "tool_choice and parallel_tool_calls")


@case("OpenAI", needs="chat")
def no_call(target: Target) -> None:
    """`none` calls nothing."""
    value = responded(target, ASK, tools=[flat_tool()], tool_choice="none")
    that(all(item.type != "function_call" for item in value.output), "there are calls")


@case("OpenAI", needs="chat")
def allowed_tools(target: Target) -> None:
    """`tool_choice` of type allowed_tools narrows the tools."""
    choice = {"type": "allowed_tools", "mode": "required", "tools": [NAMED]}
    tools = [flat_tool(name="other"), flat_tool()]
    value = responded(target, ASK, tools=tools, tool_choice=choice, max_output_tokens=ROOM, parallel_tool_calls=False)
    equal([made.name for made in calls(value)], ["describe"], "the names")


@case("OpenAI", needs="chat")
def unknown_function(target: Target) -> None:
    """A `tool_choice` of a function that is not among the tools: 400 that names it."""
    found = error(respond(target, tools=[flat_tool()], tool_choice={"type": "function", "name": "none"}), 400)
    that((found.param or "").startswith("tool_choice"), f"the error's param is {found.param}")


@case("OpenAI", needs="chat")
def tools_of_chats(target: Target) -> None:
    """A tool as chats have it, with its fields in `function`, is refused by name, or understood."""
    nested = {"type": "function", "function": {"name": "describe", "parameters": SCHEMA}}
    refused_or_ok(respond(target, ASK, tools=[nested]), "tools[0]")


@case("OpenAI", needs="chat")
def hosted_tools(target: Target) -> None:
    """Tools that OpenAI hosts are served, or refused by name: never taken and ignored."""
    for tool in HOSTED:
        answer = respond(target, ASK, tools=[tool])
        if answer.status != 200:
            found = error(answer, 400)
            that("tools[0]" in (found.param or ""), f"the error for {tool['type']} has the param {found.param}")


@case("OpenAI", needs="chat")
def call_output(target: Target) -> None:
    """The result of a call, as text or as parts, is read with the call that it answers."""
    made = {"type": "function_call", "call_id": "call_1", "name": "describe", "arguments": '{"country": "Japan"}'}
    counts = []
    for output in ("Tokyo is large.", [{"type": "input_text", "text": "Tokyo is large."}]):
        result = {"type": "function_call_output", "call_id": "call_1", "output": output}
        counts.append(prompt_tokens(responded(target, [user(ASK), made, result], tools=[flat_tool()])))
    equal(counts[0], counts[1], "input_tokens of both")
    that(counts[0] > prompt_tokens(responded(target, [user(ASK)], tools=[flat_tool()])), "they count nothing")


@case("OpenAI", needs="chat")
def reasoning_item(target: Target) -> None:
    """An item `reasoning` of an earlier answer is taken back."""
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    responded(target, [user(QUESTION), item, {"role": "assistant", "content": "Tokyo."}, user("And of Peru?")])


@case("OpenAI", needs="chat")
def logprobs(target: Target) -> None:
    """`include` of message.output_text.logprobs gives those of each token; otherwise there are none."""
    wanted = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    (part,) = messages(responded(target, **wanted))[0].content
    that(part.type == "output_text" and part.logprobs, "no logprobs")
    if part.type == "output_text":
        equal({len(one.top_logprobs) for one in part.logprobs or ()}, {2}, "the numbers of top_logprobs")
    (part,) = messages(responded(target))[0].content
    that(part.type == "output_text" and not part.logprobs, "logprobs that nobody asked for")


@case("OpenAI", needs="chat")
def unknown_include(target: Target) -> None:
    """An `include` of something that nobody knows: 400 that names it."""
    that((error(respond(target, include=["message.poem"]), 400).param or "").startswith("include"), "it names none")


@case("OpenAI", needs="chat")
def truncation(target: Target) -> None:
    """`disabled`, the default: what does not fit is 400, context_length_exceeded. Another word: 400."""
    long = "word " * 40_000
    found = error(respond(target, long), 400, code="context_length_exceeded")
    that((found.param or "").startswith("input"), f"the error's param is {found.param}")
    error(respond(target, truncation="some"), 400, param="truncation")


@case("OpenAI", needs="chat")
def truncated(target: Target) -> None:
    """`auto` drops items from the beginning until the rest fits."""
    value = responded(target, [user("word " * 40_000), user(QUESTION)], truncation="auto")
    equal(value.truncation, "auto", "truncation")
    that(prompt_tokens(value) < 40_000, "nothing was dropped")


@case("OpenAI", needs="chat")
def accepted(target: Target) -> None:
    """Fields that only steer OpenAI's own service are taken; those that nobody knows are ignored; nulls are absent."""
    steering = {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "service_tier": "auto"}
    nulls = dict.fromkeys(("instructions", "tools", "tool_choice", "reasoning", "text", "metadata", "include", "top_p"))
    value = responded(target, **steering, **nulls, not_yet_known=[1])
    equal((value.safety_identifier, value.prompt_cache_key), ("s", "k"), "safety_identifier and prompt_cache_key")


@case("OpenAI", needs="chat")
def prompt_template(target: Target) -> None:
    """`prompt`, a template that OpenAI keeps: 400 that names it."""
    error(respond(target, prompt={"id": "pmpt_1"}), 400, param="prompt")


@case("OpenAI", needs="chat")
def no_model(target: Target) -> None:
    """Without model: 400 with param `model`."""
    error(respond(target, model=...), 400, param="model")


@case("OpenAI", needs="chat")
def unknown_model(target: Target) -> None:
    """An unknown model: 404 with code model_not_found."""
    error(respond(target, model="no/such"), 404, code="model_not_found")


@case("OpenAI", needs="chat")
def no_input(target: Target) -> None:
    """Without input: 400 with param `input`."""
    error(respond(target, input=...), 400, param="input")


def _out_of_range(name: str, value: Any) -> None:
    def check(target: Target) -> None:
        error(respond(target, **{name: value}), 400, param=name)

    check.__name__ = f"wrong_{name}"
    check.__doc__ = f"`{name}` of {value!r}: 400 that names it."
    case("OpenAI", needs="chat")(check)


_out_of_range("temperature", 5)
_out_of_range("top_p", 2)
_out_of_range("max_output_tokens", 0)
_out_of_range("top_logprobs", 21)
_out_of_range("input", 5)
_out_of_range("stream", {})
_out_of_range("tools", {})
_out_of_range("store", {})
_out_of_range("instructions", 5)


@case("OpenAI", needs="chat")
def input_tokens(target: Target) -> None:
    """POST /v1/responses/input_tokens counts what a response would read, and generates nothing."""
    body = response_body(target, max_output_tokens=..., temperature=..., instructions="Be short.", tools=[flat_tool()])
    counted = ok(target.post("/responses/input_tokens", body)).json()
    equal(counted.get("object"), "response.input_tokens", "object")
    equal(counted["input_tokens"], prompt_tokens(responded(target, **{**body, "asked": body["input"]})), "input_tokens")


@case("sagehold", needs="mode")
def quality(target: Target) -> None:
    """`quality` chooses a mode, as in chats; `usage.quality` says what was done."""
    body = ok(respond(target, quality="low")).json()
    equal(body["usage"]["quality"]["mode"], "low", "the mode")
    error(respond(target, quality="best"), 400, param="quality")
