"""Tools. Functions that a chat may call, in today's form and in the older one."""

from typing import Any

from openai.types.chat import ChatCompletion

from tests.conformance.asks import SCHEMA, chat, completed, json_of, obeys, streamed, tool, user
from tests.conformance.case import Failed, case
from tests.conformance.expect import among, equal, error, refused_or_ok, that
from tests.conformance.target import Target

ASK = "Describe Japan by the function."
NAMED = {"type": "function", "function": {"name": "describe"}}
OPEN = {"type": "object", "properties": {"country": {"enum": ["Japan", "Peru"]}}, "required": ["country"]}
"""Without additionalProperties."""
ROOM = 60


def called(value: ChatCompletion) -> list[Any]:
    message = value.choices[0].message
    if not message.tool_calls:
        raise Failed(f"no tool_calls; the content is {message.content!r}")
    for call in message.tool_calls:
        that(call.id, "a call without id")
        equal(call.type, "function", "a call's type")
    ids = [call.id for call in message.tool_calls]
    equal(len(set(ids)), len(ids), "the number of different ids of the calls")
    return list(message.tool_calls)


def forced(target: Target, **fields: Any) -> ChatCompletion:
    return completed(target, ASK, **({"tools": [tool()], "tool_choice": NAMED, "max_tokens": ROOM} | fields))


@case("OpenAI", needs="chat")
def named(target: Target) -> None:
    """A named function is called: its arguments are a string of JSON that obeys the schema."""
    call = called(forced(target))[0]
    equal(call.function.name, "describe", "the name")
    obeys(call.function.arguments, SCHEMA, "the arguments")


@case("OpenAI, reports", needs="chat")
def finish_reason(target: Target) -> None:
    """An answer with calls finishes with `tool_calls`: agents stop at `stop`."""
    equal(forced(target, tool_choice="required").choices[0].finish_reason, "tool_calls", "finish_reason")


@case("OpenAI", needs="chat")
def finish_reason_of_a_named_one(target: Target) -> None:
    """A call of a named function finishes with `tool_calls`, or `stop` as OpenAI's own service has it."""
    among(forced(target).choices[0].finish_reason, ("tool_calls", "stop"), "finish_reason")


@case("OpenAI", needs="chat")
def null_content(target: Target) -> None:
    """With calls alone, `content` is null."""
    equal(forced(target).choices[0].message.content, None, "content")


@case("OpenAI", needs="chat")
def required(target: Target) -> None:
    """`required` calls one of the tools, by its own schema."""
    other = tool({"type": "object", "properties": {"n": {"type": "integer", "maximum": 9, "minimum": 0}}}, "count")
    for call in called(forced(target, tools=[tool(), other], tool_choice="required", parallel_tool_calls=False)):
        among(call.function.name, ("describe", "count"), "the name")
        json_of(call.function.arguments, "the arguments")


@case("OpenAI", needs="chat")
def none(target: Target) -> None:
    """`none` calls nothing."""
    message = completed(target, ASK, tools=[tool()], tool_choice="none").choices[0].message
    that(not message.tool_calls, "there are calls")


@case("OpenAI", needs="chat")
def auto(target: Target) -> None:
    """`auto`, and no choice at all, answer by text or by a call."""
    for choice in ("auto", ...):
        value = completed(target, ASK, tools=[tool()], tool_choice=choice, max_tokens=4)
        among(value.choices[0].finish_reason, ("stop", "length", "tool_calls"), "finish_reason")


@case("reports", needs="chat")
def bare_name(target: Target) -> None:
    """`tool_choice` may be a function's bare name."""
    equal(called(forced(target, tool_choice="describe"))[0].function.name, "describe", "the name")


@case("OpenAI", needs="chat")
def allowed_tools(target: Target) -> None:
    """`tool_choice` of type allowed_tools narrows the tools."""
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}
    other = tool(name="other")
    equal(called(forced(target, tools=[other, tool()], tool_choice=choice))[0].function.name, "describe", "the name")


@case("reports, sagehold", needs="chat")
def nothing_undeclared(target: Target) -> None:
    """Arguments have no keys that the schema does not declare, where it lacks additionalProperties."""
    found = json_of(called(forced(target, tools=[tool(OPEN)]))[0].function.arguments, "the arguments")
    equal(sorted(found), ["country"], "the keys of the arguments")


@case("OpenAI", needs="chat")
def one_at_a_time(target: Target) -> None:
    """`parallel_tool_calls: false` with `required` makes one call."""
    equal(len(called(forced(target, tool_choice="required", parallel_tool_calls=False))), 1, "the number of calls")


@case("OpenAI", needs="chat")
def without_parameters(target: Target) -> None:
    """A function without parameters is called with an object, `{}` say."""
    bare = {"type": "function", "function": {"name": "describe"}}
    equal(type(json_of(called(forced(target, tools=[bare]))[0].function.arguments)), dict, "the arguments' type")


