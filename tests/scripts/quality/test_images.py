"""Which prompts are asked, and what is made of a picture; without the training pictures."""

import base64
import io
import json
from collections import Counter
from typing import Any

import httpx
import pytest
from PIL import Image

from scripts.quality import images
from scripts.quality.frame import Failure
from scripts.quality.images import Prompt, ask, distances, sampled
from scripts.quality.report import markdown

pytestmark = pytest.mark.anyio

KINDS = ["label"] * 30 + ["tags"] * 10 + ["paraphrase"] * 40


class RedJudge:
    """Red pictures are right."""

    def nearest(self, drawn: Any, asked: Any) -> tuple[list[bool], list[float]]:
        return [bool((picture == (255, 0, 0)).all()) for picture in drawn], [0.125] * len(drawn)


def test_a_sample_has_each_kinds_share_and_depends_on_the_seed() -> None:
    chosen = sampled(KINDS, 40, 1)
    assert Counter(KINDS[place] for place in chosen) == {"label": 15, "tags": 5, "paraphrase": 20}
    assert chosen == sorted(set(chosen)) == sampled(KINDS, 40, 1)
    assert chosen != sampled(KINDS, 40, 2)
    assert sampled(KINDS, 100, 1) == list(range(80))
    assert len(sampled(KINDS, 3, 1)) == 3


def answering(colour: str, status: int = 200) -> httpx.AsyncClient:
    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        assert (asked["model"], asked["prompt"], asked["seed"]) == ("starter-image", PROMPT.text, PROMPT.seed)
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), colour).save(buffer, "PNG")
        data = [{"b64_json": base64.b64encode(buffer.getvalue()).decode(), "seed": 9}]
        usage = {"total_tokens": 4, "credits": 0.09, "quality": {"passes": 1, "candidates": 8}}
        headers = {"x-quality-passes": "1", "x-quality-reason": "asked for"}
        return httpx.Response(status, json={"data": data, "usage": usage}, headers=headers)

    return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://test")


PROMPT = Prompt(id="000-label", kind="label", text="red heart", concept=3, seed=7)


@pytest.mark.parametrize(("colour", "score"), [("red", 1.0), ("blue", 0.0)])
async def test_a_picture_is_right_or_not(monkeypatch: pytest.MonkeyPatch, colour: str, score: float) -> None:
    monkeypatch.setattr(images, "judge", RedJudge)
    async with answering(colour) as client:
        judged = await ask(client, PROMPT, "ultra")
    assert (judged.score, judged.credits, judged.passes) == (score, 0.09, 1)
    assert (judged.detail["distance"], judged.detail["seed"], judged.detail["quality"]["candidates"]) == (0.125, 9, 8)
    assert judged.seconds is not None


async def test_an_error_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "judge", RedJudge)
    async with answering("red", 503) as client:
        with pytest.raises(Failure, match="503"):
            await ask(client, PROMPT, "low")


def test_distances_are_told_from_the_kept_rows() -> None:
    def row(mode: str, number: int, **changes: Any) -> dict[str, Any]:
        fields = {"mode": mode, "tokens": 3, "credits": 0.1, "passes": 1, "seconds": 0.2, "failed": False}
        return {
            "item": {"id": str(number), "kind": "label", "of_seed": 1, "drawn_as": str(number)},
            **fields,
            **changes,
        }

    kept = [row("low", i, detail={"distance": 0.2}) for i in range(4)]
    kept += [row("high", i, detail={"distance": 0.1}) for i in range(3)]
    kept += [row("high", 3, detail={"error": "503"}, failed=True)]
    rows = distances(kept)
    assert [one.outcome.score for one in rows] == pytest.approx([*[0.2] * 4, *[0.1] * 3, 1.0])

    class Distance:
        UNIT = "distance"
        HIGHER_IS_BETTER = False

    table = markdown(Distance, rows, ["low", "high"])  # type: ignore[arg-type]
    assert "| low | 4 | 20.0 (20.0 to 20.0) |" in table
    assert "| high | 4 | 32.5" in table
    assert "{'high': 1}" in table
