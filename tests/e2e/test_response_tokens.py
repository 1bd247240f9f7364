"""What /v1/responses/input_tokens counts is what a response of the same request says that it has read: the real model.

Beside it, a response to a conversation that is longer than the model's context.
"""

from typing import Any

import httpx
import pytest

MODEL = "gpt-4o-mini"
CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}
TOOL = {"type": "function", "name": "find", "description": "Find a city.", "parameters": CITY}
TURNS = [
    {"role": "user", "content": "Name a city in Japan."},
    {"role": "assistant", "content": [{"type": "output_text", "text": "Tokyo."}]},
    {"role": "user", "content": "And one in France?"},
]
FOUND = [
    TURNS[0],
    {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": '{"city": "Tokyo"}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "It is there."},
]


@pytest.mark.parametrize(
    "body",
    [
        {"input": "What is the capital of Japan?"},
        {"input": TURNS, "instructions": "Answer with one word."},
        {"input": [{"role": "developer", "content": "Be brief."}, *TURNS], "instructions": "Answer with one word."},
        {"input": TURNS, "tools": [TOOL], "tool_choice": "required"},
        {"input": FOUND, "tools": [TOOL], "tool_choice": "none"},
        {"input": TURNS, "text": {"format": {"type": "json_schema", "name": "city", "schema": CITY}}},
    ],
)
def test_it_counts_what_a_response_reads(http: httpx.Client, body: dict[str, Any]) -> None:
    asked = {"model": MODEL, "max_output_tokens": 4, "quality": "low", "store": False, **body}
    counted = http.post("/v1/responses/input_tokens", json=asked).json()
    response = http.post("/v1/responses", json=asked).json()
    assert counted == {"object": "response.input_tokens", "input_tokens": response["usage"]["input_tokens"]}


def test_a_conversation_that_is_too_long_loses_its_oldest_turns(http: httpx.Client) -> None:
    turns = [
        turn
        for number in range(400)
        for turn in (
            {"role": "user", "content": f"Remember the number {number}, and the captain who looked at his watch."},
            {"role": "assistant", "content": "I shall remember it, and him."},
        )
    ]
    asked = {"model": MODEL, "input": [*turns, *TURNS], "max_output_tokens": 8, "store": False}
    refused = http.post("/v1/responses", json=asked)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "input")
    answered = http.post("/v1/responses", json={**asked, "truncation": "auto"})
    assert answered.status_code == 200, answered.text[:500]
    usage = answered.json()["usage"]
    context = http.post("/v1/tokenize", json={"model": MODEL, "prompt": "a"}).json()["max_model_len"]
    # A turn is some thirty tokens: as many as fit are there.
    assert context - 80 < usage["input_tokens"] <= context - 8
    counted = http.post("/v1/responses/input_tokens", json={**asked, "truncation": "auto"}).json()
    assert counted["input_tokens"] == usage["input_tokens"]
