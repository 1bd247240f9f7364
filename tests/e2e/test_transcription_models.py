"""Whisper reads back, word for word, what the starter voice said, from every format; silence stays silent."""

import asyncio
import io
import json
import os
import re
import signal
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from server.core import AudioChunk, AudioFormat, Event, Segment, SpeechJob, TranscriptInfo, TranscriptionJob, Usage
from server.engines.piper.handler import create as create_voice
from server.engines.whisper import reading, windows
from server.engines.whisper.handler import WhisperHandler, create
from server.engines.worker.engine import WorkerEngine
from server.errors import EngineFailed, InvalidRequest
from server.media.audio_decode import RATE, AudioFile
from server.settings import Settings
from server.testing import FakeServer
from tests.reading import handled, ran

pytestmark = [pytest.mark.models, pytest.mark.anyio]

TEXT = "The quick brown fox jumps over the lazy dog. Every morning the sun rises in the east."
STORY = (
    "The captain looked at his watch. Nobody spoke for a long time. Then the bells began to ring. "
    "The baker sold fresh bread and sweet cakes. Snow fell on the empty streets. A train whistled behind the hills. "
    "Two cats slept under the bridge. The river was full of fallen leaves. Morning came with golden light. "
    "Farmers carried milk to the market. The school opened its doors again. Everyone was happy to be home."
)
MODELS = Settings().models_dir.resolve()
OPTIONS = {"name": "whisper-tiny-en", "path": str(MODELS / "whisper-tiny-en"), "english_only": True}
VOICE = {
    "path": str(MODELS / "piper-en-us-joe"),
    "voices": {"joe": {"file": "en_US-joe-medium.onnx", "names": [], "speaker": None}},
    # Without the voice's random variation, what Whisper hears is the same in every run.
    "noise_scale": 0.0,
    "noise_w": 0.0,
}


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    for folder in (OPTIONS["path"], VOICE["path"]):
        if not Path(str(folder)).is_dir():
            pytest.skip(f"{folder} IS MISSING: run scripts/models, or nothing of transcription is tested for real")


@pytest.fixture(scope="module")
def say() -> Any:
    handler = create_voice(VOICE)

    def spoken(text: str, form: AudioFormat = "wav") -> bytes:
        events = handled(handler, SpeechJob(text=text, format=form))
        return b"".join(event.data for event in events if isinstance(event, AudioChunk))

    return spoken


@pytest.fixture(scope="module")
def model() -> WhisperHandler:
    return create(OPTIONS)


@pytest.fixture
async def engine() -> AsyncIterator[WorkerEngine]:
    worker = WorkerEngine("server.engines.whisper.handler:create", OPTIONS, name="whisper")
    await worker.start()
    yield worker
    await worker.stop()


def wav(samples: NDArray[np.int16], rate: int = RATE) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(rate)
        sink.writeframes(samples.tobytes())
    return file.getvalue()


def resampled(data: bytes, rate: int, container: str, codec: str) -> bytes:
    """The speech again, in stereo, at another rate."""
    with AudioFile(data, max_seconds=600) as audio:
        frame = av.AudioFrame.from_ndarray(audio.read(10**8)[None], format="s16", layout="mono")
    frame.sample_rate = RATE
    file = io.BytesIO()
    with av.open(file, "w", format=container) as sink:
        stream = sink.add_stream(codec, rate=rate, layout="stereo")
        resampler = av.AudioResampler(stream.format.name, "stereo", rate, frame_size=stream.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            sink.mux(stream.encode(part))
        sink.mux(stream.encode(None))
    return file.getvalue()


def heard(events: Iterator[Event | None]) -> tuple[list[Segment], TranscriptInfo, Usage]:
    listed = [event for event in events if event is not None]
    info, usage = listed[1], listed[-1]
    assert isinstance(info, TranscriptInfo)
    assert isinstance(usage, Usage)
    return [event for event in listed if isinstance(event, Segment)], info, usage


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z ]", "", text.lower()).split()


def text_of(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments)


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "wav"])
def test_speech_is_read_back_from_every_format(model: WhisperHandler, say: Any, form: AudioFormat) -> None:
    segments, info, usage = heard(handled(model, TranscriptionJob(audio=say(TEXT, form))))
    assert words(text_of(segments)) == words(TEXT)
    assert info.language == "en"
    assert usage.audio_seconds == info.duration == pytest.approx(5.5, abs=1.0)


@pytest.mark.parametrize(
    ("rate", "container", "codec"),
    [(8_000, "wav", "pcm_s16le"), (48_000, "wav", "pcm_s16le"), (48_000, "webm", "libopus"), (44_100, "mp4", "aac")],
)
def test_telephone_and_studio_sound(model: WhisperHandler, say: Any, rate: int, container: str, codec: str) -> None:
    data = resampled(say(TEXT), rate, container, codec)
    segments, _, _ = heard(handled(model, TranscriptionJob(audio=data)))
    assert words(text_of(segments)) == words(TEXT)


