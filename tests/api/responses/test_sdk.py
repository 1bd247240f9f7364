"""The official SDK's own reading of responses: create, stream, parse, count, and its exceptions."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError
from openai.types.responses import ResponseFunctionToolCall, ResponseReasoningItem
from pydantic import BaseModel

from server.core import Task
from server.settings import Settings
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio

TEXT = "Hello from the fake engine."
CALL = {"name": "get_weather", "arguments": {"city": "Oslo"}}
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def sdk_of(server: FakeServer) -> AsyncOpenAI:
    transport = httpx2.ASGITransport(app=server.app)
    client = httpx2.AsyncClient(transport=transport)
    return AsyncOpenAI(base_url="http://server/v1", api_key=KEY, http_client=client, max_retries=0)


@pytest.fixture
async def sdk(fake: FakeServer) -> AsyncIterator[AsyncOpenAI]:
    async with sdk_of(fake) as opened:
        yield opened


class City(BaseModel):
    city: str


async def test_it_reads_a_response(sdk: AsyncOpenAI) -> None:
    response = await sdk.responses.create(model="everything", input="hello there", instructions="be brief")
    assert (response.output_text, response.status) == (TEXT, "completed")
    assert response.usage is not None
    assert response.usage.input_tokens == 4
    assert response._request_id


async def test_its_stream_puts_the_response_together(settings: Settings) -> None:
    async with (
        FakeServer(settings, {Task.CHAT: {"reasoning": "so it is"}}) as server,
        sdk_of(server) as sdk,
        sdk.responses.stream(model="everything", input="hello there") as stream,
    ):
        snapshots = [event.snapshot async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert snapshots[-1] == TEXT == final.output_text
    reasoning = final.output[0]
    assert isinstance(reasoning, ResponseReasoningItem)
    assert reasoning.content is not None
    assert reasoning.content[0].text == "so it is"


async def test_its_stream_puts_calls_together_and_they_are_answered(settings: Settings) -> None:
    async with FakeServer(settings, {Task.CHAT: {"call": CALL}}) as server, sdk_of(server) as sdk:
        async with sdk.responses.stream(model="everything", input="weather?", tools=[WEATHER]) as stream:
            final = await stream.get_final_response()
        call = final.output[0]
        assert isinstance(call, ResponseFunctionToolCall)
        given: Any = [
            {"role": "user", "content": "weather?"},
            *[item.to_dict() for item in final.output],
            {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
        ]
        again = await sdk.responses.create(model="everything", input=given, tools=[WEATHER], tool_choice="none")
        assert again.output_text == TEXT


async def test_what_it_got_may_be_sent_back_as_it_is(settings: Settings) -> None:
    async with FakeServer(settings, {Task.CHAT: {"reasoning": "so it is"}}) as server, sdk_of(server) as sdk:
        first = await sdk.responses.create(model="everything", input="hello there")
        given: Any = [{"role": "user", "content": "hello there"}, *first.output, {"role": "user", "content": "more"}]
        second = await sdk.responses.create(model="everything", input=given)
        assert second.usage is not None
        assert second.usage.input_tokens == 2 + 5 + 1


async def test_it_parses_an_answer_with_a_schema(sdk: AsyncOpenAI) -> None:
    parsed = await sdk.responses.parse(model="everything", input="Where?", text_format=City)
    assert parsed.output_parsed == City(city=TEXT)


async def test_it_counts_what_a_response_says_of_the_same_request(sdk: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "everything",
        "instructions": "be brief",
        "input": [{"role": "user", "content": "one two three"}, {"role": "assistant", "content": "four"}],
    }
    counted = await sdk.responses.input_tokens.count(**asked)
    response = await sdk.responses.create(**asked)
    assert response.usage is not None
    assert (counted.object, counted.input_tokens) == ("response.input_tokens", 6)
    assert response.usage.input_tokens == 6


async def test_it_raises_what_is_refused_and_what_breaks(settings: Settings) -> None:
    async with FakeServer(settings, {Task.CHAT: {"die_after": 2}}) as server, sdk_of(server) as sdk:
        with pytest.raises(BadRequestError) as refused:
            await sdk.responses.create(model="everything", input=[])
        assert (refused.value.param, refused.value.code) == ("input", "missing_required_parameter")
        said: list[str] = []
        with pytest.raises(APIError) as broken:
            await listen(await sdk.responses.create(model="everything", input="hi", stream=True), said)
        assert (broken.value.code, broken.value.type) == ("engine_failed", "server_error")
        assert said[-1] == "response.output_text.delta"


async def listen(stream: Any, said: list[str]) -> None:
    async for event in stream:
        said.append(event.type)  # noqa: PERF401 - what was heard before it breaks counts
