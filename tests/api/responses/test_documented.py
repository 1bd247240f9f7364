"""Answers and streams of responses are as /openapi.json says, in all their forms."""

from typing import Any

import pytest

from server.core import Task
from server.settings import Settings
from server.testing import FakeServer
from tests.api.openapi_document import Document
from tests.api.responses.asking import ask

pytestmark = pytest.mark.anyio

WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
CALL = {"name": "get_weather", "arguments": {"city": "Oslo"}}
SCHEMA = {"type": "json_schema", "name": "city", "schema": {"type": "object", "properties": {"city": {}}}}
LOGPROBS: dict[str, Any] = {"include": ["message.output_text.logprobs"], "top_logprobs": 1}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({"reasoning": "so it is"}, {"max_output_tokens": 3}),
        ({"call": CALL}, {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "get_weather"}}),
        ({}, {"text": {"format": SCHEMA}, "metadata": {"a": "b"}, "reasoning": {"effort": "low"}, **LOGPROBS}),
        ({}, {"tools": [WEATHER], "tool_choice": "none", "user": "me", "quality": "high", "return_drafts": True}),
        ({"die_after": 2}, {}),
    ],
)
async def test_it_is_as_the_document_says(
    settings: Settings, options: dict[str, Any], body: dict[str, Any], stream: bool
) -> None:
    async with FakeServer(settings, {Task.CHAT: options}) as server, server.client() as client:
        document = Document((await client.get("/openapi.json")).json())
        document.check(await ask(client, stream=stream, **body))
