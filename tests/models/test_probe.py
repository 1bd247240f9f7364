"""The probes find broken models by what the models say, speak, read and draw."""

import io
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from server.core import (
    AudioChunk,
    ChatJob,
    Event,
    Facts,
    ImageJob,
    Job,
    Picture,
    ReasoningDelta,
    ScoreJob,
    Scores,
    Segment,
    SpeechJob,
    Task,
    TextDelta,
    TokenLogprob,
    TranscriptionJob,
    Usage,
)
from server.engines.base import Footprint
from server.errors import EngineFailed, InvalidRequest, ModelUnavailable
from server.models.config.spec import FakeModel, ModelSpec, Probe, VllmModel
from server.models.probe import ANOTHERS, check, smallest_job
from tests.reading import Streams

pytestmark = pytest.mark.anyio


class Answers(Streams):
    """An engine that answers every job by the same events, and keeps the jobs."""

    alive = True
    running = 0

    def __init__(self, *events: Event) -> None:
        self.events = events
        self.jobs: list[Job] = []

    @property
    def job(self) -> Job | None:
        return self.jobs[-1] if self.jobs else None

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def footprint(self) -> Footprint:
        return Footprint()

    async def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
        self.jobs.append(job)
        yield Facts()
        for event in self.events:
            yield event
        yield Usage()


def spec(task: Task, prompt: str = "Hello there", expect: str = "", timeout: float = 5) -> FakeModel:
    probe = Probe(prompt=prompt, expect=expect, timeout=timeout)
    return FakeModel(name="m", engine="fake", serves=task, probe=probe)


def segment(text: str) -> Segment:
    return Segment(0, 0, 0.0, 1.0, text, (), 0.0, -0.1, 1.0, 0.0)


def tone(seconds: float, level: float) -> AudioChunk:
    wave = level * np.sin(np.arange(int(seconds * 24000)) * 0.1) * 32767
    return AudioChunk(wave.astype("<i2").tobytes())


def picture(image: Image.Image, partial: int | None = None) -> Picture:
    data = io.BytesIO()
    image.save(data, "PNG")
    return Picture(0, data.getvalue(), image.width, image.height, partial)


async def fails(model: ModelSpec, engine: Answers, path: Path = Path()) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        await check(model, engine, path)
    return caught.value.message


BARE: dict[Task, dict[str, Any]] = {
    Task.CHAT: {"engine": "vllm"},
    Task.COMPLETION: {"engine": "vllm"},
    Task.TOKENIZE: {"engine": "vllm"},
    Task.TRANSCRIPTION: {"engine": "whisper"},
    Task.SPEECH: {"engine": "piper", "voices": {"joe": {"file": "joe.onnx"}}},
    Task.IMAGE: {"engine": "diffusers", "size": [64, 64]},
    Task.EMBEDDING: {"engine": "embed"},
    Task.SCORE: {"engine": "embed", "cross_encoder": True},
}
"""The rest of a config without a probe."""


def bare(task: Task, **fields: Any) -> ModelSpec:
    """A model without a probe."""
    return TypeAdapter[ModelSpec](ModelSpec).validate_python({"name": "m", "path": "m", **BARE[task], **fields})


@pytest.mark.parametrize("task", Task)
async def test_without_a_probe_the_smallest_job_must_come_through(task: Task) -> None:
    engine = Answers()
    await check(bare(task), engine, Path())
    # A language model's other tasks are proved by its chat.
    assert engine.jobs[0].task is (Task.CHAT if task in ANOTHERS else task)


