"""The clips that are heard, and what is made of an answer."""

import io
import wave
from dataclasses import asdict

import httpx
import numpy as np
import pytest

from scripts.quality import transcription
from scripts.quality.clips import ACCENTS, RATE, as_wav, babble, espeak, mixed, normal, resampled
from scripts.quality.sentences import PLAIN

pytestmark = pytest.mark.anyio


def test_the_sentences_are_all_different() -> None:
    assert len(PLAIN) == len(set(PLAIN)) >= 60


@pytest.mark.parametrize("accent", ACCENTS)
def test_every_accent_speaks(accent: str) -> None:
    said = espeak().say("The quick brown fox.", accent, 1.0, 50)
    assert 0.8 * RATE < said.size < 2.5 * RATE
    assert np.abs(said).max() > 0.2
    again = espeak().say("The quick brown fox.", accent, 1.0, 50)
    assert again.size == pytest.approx(said.size, rel=0.01)
    assert espeak().say("The quick brown fox.", accent, 1.6, 50).size < 0.8 * said.size


def test_an_unknown_accent() -> None:
    with pytest.raises(LookupError):
        espeak().say("Hello.", "en-mars", 1.0, 50)


@pytest.mark.parametrize("ratio", [10.0, 0.0, -5.0])
def test_noise_has_the_power_that_is_asked_for(ratio: float) -> None:
    speech = normal(np.sin(np.arange(RATE) / 5))
    noise = np.random.default_rng(1).normal(size=RATE)
    added = mixed(speech, noise, ratio) - speech
    assert 10 * np.log10(np.mean(speech**2) / np.mean(added**2)) == pytest.approx(ratio, abs=0.1)


def test_silence_around_speech_does_not_count_as_speech() -> None:
    speech = np.concatenate([np.zeros(3 * RATE), normal(np.sin(np.arange(RATE) / 5))])
    noise = np.random.default_rng(1).normal(size=speech.size)
    added = mixed(speech, noise, 10.0) - speech
    assert 10 * np.log10(np.mean(speech[-RATE:] ** 2) / np.mean(added**2)) == pytest.approx(10.0, abs=0.2)


def test_babble_is_as_long_as_asked_and_has_no_gaps() -> None:
    sound = babble(PLAIN, 3.0, np.random.default_rng(1))
    assert sound.size == 3 * RATE
    power = np.square(sound).reshape(12, -1).mean(axis=1)
    assert power.min() > 0.1 * power.mean()


def test_a_tone_stays_the_same_tone() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
    again = resampled(tone, 22_050)
    assert again.size == RATE
    assert np.allclose(again, np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE), atol=0.01)


async def test_the_score_is_the_word_error_rate() -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.content)
        body = {
            "text": "The cat sat down.",
            "segments": [{"avg_logprob": -0.25}],
            "usage": {"credits": 0.007, "quality": {"mode": "high", "passes": 1}},
        }
        return httpx.Response(200, json=body, headers={"x-quality-passes": "1"})

    audio = as_wav(np.zeros(RATE))
    item = transcription.Clip(id="1", kind="fast", text="The cat sat.", recording=audio)
    kept = {"id": "1", "kind": "fast", "weight": 1.0, "of_seed": 0, "drawn_as": "", "text": "The cat sat."}
    assert asdict(item) == kept
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://test") as client:
        outcome = await transcription.ask(client, item, "high")
    assert outcome.score == pytest.approx(1 / 3)
    assert (outcome.credits, outcome.passes) == (0.007, 1)
    assert outcome.detail["logprobs"] == [-0.25]
    assert audio in asked[0]
    assert b"high" in asked[0]


def test_a_clip_is_a_wav_file() -> None:
    with wave.open(io.BytesIO(as_wav(np.full(RATE, 2.0)))) as file:
        assert (file.getframerate(), file.getnframes(), file.getnchannels()) == (RATE, RATE, 1)
        assert np.frombuffer(file.readframes(9), "<i2").max() == 32767
