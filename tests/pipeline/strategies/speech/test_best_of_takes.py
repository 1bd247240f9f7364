"""Ultra on speech: takes are read back, and the one that is understood best is sent."""

import io
import wave
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from server.core import (
    AudioChunk,
    Event,
    Facts,
    Quality,
    Segment,
    SpeechJob,
    Task,
    TranscriptInfo,
    TranscriptionJob,
    Usage,
)
from server.engines.base import Engine
from server.engines.fake.engine import FakeEngine
from server.errors import EngineFailed, ModelNotFound, Overloaded
from server.models.config.spec import ModelSpec, PiperModel, Price, WhisperModel
from server.pipeline.modes import plan_for
from server.pipeline.strategies.speech.best_of_takes import MOST_VARIATION, take_job
from tests.pipeline.working import Working, asking

pytestmark = pytest.mark.anyio

TEXT = "Forty-two red apples."


def spoken(audio: bytes, voice: str = "joe") -> list[Facts | Event]:
    """A take in two chunks."""
    half = len(audio) // 2
    details = {"voice": voice, "take": audio.decode("latin-1")}
    return [
        Facts(),
        AudioChunk(audio[:half], 10),
        AudioChunk(audio[half:], 11),
        Usage(characters=len(TEXT), details=details),
    ]


def understood(*texts: str) -> list[Facts | Event]:
    """What the transcriber hears, a segment a text."""
    segments = [Segment(i, 0, i, i + 1, text, (1,), 0.0, -0.2, 1.0, 0.0) for i, text in enumerate(texts)]
    return [Facts(audio_seconds=2.0), TranscriptInfo("en", 1.0, 2.0), *segments, Usage(audio_seconds=2.0)]