class Both(VllmModel):
    """A model that chats, and draws as well."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        return (Task.CHAT, Task.IMAGE)


@pytest.mark.parametrize("probe", [None, Probe(prompt="Hi", expect="hello")])
async def test_each_task_of_a_model_is_tried(probe: Probe | None) -> None:
    engine = Answers(TextDelta(0, "Hello!"))
    await check(Both(name="m", engine="vllm", path="m", probe=probe), engine, Path())
    first, second = engine.jobs
    assert isinstance(first, ChatJob)
    assert first.messages[0]["content"] == ("Hello" if probe is None else "Hi")
    assert isinstance(second, ImageJob)
    assert second.steps == 1


async def test_the_smallest_jobs_are_small() -> None:
    chat, image, ears = (smallest_job(task) for task in (Task.CHAT, Task.IMAGE, Task.TRANSCRIPTION))
    assert isinstance(chat, ChatJob)
    assert (chat.max_tokens, chat.temperature) == (1, 0.0)
    assert isinstance(image, ImageJob)
    assert (image.steps, image.n, image.width) == (1, 1, None)
    assert isinstance(ears, TranscriptionJob)
    assert (len(ears.audio), ears.vad) == (44 + 2 * 16_000, False)  # a WAV header and a second, heard as it is


@pytest.mark.parametrize("task", Task)
async def test_an_engine_that_cannot_compute_is_not_served(task: Task) -> None:
    class Dies(Answers):
        async def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
            yield Facts()
            raise EngineFailed

    assert (await fails(bare(task), Dies())).startswith("The model's probe failed: The model's engine stopped")


async def test_a_first_token_without_a_probability_is_a_failure() -> None:
    broken = TextDelta(0, "!", (TokenLogprob("!", float("nan"), (33,)),))
    assert "no number" in await fails(bare(Task.CHAT), Answers(broken))


async def test_a_model_that_refuses_the_smallest_job_is_served_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refuses(Answers):
        async def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
            raise InvalidRequest("This model has no chat template.")
            yield

    await check(bare(Task.CHAT), Refuses(), Path())
    assert "model m: not probed, since it refuses the smallest job: This model has no chat template." in caplog.text


async def test_the_smallest_job_has_a_bound_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hangs(Answers):
        async def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
            await anyio.sleep_forever()
            yield

    bounds: list[float] = []

    def at_once(seconds: float) -> Any:
        bounds.append(seconds)
        return timed(0)

    timed = anyio.fail_after
    monkeypatch.setattr(anyio, "fail_after", at_once)
    assert await fails(bare(Task.CHAT), Hangs()) == "The model's probe took longer than 120 s."
    assert "600 s" in await fails(bare(Task.IMAGE, compile=True), Hangs())
    assert bounds == [120, 600]


async def test_a_fake_is_asked_nothing() -> None:
    engine = Answers()
    await check(FakeModel(name="m", engine="fake", serves=Task.CHAT), engine, Path())
    assert engine.job is None


async def test_chat_is_asked_greedily_and_case_does_not_matter() -> None:
    engine = Answers(TextDelta(0, "The capital is TO"), TextDelta(0, "KYO."))
    await check(spec(Task.CHAT, "Capital of Japan?", "Tokyo"), engine, Path())
    assert isinstance(engine.job, ChatJob)
    assert (engine.job.temperature, engine.job.max_tokens) == (0.0, 32)
    assert engine.job.messages == ({"role": "user", "content": "Capital of Japan?"},)


async def test_an_answer_in_the_reasoning_counts() -> None:
    await check(spec(Task.CHAT, expect="Tokyo"), Answers(ReasoningDelta(0, "It is Tokyo")), Path())


async def test_gibberish_is_told_with_what_was_said() -> None:
    message = await fails(spec(Task.CHAT, "Japan?", "Tokyo"), Answers(TextDelta(0, "!!!!")))
    assert message == "The model's probe failed: asked 'Japan?' it said '!!!!', without 'Tokyo'."


async def test_speech_of_plausible_length_and_loudness() -> None:
    engine = Answers(tone(0.4, 0.2), tone(0.4, 0.2))
    await check(spec(Task.SPEECH), engine, Path())
    assert isinstance(engine.job, SpeechJob)
    assert engine.job.format == "pcm"


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ((), "11 characters were spoken in 0.00 s"),
        ((tone(0.05, 0.2),), "11 characters were spoken in 0.05 s"),
        ((tone(30, 0.2),), "11 characters were spoken in 30.00 s"),
        ((tone(1, 0.0001),), "the speech is silent"),
    ],
)
async def test_broken_speech(chunks: tuple[AudioChunk, ...], reason: str) -> None:
    assert reason in await fails(spec(Task.SPEECH), Answers(*chunks))


async def test_transcription_reads_its_file(tmp_path: Path) -> None:
    (tmp_path / "probe.wav").write_bytes(b"RIFF")
    engine = Answers(segment(" The quick, brown"), segment(" FOX."))
    await check(spec(Task.TRANSCRIPTION, "probe.wav", "quick brown fox"), engine, tmp_path)
    assert isinstance(engine.job, TranscriptionJob)
    assert (engine.job.audio, engine.job.filename) == (b"RIFF", "probe.wav")


async def test_transcription_is_compared_by_whole_words(tmp_path: Path) -> None:
    (tmp_path / "probe.wav").write_bytes(b"RIFF")
    message = await fails(spec(Task.TRANSCRIPTION, "probe.wav", "own fox"), Answers(segment("brown fox")), tmp_path)
    assert message == "The model's probe failed: it read 'brown fox' where 'own fox' is spoken."


async def test_a_missing_probe_file_is_told_without_its_path(tmp_path: Path) -> None:
    message = await fails(spec(Task.TRANSCRIPTION, "probe.wav"), Answers(), tmp_path)
    assert message == "The model's probe failed: its audio file cannot be read."


async def test_a_picture_shows_something() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    engine = Answers(picture(Image.new("RGB", (8, 8)), partial=0), picture(noise))
    await check(spec(Task.IMAGE), engine, Path())
    assert isinstance(engine.job, ImageJob)
    assert engine.job.seed == 0


@pytest.mark.parametrize("color", ["black", "gray", "white"])
async def test_a_flat_picture_fails(color: str) -> None:
    engine = Answers(picture(Image.new("RGB", (32, 32), color)))
    assert "the picture is flat (standard deviation 0.0)" in await fails(spec(Task.IMAGE), engine)


async def test_no_picture_fails() -> None:
    assert "drew no picture" in await fails(spec(Task.IMAGE), Answers())


async def test_an_engine_that_breaks_fails_its_probe() -> None:
    class Breaks(Answers):
        async def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
            raise EngineFailed
            yield

    assert (await fails(spec(Task.CHAT), Breaks())).startswith("The model's probe failed: The model's engine stopped")


async def test_an_engine_that_hangs_fails_its_probe_and_is_closed() -> None:
    closed = []

    class Hangs(Answers):
        async def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
            try:
                yield Facts()
                await anyio.sleep_forever()
            finally:
                closed.append(job)

    assert await fails(spec(Task.CHAT, timeout=0.01), Hangs()) == "The model's probe took longer than 0.01 s."
    assert len(closed) == 1


def encoder(**fields: Any) -> ModelSpec:
    return bare(Task.EMBEDDING, probe={"prompt": "What is it?", "expect": "It is a test."}, **fields)


async def test_the_passage_that_answers_must_score_clearly_higher() -> None:
    engine = Answers(Scores((0.8, 0.1), "embedding"))
    await check(encoder(), engine, Path())
    asked = engine.jobs[0]
    assert isinstance(asked, ScoreJob)
    assert (asked.queries, asked.documents[0]) == (("What is it?",), "It is a test.")
    for wrong in ((0.5, 0.45), (0.1, 0.8)):
        reason = await fails(encoder(), Answers(Scores(wrong, "embedding")))
        assert f"scored {wrong[0]:.2f}" in reason
    assert "no scores" in await fails(encoder(), Answers())
