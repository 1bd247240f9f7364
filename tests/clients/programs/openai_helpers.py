"""openai-python of another generation: sync and async, helpers, `.parse()`, raw and streaming responses."""

import asyncio

from openai import AsyncOpenAI, OpenAI, pydantic_function_tool
from pydantic import BaseModel


class City(BaseModel):
    city: str


QUESTION = [{"role": "user", "content": "What is the capital of Japan?"}]
ASK = {"model": "gpt-4o-mini", "messages": QUESTION, "temperature": 0, "max_tokens": 60}
client = OpenAI(max_retries=0)

raw = client.chat.completions.with_raw_response.create(**ASK)
assert raw.headers["x-request-id"].startswith("req_"), raw.headers
assert "Tokyo" in raw.parse().choices[0].message.content
with client.chat.completions.with_streaming_response.create(**ASK) as streamed:
    assert b"Tokyo" in streamed.read()

parsed = client.chat.completions.parse(**ASK, response_format=City)
assert isinstance(parsed.choices[0].message.parsed, City), parsed
called = client.chat.completions.parse(**ASK, tools=[pydantic_function_tool(City)], tool_choice="required")
assert isinstance(called.choices[0].message.tool_calls[0].function.parsed_arguments, City), called

with client.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream:
    kinds = [event.type for event in stream]
    final = stream.get_final_completion()
assert kinds.count("content.done") == 1, kinds
assert kinds.count("content.delta") > 2, kinds
assert "Tokyo" in final.choices[0].message.content
assert final.usage.completion_tokens > 0


async def together() -> None:
    async with AsyncOpenAI(max_retries=0) as many:
        answers = await asyncio.gather(*(many.chat.completions.create(**ASK) for _ in range(4)))
        assert all("Tokyo" in answer.choices[0].message.content for answer in answers), answers
        stream = await many.chat.completions.create(**ASK, stream=True)
        assert "Tokyo" in "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


asyncio.run(together())
