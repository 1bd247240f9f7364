"""Quality modes on the starter models, by the unmodified SDK: what is said, done, shown and paid."""

import json
from functools import partial
from io import BytesIO
from uuid import uuid4

import httpx
import pytest
from openai import OpenAI
from PIL import Image

from tests.e2e.conftest import FOX
from tests.e2e.live import LiveServer

DRAFTS = 6
"""As the starter model's config has it."""

CAPITAL = [{"role": "user", "content": "What is the capital of Japan?"}]
"""Which the starter model knows however it is drawn; of a sum, three of four drafts are right."""


def quality_of(usage: object) -> dict[str, object]:
    quality = getattr(usage, "quality", None)
    assert isinstance(quality, dict)
    return quality


def test_ultra_by_the_models_name(sdk: OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model="deepseek-v4-pro:ultra",
        messages=CAPITAL,  # type: ignore[arg-type]
        max_tokens=40,
    )
    answer = raw.parse()
    assert answer.model == "deepseek-v4-pro:ultra"
    assert raw.headers["x-quality"] == "ultra"
    assert answer.usage is not None
    quality = quality_of(answer.usage)
    passes = quality["tokens_by_pass"]
    assert isinstance(passes, list)
    assert 2 <= quality["candidates"] <= DRAFTS
    assert len(passes) == quality["passes"] == int(raw.headers["x-quality-passes"])
    assert passes[0]["pass"] == "drafts"
    # Of those that were given up, what was written until then.
    assert DRAFTS <= passes[0]["completion_tokens"] <= DRAFTS * 40
    assert answer.usage.completion_tokens == sum(one["completion_tokens"] for one in passes)
    assert "Tokyo" in (answer.choices[0].message.content or "")


def test_a_stream_of_ultra_is_a_stream_like_any_other(sdk: OpenAI) -> None:
    stream = sdk.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Tell me about the sea in two sentences."}],
        max_tokens=60,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"quality": "ultra"},
    )
    *chunks, last = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert len(text.split()) > 5
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] in ("stop", "length")
    assert last.usage is not None
    assert quality_of(last.usage)["mode"] == "ultra"


def test_ultra_keeps_a_schema(sdk: OpenAI) -> None:
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    answer = sdk.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "What is 7 + 5? Answer with the number."}],
        response_format={"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}},
        max_tokens=40,
        extra_body={"quality": "ultra"},
    )
    assert isinstance(json.loads(answer.choices[0].message.content or "")["sum"], int)


def test_the_same_long_prompt_is_read_once_for_all_drafts(http: httpx.Client, server: LiveServer) -> None:
    # Longer than the KV cache's blocks on a processor, which are what is shared.
    words = " ".join(f"Line {i} of this report says that item {i} costs {i * 3} dollars." for i in range(40))
    body = {
        "model": "gpt-4o",
        "quality": "ultra",
        "max_tokens": 4,
        "messages": [{"role": "user", "content": f"Report {uuid4()}. {words} Summarize this."}],
    }
    found = partial(server.metric, "sagehold_prefix_cache_found_tokens_total", "smollm2-135m-instruct")
    before = found()
    usage = http.post("/v1/chat/completions", json=body).json()["usage"]
    (drafts,) = usage["quality"]["tokens_by_pass"]
    assert drafts["prompt_tokens"] > 500
    others = DRAFTS - 1
    assert found() - before > others * drafts["prompt_tokens"] // 2
    # The first draft read a prompt that is counted once, and nobody had read it before.
    assert usage["prompt_tokens_details"]["cached_tokens"] < drafts["prompt_tokens"] // 2


@pytest.mark.parametrize("mode", ["low", "high", "ultra"])
def test_speech_says_the_same_in_every_mode_and_is_understood_in_every_mode(sdk: OpenAI, mode: str) -> None:
    speech = sdk.audio.speech.with_raw_response.create(
        model="tts-1", voice="alloy", input=FOX, response_format="wav", extra_body={"quality": mode}
    )
    assert speech.headers["x-quality"] == mode
    file = BytesIO(speech.content)
    file.name = "fox.wav"
    heard = sdk.audio.transcriptions.create(model="whisper-1", file=file, extra_body={"quality": mode})
    assert "fox jumps over the lazy dog" in heard.text
    assert quality_of(heard.usage)["mode"] == mode


def test_ultra_speech_was_read_back(http: httpx.Client) -> None:
    body = {"model": "tts-1", "input": FOX, "quality": "ultra", "stream_format": "sse"}
    answer = http.post("/v1/audio/speech", json=body)
    assert answer.headers["x-quality-reason"] == "asked for"
    done = json.loads(answer.text.strip().rpartition("data: ")[2])
    quality = done["usage"]["quality"]
    assert [one["pass"] for one in quality["tokens_by_pass"]] == ["takes", "read back"]
    assert quality["tokens_by_pass"][1]["audio_seconds"] > 1
    assert "understood" in quality["notes"][0] or "misheard" in quality["notes"][0]


@pytest.mark.parametrize("mode", ["low", "high", "ultra"])
def test_pictures_in_every_mode(http: httpx.Client, mode: str) -> None:
    body = {"model": "dall-e-3", "prompt": "red heart", "quality": mode, "seed": 3, "n": 2, "output_format": "webp"}
    answer = http.post("/v1/images/generations", json=body)
    assert answer.status_code == 200, answer.text
    drawn = answer.json()
    assert drawn["quality"] == ("max" if mode == "ultra" else mode)
    assert len(drawn["data"]) == 2
    for item in drawn["data"]:
        picture = Image.open(BytesIO(httpx.get(item["url"]).content))
        assert (picture.format, picture.size) == ("WEBP", (64, 64))
        red, green, _ = picture.convert("RGB").resize((1, 1), Image.Resampling.BOX, (20, 20, 44, 44)).getpixel((0, 0))  # type: ignore[misc]
        assert red > green + 60
