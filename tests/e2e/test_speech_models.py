"""The starter voice speaks, FFmpeg decodes every format of it, and Whisper reads it back word for word."""

import asyncio
import io
import re
import wave
from contextlib import aclosing
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from server.core import AudioChunk, AudioFormat, Event, Facts, SpeechJob, Usage
from server.engines.piper.handler import PiperHandler, create
from server.engines.worker.engine import WorkerEngine
from server.settings import Settings
from tests.reading import handled, ran

pytestmark = [pytest.mark.models, pytest.mark.anyio]

TEXT = "The quick brown fox jumps over the lazy dog. Does the sun rise in the east? Yes, it does, every single morning!"
LONG = (
    "Although the committee had spent several weeks studying the proposal, reading every report that was available, "
    "and listening to experts from all over the country, nobody could agree on what should be done next, "
    "so the decision was postponed until the autumn."
)
FORMATS: tuple[AudioFormat, ...] = ("mp3", "opus", "aac", "flac", "wav", "pcm")
WHISPER_RATE = 16_000

OPTIONS = {
    "path": str((Path(Settings().models_dir) / "piper-en-us-joe").resolve()),
    "voices": {"joe": {"file": "en_US-joe-medium.onnx", "names": ["onyx"], "speaker": None}},
    "sentence_pause": 0.2,
    # The voice's own random variation is taken out, so that what Whisper hears is the same in every run.
    "noise_scale": 0.0,
    "noise_w": 0.0,
}


@pytest.fixture(scope="module")
def voice() -> PiperHandler:
    return create(OPTIONS)


@pytest.fixture(scope="module")
def whisper() -> Any:
    from faster_whisper import WhisperModel

    path = Path(Settings().models_dir) / "whisper-tiny-en"
    return WhisperModel(str(path), device="cpu", compute_type="int8", local_files_only=True)


def speech(events: list[Event | None]) -> tuple[list[bytes], Usage]:
    """The chunks and the usage of a job, once the order of its events is checked."""
    assert isinstance(events[0], Facts)
    usage = events[-1]
    assert isinstance(usage, Usage)
    assert sum(isinstance(event, Facts | Usage) for event in events) == 2
    return [event.data for event in events if isinstance(event, AudioChunk)], usage


def say(voice: PiperHandler, text: str, kind: AudioFormat = "pcm", **fields: Any) -> tuple[list[bytes], Usage]:
    return speech(list(handled(voice, SpeechJob(text=text, format=kind, **fields))))


def decode(data: bytes, kind: AudioFormat, rate: int = WHISPER_RATE) -> tuple[NDArray[np.float32], int]:
    """Samples at `rate`, shape [n], and the rate that the file itself has."""
    known: dict[str, Any] = {"format": "s16le", "options": {"sample_rate": "24000"}} if kind == "pcm" else {}
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    with av.open(io.BytesIO(data), **known) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.channels == 1
        frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]), stream.rate


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def heard(whisper: Any, samples: NDArray[np.float32]) -> list[str]:
    segments, _ = whisper.transcribe(samples, beam_size=5, temperature=0.0)
    return words(" ".join(segment.text for segment in segments))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_a_file_that_whisper_reads_back(voice: PiperHandler, whisper: Any, kind: AudioFormat) -> None:
    chunks, usage = say(voice, TEXT, kind)
    samples, rate = decode(b"".join(chunks), kind)
    assert rate == (48_000 if kind == "opus" else 24_000)
    assert samples.size / WHISPER_RATE == pytest.approx(usage.details["seconds"], abs=0.15)
    assert 5 < usage.details["seconds"] < 12
    assert heard(whisper, samples) == words(TEXT)
    assert usage.characters == len(TEXT)
    # The beginning of the first sentence, its rest, and a chunk for each of the other two.
    assert len(chunks[0]) < sum(map(len, chunks)) / 10
    assert all(len(chunk) > sum(map(len, chunks)) / 10 for chunk in chunks[1:4])


def test_wav_reads_in_python_s_strict_reader(voice: PiperHandler) -> None:
    chunks, usage = say(voice, "One short sentence.", "wav")
    with wave.open(io.BytesIO(b"".join(chunks))) as reader:
        frames = reader.readframes(reader.getnframes())
        assert reader.getframerate() == 24_000
    assert len(frames) / 48_000 == pytest.approx(usage.details["seconds"], abs=0.001)


