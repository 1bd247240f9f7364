"""Requests that many cases make, and what is always asked of their answers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.conformance.case import Failed
from tests.conformance.expect import equal, ok, that
from tests.conformance.sse import DONE
from tests.conformance.target import Answer, Target

QUESTION = "What is the capital of Japan?"
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"country": {"enum": ["Japan", "Peru"]}, "large": {"type": "boolean"}},
    "required": ["country", "large"],
    "additionalProperties": False,
}
"""Short to answer, and a model that is free to answer would hardly hit it."""


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def chat_body(target: Target, content: Any = QUESTION, **fields: Any) -> dict[str, Any]:
    """A greedy chat of 8 tokens, unless the fields say otherwise; `...` leaves a field out."""
    body = {"model": target.model("chat"), "messages": [user(content)], "max_tokens": 8, "temperature": 0} | fields
    return {name: value for name, value in body.items() if value is not ...}


def chat(target: Target, content: Any = QUESTION, **fields: Any) -> Answer:
    return target.post("/chat/completions", chat_body(target, content, **fields))


def completed(target: Target, content: Any = QUESTION, **fields: Any) -> ChatCompletion:
    """The answer, strictly as the SDK declares it. Raises Failed unless it is a 200."""
    return read_chat(target, chat(target, content, **fields))


def read_chat(target: Target, answer: Answer) -> ChatCompletion:
    value: ChatCompletion = target.strict(ChatCompletion, ok(answer).raw)
    that(value.choices, "the answer has no choices")
    return value


def text(value: ChatCompletion, choice: int = 0) -> str:
    return value.choices[choice].message.content or ""


def streamed(target: Target, content: Any = QUESTION, **fields: Any) -> list[ChatCompletionChunk]:
    """The chunks of a chat, each strictly as the SDK declares it; `[DONE]` was there, once, at the end."""
    return read_chunks(target, chat(target, content, stream=True, **fields))


def read_chunks(target: Target, answer: Answer) -> list[ChatCompletionChunk]:
    return [target.strict(ChatCompletionChunk, data, "a chunk") for data in datas(answer)]


def datas(answer: Answer) -> list[str]:
    """The data of every event before `[DONE]`. Raises Failed for an error, and unless `[DONE]` comes last and once."""
    events = ok(answer).events()
    found = [event.data for event in events]
    that(found and found[-1] == DONE, f"the stream does not end with [DONE] but with {found[-1:]}")
    equal(found.count(DONE), 1, "the number of [DONE]")
    for data in found[:-1]:
        if '"error"' in data and "error" in json.loads(data):
            raise Failed(f"an error in the stream: {data[:160]}")
    named = [event.name for event in events if event.name]
    that(not named, f"the chunks of a chat have event names: {named[:1]}")
    return found[:-1]


def joined(chunks: Sequence[ChatCompletionChunk], index: int = 0) -> str:
    """A choice's text."""
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(piece for piece in pieces if piece)


def finishes(chunks: Sequence[ChatCompletionChunk], index: int = 0) -> list[str]:
    """A choice's finish reasons: one, if all is well."""
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return [choice.finish_reason for choice in choices if choice.finish_reason is not None]


def tool(schema: Mapping[str, Any] = SCHEMA, name: str = "describe", **more: Any) -> dict[str, Any]:
    function = {"name": name, "description": "Describe a country.", "parameters": schema, **more}
    return {"type": "function", "function": function}


def json_of(content: str, what: str = "the content") -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise Failed(f"{what} is no JSON ({error}): {content[:100]!r}") from None


def obeys(content: str, schema: Mapping[str, Any], what: str = "the content") -> Any:
    """The content as JSON that obeys the schema. Raises Failed."""
    import jsonschema

    value = json_of(content, what)
    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as error:
        raise Failed(f"{what} breaks its schema: {error.message[:120]}") from None
    return value


def completion(target: Target, prompt: Any = "The capital of Japan is", **fields: Any) -> Answer:
    """A greedy completion of 6 tokens, unless the fields say otherwise; `...` leaves a field out."""
    body = {"model": target.model("chat"), "prompt": prompt, "max_tokens": 6, "temperature": 0} | fields
    return target.post("/completions", {name: value for name, value in body.items() if value is not ...})


def read_completion(target: Target, answer: Answer) -> Completion:
    """Strictly as the SDK declares it, but for the first token of a prompt that is echoed: nothing comes before it, and
    its log-probability is null, for which the SDK's type has no place.
    """
    body = ok(answer).json()
    for choice in body.get("choices") or ():
        logprobs = choice.get("logprobs") or {}
        for name, empty in (("token_logprobs", 0.0), ("top_logprobs", {})):
            values = logprobs.get(name)
            if isinstance(values, list) and values and values[0] is None:
                values[0] = empty
    value: Completion = target.strict(Completion, json.dumps(body))
    that(value.choices, "the answer has no choices")
    return value
