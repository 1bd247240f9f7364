"""The starter model hears a recording alone as it hears it in the company of others."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.core import Segment, TranscriptionJob
from server.engines.whisper.handler import WhisperHandler, create
from server.media.audio_decode import RATE, AudioFile
from server.media.wav import as_wav
from server.settings import Settings

pytestmark = pytest.mark.models

SETTINGS = Settings()
FOX = Path("model_configs/probes/fox.ogg").read_bytes()


@pytest.fixture(scope="module")
def ears() -> WhisperHandler:
    return create({"path": str(SETTINGS.models_dir / "whisper-tiny-en"), "english_only": True, "max_batch": 4})


def spoken(times: int, pause: float) -> bytes:
    """The fox, some times over, with `pause` seconds of silence before each."""
    with AudioFile(FOX, max_seconds=60) as file:
        fox = file.read(60 * RATE)
    silence = np.zeros(round(pause * RATE), np.int16)
    return as_wav(np.concatenate([part for _ in range(times) for part in (silence, fox)]).tobytes(), RATE)


def heard(ears: WhisperHandler, audio: bytes, **fields: Any) -> list[Segment]:
    reading = ears.read(TranscriptionJob(audio=audio, beam_size=1, fallback=False, **fields))
    try:
        return [event for event in reading.run(None) if isinstance(event, Segment)]
    finally:
        reading.close()


def outcome(segments: list[Segment]) -> list[tuple[Any, ...]]:
    return [(s.id, s.start, s.end, s.text, s.tokens, s.seek, s.words) for s in segments]


def test_alone_and_in_company(ears: WhisperHandler) -> None:
    audios = [spoken(1, 0.1), spoken(2, 0.5), spoken(3, 0.3), spoken(12, 0.6)]
    alone = [heard(ears, audio) for audio in audios]
    together = threading.Barrier(len(audios))

    def at_once(audio: bytes) -> list[Segment]:
        together.wait(60)
        return heard(ears, audio)

    with ThreadPoolExecutor(len(audios)) as pool:
        company = list(pool.map(at_once, audios))
    assert [outcome(segments) for segments in company] == [outcome(segments) for segments in alone]
    for one, other in zip(chain(*alone), chain(*company), strict=True):
        assert other.avg_logprob == pytest.approx(one.avg_logprob, abs=1e-3)
        assert other.no_speech_prob == pytest.approx(one.no_speech_prob, abs=1e-3)


def test_a_long_recording_is_heard_whole_and_in_order(ears: WhisperHandler) -> None:
    segments = heard(ears, spoken(16, 0.8), words=True)
    text = "".join(segment.text for segment in segments).lower()
    assert text.count("fox") == 16
    starts = [segment.start for segment in segments]
    assert starts == sorted(starts)
    assert len({segment.seek for segment in segments}) >= 2
    # Each segment's words lie in it, whichever window it was heard in.
    for segment in segments:
        assert segment.words
        assert segment.start <= segment.words[0].start <= segment.words[-1].end <= segment.end
