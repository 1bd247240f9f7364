"""`scripts/eval_quality drafts`: what it sends, and that it counts nothing that is not k drafts of the asked length."""

import json
from typing import Any

import httpx
import pytest

from scripts.quality.drafts import Timed, measured_drafts, ratios, timed


def server(sent: list[dict[str, Any]], made: int | None = None) -> httpx.AsyncClient:
    """Answers as asked, or always with `made` drafts."""

    def reply(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/metrics":
            return httpx.Response(
                200, text=f'sagehold_prefix_cache_found_tokens_total{{model="m"}} {32.0 * len(sent)}\n'
            )
        body = json.loads(request.content)
        sent.append(body)
        drafts = made or (5 if body["quality"] == "ultra" else 1)
        usage = {
            "prompt_tokens": 40,
            "completion_tokens": drafts * body["max_tokens"],
            "quality": {"candidates": drafts},
        }
        return httpx.Response(200, json={"usage": usage})

    return httpx.AsyncClient(transport=httpx.MockTransport(reply), base_url="http://server")


@pytest.mark.anyio
async def test_rounds_are_interleaved_and_the_first_does_not_count() -> None:
    sent: list[dict[str, Any]] = []
    async with server(sent) as client:
        found = await measured_drafts(client, "m", 5, 8, 2, lambda: None)
    assert [one.drafts for one in found] == [1, 5, 1, 5, 5, 1, 5, 1]
    assert {one.cached_tokens for one in found} == {32}
    assert [body["quality"] for body in sent[4:]] == ["medium", "ultra"] * 2 + ["ultra", "medium"] * 2
    prompts = [body["messages"][0]["content"] for body in sent]
    assert len(set(prompts)) == len(prompts), "a prompt seen before would be in the cache"


@pytest.mark.anyio
async def test_fewer_drafts_than_wanted_are_no_measurement() -> None:
    async with server([], made=1) as client:
        with pytest.raises(ValueError, match="1 drafts of 8 tokens"):
            await timed(client, "m", "short prompt", 5, 8, 1)


def test_ratios_are_taken_round_by_round() -> None:
    found = [
        Timed(prompt, drafts, seconds, 1, 1, 0)
        for prompt in ("short prompt", "long prompt")
        for drafts, seconds in [(1, 1.0), (5, 2.0), (5, 6.0), (1, 2.0)]
    ]
    assert ratios(found, 5)["long prompt"].as_dict() == {"median": 2.5, "low": 2.0, "high": 3.0, "rounds": 2}