def test_words_lie_in_their_segments(model: WhisperHandler, say: Any) -> None:
    job = TranscriptionJob(audio=say(TEXT), words=True)
    segments, info, _ = heard(handled(model, job))
    placed = [word for segment in segments for word in segment.words]
    assert words(" ".join(word.word for word in placed)) == words(TEXT)
    times = [time for word in placed for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] < 0.5
    assert info.duration - 1.0 < times[-1] <= info.duration
    assert [type(time) for time in times] == [float] * len(times)
    fox = next(word for word in placed if "fox" in word.word)
    assert 0.5 < fox.start < fox.end < 2.0


def test_a_long_story_is_whole_across_windows(model: WhisperHandler, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 15 seconds at most: no word is lost or doubled where they meet."""
    monkeypatch.setattr(reading, "LONGEST", 15 * RATE)
    monkeypatch.setattr(windows, "SHORTEST", 9 * RATE)
    segments, info, usage = heard(handled(model, TranscriptionJob(audio=say(STORY))))
    assert info.duration > 20
    # The tiny model mishears a word now and then; a lost or doubled stretch would weigh much more.
    assert SequenceMatcher(None, words(text_of(segments)), words(STORY)).ratio() > 0.95
    assert usage.audio_seconds == pytest.approx(info.duration, abs=0.1)
    assert [segment.id for segment in segments] == list(range(len(segments)))
    assert all(before.end <= after.start + 0.01 for before, after in pairwise(segments))
    assert len({segment.seek for segment in segments}) > 1


@pytest.mark.parametrize("seconds", [0.05, 5, 40])
def test_silence_is_empty_text(model: WhisperHandler, seconds: float) -> None:
    """Whisper itself hears "You" in five seconds of silence."""
    segments, info, _ = heard(handled(model, TranscriptionJob(audio=wav(np.zeros(int(seconds * RATE), np.int16)))))
    assert segments == []
    assert info.duration == seconds


@pytest.mark.parametrize("vad", [False, True])
def test_hum_and_hiss_are_empty_text(vad: bool) -> None:
    model = create({**OPTIONS, "vad": vad})
    times = np.arange(5 * RATE) / RATE
    hum = 3000 * np.sin(2 * np.pi * 50 * times)
    hiss = np.random.default_rng(0).normal(size=times.size) * 30
    for sound in (hum, hiss):
        segments, _, _ = heard(handled(model, TranscriptionJob(audio=wav(sound.astype(np.int16)))))
        assert segments == []


async def test_the_worker_streams_refuses_and_stops(engine: WorkerEngine, say: Any) -> None:
    """Through the process: segments as they come, refusals with their reason, a hang-up that ends the work."""
    async with aclosing(ran(engine, TranscriptionJob(audio=say(TEXT)))) as events:
        segments = [event async for event in events if isinstance(event, Segment)]
    assert words(text_of(segments)) == words(TEXT)

    with pytest.raises(InvalidRequest) as caught:
        await anext(ran(engine, TranscriptionJob(audio=b"no sound")))
    assert caught.value.param == "file"

    async with aclosing(ran(engine, TranscriptionJob(audio=say(STORY)))) as events:
        async for event in events:
            if isinstance(event, Segment):
                break
        assert engine.running == 1
    async with asyncio.timeout(10):  # under load; a window of 30 s takes Whisper tiny well under a second
        while engine.running:
            await asyncio.sleep(0.01)


async def test_the_route_answers_from_the_model(engine: WorkerEngine, say: Any, settings: Settings) -> None:
    async with FakeServer(settings) as server, server.client() as client:
        server.registry.engines["fake-transcription"] = engine  # type: ignore[index]
        answer = await client.post(
            "/v1/audio/transcriptions",
            data={"model": "everything", "response_format": "verbose_json", "timestamp_granularities[]": "word"},
            files={"file": ("speech.mp3", say(TEXT, "mp3"))},
        )
        transcript = answer.json()
        assert words(" ".join(word["word"] for word in transcript["words"])) == words(transcript["text"]) == words(TEXT)
        assert transcript["language"] == "english"
        streamed = await client.post(
            "/v1/audio/transcriptions",
            data={"model": "everything", "stream": "true"},
            files={"file": ("speech.mp3", say(TEXT, "mp3"))},
        )
        events = [json.loads(frame.removeprefix("data: ")) for frame in streamed.text.split("\n\n") if frame]
        assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"] == transcript["text"]
        refused = await client.post(
            "/v1/audio/translations",
            data={"model": "everything", "language": "fr"},
            files={"file": ("speech.mp3", say(TEXT, "mp3"))},
        )
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "language")


async def test_a_killed_worker_fails_its_job_only(engine: WorkerEngine, say: Any) -> None:
    assert engine.pid is not None
    events = ran(engine, TranscriptionJob(audio=say(STORY)))
    await anext(events)
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EngineFailed):
        async for _ in events:
            pass
    assert not engine.alive