@pytest.mark.parametrize("speed", [0.5, 1.25])
def test_speed_changes_the_length_and_not_the_words(voice: PiperHandler, whisper: Any, speed: float) -> None:
    natural = say(voice, TEXT)[1].details["seconds"]
    chunks, usage = say(voice, TEXT, speed=speed)
    assert usage.details["seconds"] == pytest.approx(natural / speed, rel=0.12)
    # Of slow speech Whisper may write "sun rise".
    assert "".join(heard(whisper, decode(b"".join(chunks), "pcm")[0])) == "".join(words(TEXT))


@pytest.mark.parametrize("speed", [0.25, 4.0])
def test_the_extremes_of_speed_speak(voice: PiperHandler, speed: float) -> None:
    chunks, usage = say(voice, "One short sentence.", "mp3", speed=speed)
    samples, _ = decode(b"".join(chunks), "mp3")
    assert samples.size / WHISPER_RATE == pytest.approx(usage.details["seconds"], abs=0.15)
    assert float(np.sqrt(np.mean(samples**2))) > 0.02


def test_a_long_sentence_is_cut_and_still_read_back(voice: PiperHandler, whisper: Any) -> None:
    chunks, _ = say(voice, LONG)
    assert len(chunks) >= 4
    assert heard(whisper, decode(b"".join(chunks), "pcm")[0]) == words(LONG)


def test_what_espeak_trips_over_is_read_well(voice: PiperHandler, whisper: Any) -> None:
    """An ellipsis ran the words round it together, and a title's point ended the sentence."""
    chunks, _ = say(voice, "Wait... the train is late. Mr. Smith is home—finally.")
    read = heard(whisper, decode(b"".join(chunks), "pcm")[0])
    assert read == words("Wait, the train is late. Mr Smith is home, finally.")


@pytest.mark.parametrize("text", ["...", "—", "?!"])
def test_nothing_to_say_is_a_short_silence(voice: PiperHandler, text: str) -> None:
    chunks, _ = say(voice, text, "mp3")
    samples, _ = decode(b"".join(chunks), "mp3")
    assert 0.25 < samples.size / WHISPER_RATE < 0.45
    assert float(np.abs(samples).max()) < 0.001


@pytest.mark.parametrize(
    "text", ["😀", "日本語", "a [[b]] c [[", "\ud800 x", "1" * 500, "<speak>hi</speak>", "a" * 4096]
)
def test_odd_texts_are_spoken_somehow(voice: PiperHandler, text: str) -> None:
    chunks, _ = say(voice, text, speed=4.0)
    assert float(np.abs(decode(b"".join(chunks), "pcm")[0]).max()) > 0.1


async def test_two_jobs_at_once_in_one_worker_do_not_mix(whisper: Any) -> None:
    texts = ["The first speaker talks about the weather.", "Somebody else would like to order a pizza."]
    engine = WorkerEngine("server.engines.piper.handler:create", OPTIONS, name="speech", concurrency=2)
    await engine.start()
    try:

        async def one(text: str) -> list[Event | None]:
            return [event async for event in ran(engine, SpeechJob(text=text, format="flac"))]

        for text, events in zip(texts, await asyncio.gather(*map(one, texts)), strict=True):
            chunks, _ = speech(events)
            assert heard(whisper, decode(b"".join(chunks), "flac")[0]) == words(text)
    finally:
        await engine.stop()


async def test_a_cancelled_job_makes_room_at_once() -> None:
    engine = WorkerEngine("server.engines.piper.handler:create", OPTIONS, name="speech", concurrency=1)
    await engine.start()
    try:
        async with aclosing(ran(engine, SpeechJob(text=LONG * 100, format="mp3"))) as events:
            assert isinstance(await anext(events), Facts)
            assert isinstance(await anext(events), AudioChunk)
        async with asyncio.timeout(20):  # all of it takes minutes
            async with aclosing(ran(engine, SpeechJob(text="Next."))) as events:
                assert isinstance(await anext(events), Facts)
        assert engine.alive
    finally:
        await engine.stop()