@case("OpenAI", needs="chat")
def strict(target: Target) -> None:
    """`strict: true` is taken, and the arguments obey."""
    obeys(called(forced(target, tools=[tool(strict=True)]))[0].function.arguments, SCHEMA, "the arguments")


@case("OpenAI", needs="chat")
def custom(target: Target) -> None:
    """A custom tool is served, or refused by name."""
    given = [{"type": "custom", "custom": {"name": "poem", "description": "A poem."}}]
    refused_or_ok(chat(target, ASK, tools=given), "tools[0]", "custom")


@case("OpenAI", needs="chat")
def cut(target: Target) -> None:
    """Arguments that the limit cuts finish with `length`, not as if they were whole."""
    equal(forced(target, max_tokens=3).choices[0].finish_reason, "length", "finish_reason")


@case("OpenAI, reports", needs="chat")
def stream(target: Target) -> None:
    """In a stream the first piece of a call has index, id, type and name; later ones only the index and arguments."""
    chunks = streamed(target, ASK, tools=[tool()], tool_choice="required", parallel_tool_calls=False, max_tokens=ROOM)
    pieces = [one for chunk in chunks for choice in chunk.choices for one in choice.delta.tool_calls or ()]
    that(pieces, "no tool_calls in the stream")
    first, *later = pieces
    equal(first.index, 0, "the first piece's index")
    that(first.id, "the first piece has no id")
    equal(first.type, "function", "the first piece's type")
    equal(first.function and first.function.name, "describe", "the first piece's name")
    that(all(not one.id and not (one.function and one.function.name) for one in later), "a later piece has id or name")
    equal({one.index for one in pieces}, {0}, "the indices")
    obeys("".join((one.function and one.function.arguments) or "" for one in pieces), SCHEMA, "the arguments")
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    equal(reasons, ["tool_calls"], "the finish reasons")
    equal(chunks[0].choices[0].delta.role, "assistant", "the first chunk's role")


@case("OpenAI", needs="chat")
def history(target: Target) -> None:
    """The calls of an answer, sent back with their results, are taken with the tools."""
    message = forced(target).choices[0].message.model_dump(exclude_none=True)
    results = [{"role": "tool", "tool_call_id": one["id"], "content": "Done."} for one in message["tool_calls"]]
    completed(target, messages=[user(ASK), message, *results], tools=[tool()], max_tokens=3)


@case("OpenAI", needs="chat")
def other_result(target: Target) -> None:
    """A result for another call than was made: 400."""
    call = {"id": "call_1", "type": "function", "function": {"name": "describe", "arguments": "{}"}}
    said = [user(ASK), {"role": "assistant", "content": None, "tool_calls": [call]}]
    error(chat(target, messages=[*said, {"role": "tool", "tool_call_id": "call_2", "content": "5"}]), 400)


def legacy(target: Target, choice: Any, **fields: Any) -> Any:
    function = tool()["function"]
    return completed(target, ASK, functions=[function], function_call=choice, max_tokens=ROOM, **fields).choices[0]


@case("OpenAI", needs="chat")
def functions(target: Target) -> None:
    """`functions` with a named function_call: `message.function_call` by the schema, and no tool_calls."""
    choice = legacy(target, {"name": "describe"})
    that(choice.message.function_call, f"no function_call; the content is {choice.message.content!r}")
    equal(choice.message.function_call.name, "describe", "the name")
    obeys(choice.message.function_call.arguments, SCHEMA, "the arguments")
    that(not choice.message.tool_calls, "there are tool_calls")


@case("OpenAI", needs="chat")
def function_reason(target: Target) -> None:
    """A function_call finishes with `function_call`, or `stop` where it was named."""
    among(legacy(target, {"name": "describe"}).finish_reason, ("function_call", "stop"), "finish_reason")


@case("reports", needs="chat")
def bare_function_name(target: Target) -> None:
    """`function_call` may be a function's bare name."""
    found = legacy(target, "describe").message.function_call
    equal(found and found.name, "describe", "the name")


@case("OpenAI", needs="chat")
def no_function(target: Target) -> None:
    """`function_call: none` calls nothing."""
    that(not legacy(target, "none", stop=["."]).message.function_call, "there is a function_call")


@case("OpenAI", needs="chat")
def function_stream(target: Target) -> None:
    """In a stream the first piece of a function_call has the name, and the pieces of arguments obey the schema."""
    function = tool()["function"]
    chunks = streamed(target, ASK, functions=[function], function_call={"name": "describe"}, max_tokens=ROOM)
    pieces = [one for chunk in chunks for choice in chunk.choices if (one := choice.delta.function_call) is not None]
    that(pieces, "no function_call in the stream")
    equal(pieces[0].name, "describe", "the first piece's name")
    that(not any(one.name for one in pieces[1:]), "a later piece has the name")
    obeys("".join(one.arguments or "" for one in pieces), SCHEMA, "the arguments")
