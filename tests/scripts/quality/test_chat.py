"""What the chat measure sends and what it makes of the answer."""

import json
from typing import Any

import httpx
import pytest

from scripts.quality.chat import ask
from scripts.quality.frame import Failure
from scripts.quality.questions import Question

QUESTION = Question(id="0000", kind="arithmetic", sort="plus", prompt="What is 2 + 2?", check="number", expected=4)


def client(answer: httpx.Response, sent: list[dict[str, Any]]) -> httpx.AsyncClient:
    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return answer

    return httpx.AsyncClient(transport=httpx.MockTransport(reply), base_url="http://server")


@pytest.mark.anyio
@pytest.mark.parametrize(("text", "score"), [("It is 4.", 1.0), ("It is 5.", 0.0)])
async def test_nothing_but_the_mode_is_said_and_the_answer_is_judged(text: str, score: float) -> None:
    usage = {"total_tokens": 30, "credits": 0.1, "quality": {"mode": "ultra", "passes": 2}}
    choice = {"message": {"content": text}, "finish_reason": "stop"}
    sent: list[dict[str, Any]] = []
    async with client(httpx.Response(200, json={"choices": [choice], "usage": usage}), sent) as server:
        outcome = await ask(server, QUESTION, "ultra")
        await ask(server, QUESTION, "low")
    assert (outcome.score, outcome.tokens, outcome.credits, outcome.passes) == (score, 30, 0.1, 2)
    assert outcome.detail["answer"] == text
    first, second = sent
    assert first.keys() == {"model", "messages", "quality", "seed"}
    assert first | {"quality": "low"} == second


@pytest.mark.anyio
async def test_an_error_is_a_failure() -> None:
    async with client(httpx.Response(503, text="busy"), []) as server:
        with pytest.raises(Failure, match="503"):
            await ask(server, QUESTION, "low")
