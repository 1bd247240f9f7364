"""openai-agents, unmodified, against the server that OPENAI_BASE_URL names: what its agents did, as one JSON object.

It runs in an environment of its own, in which nothing of this project is. By a scenario's name: what it returned, or
{"error": its traceback}.
"""

import asyncio
import json
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from agents import (
    Agent,
    ModelSettings,
    OpenAIConversationsSession,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

MODEL = "gpt-4o-mini"
JAPAN = "What is the capital of Japan?"
PERU = "And of Peru?"
BRIEF = ModelSettings(temperature=0, max_tokens=200)
ELSEWHERE: list[str] = []
"""Whatever this process tried to reach outside of this machine."""
called: list[str] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: connections and look-ups of names, but those of this machine."""
    if event == "socket.getaddrinfo":
        host = str(arguments[0])
    elif event in ("socket.connect", "socket.sendto") and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
        host = str(arguments[1][0])
    else:
        return
    if host not in ("127.0.0.1", "::1", "localhost", "None"):
        ELSEWHERE.append(f"{event} {host}")


@function_tool
def get_capital(country: Literal["Japan", "Peru"]) -> str:
    """Get the capital of a country.

    Args:
        country: The country.
    """
    called.append(country)
    return {"Japan": "Tokyo", "Peru": "Lima"}[country]


class Capital(BaseModel):
    country: Literal["Japan", "Peru"]
    large: bool


def agent(**fields: Any) -> Agent[Any]:
    return Agent(**({"name": "Guide", "model": MODEL, "model_settings": BRIEF} | fields))


def forced(tool: str) -> ModelSettings:
    return BRIEF.resolve(ModelSettings(tool_choice=tool))


async def answer() -> dict[str, Any]:
    found = await Runner.run(agent(instructions="You are a helpful assistant."), JAPAN)
    usage = found.context_wrapper.usage
    return {
        "text": found.final_output,
        "response_id": found.last_response_id,
        "requests": usage.requests,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }


async def tool() -> dict[str, Any]:
    called.clear()
    found = await Runner.run(agent(tools=[get_capital], model_settings=forced("get_capital")), JAPAN)
    items = [(one.type, getattr(one, "output", None)) for one in found.new_items]
    return {"text": found.final_output, "called": list(called), "items": items, "responses": len(found.raw_responses)}


async def structured() -> dict[str, Any]:
    found = await Runner.run(agent(output_type=Capital), "Describe Japan.")
    return {"type": type(found.final_output).__name__, "value": found.final_output_as(Capital).model_dump()}


async def stream() -> dict[str, Any]:
    found = Runner.run_streamed(agent(), JAPAN)
    raw, pieces, steps = [], [], []
    async for event in found.stream_events():
        if event.type == "raw_response_event":
            raw.append(event.data.type)
            if event.data.type == "response.output_text.delta":
                pieces.append(event.data.delta)
        elif event.type == "run_item_stream_event":
            steps.append(event.name)
    return {"text": found.final_output, "pieces": pieces, "events": raw, "steps": steps}


async def tool_stream() -> dict[str, Any]:
    called.clear()
    found = Runner.run_streamed(agent(tools=[get_capital], model_settings=forced("required")), JAPAN)
    steps = [event.name async for event in found.stream_events() if event.type == "run_item_stream_event"]
    return {"text": found.final_output, "called": list(called), "steps": steps}


async def chain() -> dict[str, Any]:
    """Turns that the server keeps: only the new question is sent."""
    first = await Runner.run(agent(), JAPAN)
    second = await Runner.run(agent(), PERU, previous_response_id=first.last_response_id)
    return {
        "texts": [first.final_output, second.final_output],
        "input_tokens": [one.context_wrapper.usage.input_tokens for one in (first, second)],
        "sent": len(second.input) if isinstance(second.input, list) else 1,
    }


async def chain_of_calls() -> dict[str, Any]:
    """Within a run too: the result of a call refers to the response that made it."""
    called.clear()
    guide = agent(tools=[get_capital], model_settings=forced("get_capital"))
    found = await Runner.run(guide, JAPAN, auto_previous_response_id=True)
    return {"text": found.final_output, "called": list(called), "responses": len(found.raw_responses)}


async def conversation() -> dict[str, Any]:
    """The server's own conversation, by its id."""
    client = AsyncOpenAI()
    kept = await client.conversations.create(metadata={"purpose": "test"})
    first = await Runner.run(agent(), JAPAN, conversation_id=kept.id)
    second = await Runner.run(agent(), PERU, conversation_id=kept.id)
    items = [one.type async for one in client.conversations.items.list(kept.id, order="asc")]
    deleted = await client.conversations.delete(kept.id)
    return {"texts": [first.final_output, second.final_output], "items": items, "deleted": deleted.deleted}


async def session() -> dict[str, Any]:
    """A session that keeps its items in a conversation of the server."""
    kept = OpenAIConversationsSession()
    await Runner.run(agent(), JAPAN, session=kept)
    second = await Runner.run(agent(), PERU, session=kept)
    roles = [one.get("role") for one in await kept.get_items()]
    last = await kept.pop_item()
    left = len(await kept.get_items())
    await kept.clear_session()
    return {"text": second.final_output, "roles": roles, "popped": last is not None and last.get("role"), "left": left}


async def own_session() -> dict[str, Any]:
    """A session that keeps them here, and sends them with each turn: with the ids that the server gave them."""
    kept = SQLiteSession("one")
    called.clear()
    await Runner.run(agent(tools=[get_capital], model_settings=forced("get_capital")), JAPAN, session=kept)
    second = await Runner.run(agent(), PERU, session=kept)
    types = [one.get("type", "message") for one in await kept.get_items()]
    return {"text": second.final_output, "types": types}


async def handoff() -> dict[str, Any]:
    guide = agent(name="Guide", handoff_description="Knows every capital.", output_type=Capital)
    desk = agent(name="Desk", handoffs=[guide], model_settings=forced("transfer_to_guide"))
    found = await Runner.run(desk, JAPAN)
    place = found.final_output_as(Capital).country
    return {"place": place, "last": found.last_agent.name, "items": [one.type for one in found.new_items]}


SCENARIOS: tuple[Callable[[], Awaitable[dict[str, Any]]], ...] = (
    *(answer, tool, structured, stream, tool_stream, chain, chain_of_calls, conversation, session, own_session),
    handoff,
)


async def main() -> None:
    set_tracing_disabled(True)
    found: dict[str, Any] = {}
    for scenario in SCENARIOS:
        try:
            found[scenario.__name__] = await asyncio.wait_for(scenario(), 60)
        except Exception:  # noqa: BLE001 - the test shows it
            found[scenario.__name__] = {"error": traceback.format_exc()}
    found["elsewhere"] = ELSEWHERE
    json.dump(found, sys.stdout)


sys.addaudithook(watch)
asyncio.run(main())