class Case(Working):
    """A plan at work on a fake voice and a fake transcriber."""

    def __init__(
        self,
        voice: list[Iterable[Facts | Event]],
        ears: list[Iterable[Facts | Event]],
        *,
        budget: float | None = None,
        busy: bool = False,
        takes: int = 3,
        model: dict[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        self.specs: dict[str, ModelSpec] = {
            "voice": PiperModel.model_validate(
                {
                    "name": "voice",
                    "engine": "piper",
                    "path": "x",
                    "voices": {"joe": {"file": "joe.onnx", "language": "en-US"}},
                    "quality": {"ultra": {"takes": takes, "transcriber": "ears"}},
                    **(model or {}),
                }
            ),
            "ears": WhisperModel(name="ears", engine="whisper", path="x"),
        }
        job = SpeechJob(text=TEXT, **fields)
        ask = asking("voice", quality=Quality.ULTRA, budget=budget)
        self.voice, self.ears = FakeEngine(Task.SPEECH), FakeEngine(Task.TRANSCRIPTION)
        self.voice.script, self.ears.script = voice, ears
        self.busy = busy
        self.leases = 0
        self.now = 0.0
        super().__init__(plan_for(ask, job, self), self.voice, self.lease, lambda: self.now)

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        if name not in self.specs or task not in self.specs[name].tasks:
            raise ModelNotFound.named(name)
        return self.specs[name], Price()

    @asynccontextmanager
    async def lease(self, spec: ModelSpec) -> AsyncGenerator[Engine, None]:
        assert spec.name == "ears"
        if self.busy:
            raise Overloaded
        self.leases += 1
        try:
            yield self.ears
        finally:
            self.leases -= 1

    async def run(self) -> list[Facts | Event]:
        await self.voice.start()
        await self.ears.start()
        events = [event async for event in self.events()]
        assert self.leases == 0
        assert (self.voice.running, self.ears.running) == (0, 0)
        return events

    async def audio(self) -> bytes:
        return b"".join(event.data for event in await self.run() if isinstance(event, AudioChunk))


async def test_the_take_that_is_understood_best_is_sent() -> None:
    case = Case(
        [spoken(b"one"), spoken(b"two"), spoken(b"three")],
        [understood(" Forty blue apples."), understood(" 42", " Red apple."), understood(" Forty-two reds.")],
    )
    events = await case.run()
    assert events == [
        Facts(),
        AudioChunk(b"t", 10),
        AudioChunk(b"wo", 11),
        # Every take is paid, and so is the reading back; the details are those of the take that is sent.
        Usage(characters=3 * len(TEXT), audio_seconds=6.0, details={"voice": "joe", "take": "two"}),
    ]
    assert case.work.notes == ["take 2 of 3, 33% of its words misheard"]
    assert [one["pass"] for one in case.work.summary()["tokens_by_pass"]] == ["takes", "read back"]


async def test_a_take_that_is_understood_ends_the_search() -> None:
    case = Case([spoken(b"one"), spoken(b"two")], [understood(" Forty apples."), understood(" 42 red apples!")])
    assert await case.audio() == b"two"
    assert (len(case.voice.jobs), len(case.ears.jobs)) == (2, 2)
    assert case.work.notes == ["take 2, understood"]


async def test_of_equal_takes_the_first_is_sent() -> None:
    case = Case([spoken(b"one"), spoken(b"two")], [understood(" Forty."), understood(" Forty.")], takes=2)
    assert await case.audio() == b"one"


async def test_what_the_transcriber_is_asked() -> None:
    case = Case([spoken(b"one")], [understood(TEXT)], format="flac")
    await case.run()
    assert case.ears.jobs == [TranscriptionJob(audio=b"one", filename="take.flac", language="en", fallback=False)]


async def test_samples_without_a_header_get_one_to_be_read_back() -> None:
    case = Case([spoken(b"\x01\x02\x03\x04")], [understood(TEXT)], format="pcm")
    assert await case.audio() == b"\x01\x02\x03\x04"
    (job,) = case.ears.jobs
    assert isinstance(job, TranscriptionJob)
    with wave.open(io.BytesIO(job.audio)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.readframes(9) == b"\x01\x02\x03\x04"


async def test_without_the_transcriber_the_first_take_is_sent() -> None:
    case = Case([spoken(b"one")], [], busy=True)
    assert await case.audio() == b"one"
    assert case.work.notes[0].startswith("a pass was given up")
    assert case.work.usage.characters == len(TEXT)


async def test_a_transcriber_that_fails_midway_leaves_the_best_so_far() -> None:
    case = Case([spoken(b"one"), spoken(b"two"), spoken(b"three")], [understood("?"), understood(" 42 red.")])

    def dying() -> Iterable[Facts | Event]:
        case.ears.die()
        yield Facts(audio_seconds=2.0)
        yield TranscriptInfo("en", 1.0, 2.0)

    case.ears.script.append(dying())
    assert await case.audio() == b"two"
    assert case.work.notes[0].startswith("a pass was given up")
    assert case.work.notes[1] == "take 2 of 2, 33% of its words misheard"


async def test_a_budget_that_is_used_up_ends_the_search() -> None:
    case = Case([spoken(b"one"), spoken(b"two")], [], budget=60.0)

    def slow() -> Iterable[Facts | Event]:
        yield from understood("?")
        case.now = 61.0

    case.ears.script.append(slow())
    assert await case.audio() == b"one"
    assert len(case.voice.jobs) == 1
    assert case.work.notes[0] == "the time budget was used up"


async def test_a_voice_that_fails_at_the_first_take_fails_the_request() -> None:
    case = Case([], [])

    def dying() -> Iterable[Facts | Event]:
        yield Facts()
        case.voice.die()
        yield AudioChunk(b"one", 3)

    case.voice.script.append(dying())
    with pytest.raises(EngineFailed):
        await case.run()


class TestVariation:
    def job(self, case: Case, number: int) -> SpeechJob:
        job = case.plan.job
        assert isinstance(job, SpeechJob)
        return take_job(job, case.plan.spec, number)

    def test_a_voice_that_varies_speaks_as_it_was_asked(self) -> None:
        assert self.job(Case([], []), 2) == Case([], []).plan.job
        still = Case([], [], noise_scale=0.0, model={"noise_w": 0.3})
        assert self.job(still, 2) == still.plan.job

    def test_a_voice_that_does_not_is_varied_more_and_more(self) -> None:
        still = Case([], [], noise_w=0.0, model={"noise_scale": 0.0})
        jobs = [self.job(still, number) for number in (1, 2, 9)]
        assert [job.noise_scale for job in jobs] == [job.noise_w for job in jobs] == [0.2, 0.4, MOST_VARIATION]
