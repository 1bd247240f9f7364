"""Parts of a request that cost more than their bytes: each has a limit of its own, and its field is named."""

import json
from typing import Any

import pytest

from server.api.openai.weight import PART, heavier
from server.testing import FakeServer

pytestmark = pytest.mark.anyio

CHAT: dict[str, Any] = {"model": "everything", "messages": [{"role": "user", "content": "hello"}]}
FUNCTION = {"name": "f", "parameters": {"type": "object", "description": "a" * 2**20}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def called(arguments: str, times: int = 1) -> dict[str, Any]:
    call = CALL | {"function": {"name": "f", "arguments": arguments}}
    return {"messages": [*CHAT["messages"], {"role": "assistant", "tool_calls": [call] * times}]}


HEAVY: dict[str, tuple[dict[str, Any], str]] = {
    "65 template arguments": ({"chat_template_kwargs": {f"k{n}": 1 for n in range(65)}}, "chat_template_kwargs"),
    "long template argument": ({"chat_template_kwargs": {"k": "a" * 2**16}}, "chat_template_kwargs"),
    "wide template argument": ({"chat_template_kwargs": {"k": [0] * 10_000}}, "chat_template_kwargs"),
    "functions' schemas": ({"tools": [{"type": "function", "function": FUNCTION}]}, "tools"),
    "legacy functions": ({"functions": [FUNCTION]}, "functions"),
    "stop": ({"stop": "a" * 1025}, "stop"),
    "one stop of two": ({"stop": ["a", "a" * 1025]}, "stop[1]"),
    "documents": ({"documents": [{"text": "a" * 2**20}]}, "documents"),
    "schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"description": "a" * 2**19}}}},
        "response_format",
    ),
    "schema in a text": ({"guided_json": json.dumps({"description": "a" * 2**19})}, "guided_json"),
    "choices": ({"structured_outputs": {"choice": ["abc"] * 100_000}}, "structured_outputs.choice"),
    "pattern": ({"guided_regex": "a" * 2**19}, "guided_regex"),
    "earlier calls' arguments": (called("[" + "[]," * 60_000 + "[]]", 2), "messages"),
    "long arguments": (called('"' + "a" * 2**21 + '"', 3), "messages"),
}


@pytest.mark.parametrize(("more", "param"), HEAVY.values(), ids=HEAVY)
async def test_a_part_that_is_too_heavy_is_refused_by_name(fake: FakeServer, more: dict[str, Any], param: str) -> None:
    async with fake.client() as client:
        answer = await client.post("/v1/chat/completions", json=CHAT | more)
    assert answer.status_code == 400, answer.text[:300]
    assert answer.json()["error"]["param"] == param
    assert len(answer.content) < 2000


@pytest.mark.parametrize(
    "more",
    [
        {"chat_template_kwargs": {f"k{n}": "a" * 500 for n in range(64)}},
        {"stop": ["a" * 1024] * 4},
        {"tools": [{"type": "function", "function": FUNCTION | {"parameters": {"description": "a" * 500_000}}}]},
        called('"' + "[{" * 20_000 + '"'),
    ],
    ids=["template arguments", "stop", "function", "arguments"],
)
async def test_what_is_only_large_is_taken(fake: FakeServer, more: dict[str, Any]) -> None:
    async with fake.client() as client:
        answer = await client.post("/v1/chat/completions", json=CHAT | {"max_tokens": 3} | more)
    assert answer.status_code == 200, answer.text[:300]


async def test_a_text_to_tokenize_has_the_same_arguments(fake: FakeServer) -> None:
    async with fake.client() as client:
        body = CHAT | {"chat_template_kwargs": {f"k{n}": 1 for n in range(65)}}
        answer = await client.post("/v1/tokenize", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "chat_template_kwargs")


@pytest.mark.parametrize(
    ("value", "weight"),
    [("abc", 3 + PART), ({"ab": "c"}, 3 + 2 * PART), ([1, None, "a"], 1 + 4 * PART), ({"a": {"b": []}}, 2 + 3 * PART)],
)
def test_what_a_value_weighs(value: Any, weight: int) -> None:
    assert heavier(value, weight - 1)
    assert not heavier(value, weight)
