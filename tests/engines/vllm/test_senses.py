"""Pictures and sounds on their way through vLLM, by tiny models with random weights: one sees, one hears."""

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from server.core import ChatJob, TextDelta, Usage
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.errors import InvalidRequest
from server.media.audio_encode import AudioEncoder
from server.settings import load_settings
from tests import tiny_senses

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def chat() -> Path:
    path = load_settings().models_dir.resolve() / "smollm2-135m-instruct"
    assert path.is_dir(), "scripts/models brings the starter models"
    return path


@asynccontextmanager
async def loaded(path: Path, **options: Any) -> AsyncGenerator[VllmEngine]:
    engine = VllmEngine(VllmOptions(name="tiny", path=path, kv_cache=1 << 26, max_num_seqs=4, **options))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def picture(colour: str) -> dict[str, Any]:
    buffer = BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def sound(seconds: float, pitch: float = 440.0) -> dict[str, Any]:
    samples = np.sin(np.arange(round(24_000 * seconds)) * (2 * np.pi * pitch / 24_000)).astype(np.float32) / 2
    with AudioEncoder("mp3", 24_000) as encoder:
        data = encoder.feed(samples) + encoder.finish()
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": "mp3"}}


def asking(*parts: dict[str, Any]) -> ChatJob:
    content = [{"type": "text", "text": "What is this?"}, *parts]
    return ChatJob(
        messages=({"role": "user", "content": content},), max_tokens=2, temperature=0.0, top_logprobs=0, ignore_eos=True
    )


async def answered(engine: VllmEngine, job: ChatJob) -> tuple[int, float, Usage]:
    """Prompt tokens as they were read, the first token's log-probability, and the usage."""
    first: float | None = None
    async with aclosing(await engine.read(job)) as reading, aclosing(reading.run()) as events:
        async for event in events:
            if isinstance(event, TextDelta) and event.logprobs and first is None:
                first = event.logprobs[0].logprob
            if isinstance(event, Usage):
                assert first is not None
                return reading.facts.prompt_tokens, first, event
    raise AssertionError("no usage came")


async def refusal(engine: VllmEngine, job: ChatJob) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        await engine.read(job)
    return refused.value


async def test_a_model_sees_pictures_and_they_are_counted(tmp_path: Path, chat: Path) -> None:
    async with loaded(tiny_senses.build_seeing(tmp_path / "seeing", chat), images=True) as engine:
        blind, _, usage = await answered(engine, asking())
        assert (usage.image_tokens, usage.audio_tokens) == (0, 0)
        tokens, red, usage = await answered(engine, asking(picture("red")))
        assert usage.prompt_tokens == tokens > blind + tiny_senses.IMAGE_TOKENS
        assert usage.image_tokens == tiny_senses.IMAGE_TOKENS
        _, blue, _ = await answered(engine, asking(picture("blue")))
        assert red != blue  # what the picture shows reaches the model
        two, _, usage = await answered(engine, asking(picture("red"), picture("blue")))
        assert two - tokens == tokens - blind
        assert usage.image_tokens == 2 * tiny_senses.IMAGE_TOKENS
        refused = await refusal(engine, asking(sound(0.5)))
        assert (refused.param, refused.message) == ("messages[0].content[1]", "This model does not hear sound.")


async def test_a_model_hears_sounds_and_they_are_counted(tmp_path: Path, chat: Path) -> None:
    path = tiny_senses.build_hearing(tmp_path / "hearing", chat)
    async with loaded(path, audio=True, max_audio_seconds=3.0) as engine:
        deaf, _, usage = await answered(engine, asking())
        assert usage.audio_tokens == 0
        tokens, low, usage = await answered(engine, asking(sound(1.0, 220)))
        assert usage.prompt_tokens == tokens == deaf + usage.audio_tokens + 2  # and the marks of its ends
        assert 25 <= usage.audio_tokens <= 27  # 25 a second, and what the encoder adds to it
        _, high, _ = await answered(engine, asking(sound(1.0, 880)))
        assert low != high
        _, _, usage = await answered(engine, asking(sound(1.0), sound(1.5)))
        assert 62 <= usage.audio_tokens <= 66
        refused = await refusal(engine, asking(sound(1.0), sound(2.5)))
        assert refused.param == "messages[0].content[2]"
        assert "longer than 3 seconds together" in refused.message
        refused = await refusal(engine, asking(picture("red")))
        assert refused.param == "messages[0].content[1].image_url"
