"""Speech: hard sentences are spoken, then read back by the starter transcriber; the word error rate of what it hears.

Ultra chooses its take by the same model, so the judge must not hear what the chooser heard: it hears the speech with
white noise 20 dB below it, twice, with other noise each time and with Whisper's temperature fallback, and the mean of
both is the score. What is left of the advantage is that both know the same words.
"""

import base64
import io
import json
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any
from zlib import crc32

import httpx
import numpy as np

from scripts.quality.clips import Noise, Samples, as_wav, mixed, normal, resampled
from scripts.quality.frame import Failure, Item, Outcome, checked, outcome
from scripts.quality.hard_sentences import KINDS, hard_sentence
from server.pipeline.spelling import in_one_spelling, word_error_rate

NAME = "speech"
MODELS = ("piper-en-us-joe", "whisper-tiny-en")
UNIT = "word error rate"
HIGHER_IS_BETTER = False
SIZE = 120
AT_ONCE = 1

NOISE = Noise("white", 20.0)
HEARINGS = 2


@dataclass(frozen=True, kw_only=True)
class Sentence(Item):
    """What is to be spoken."""

    text: str


def items(size: int, seed: int) -> Sequence[Sentence]:
    """The kinds by turns, and their templates by turns; what fills them is drawn."""
    rng = np.random.default_rng(seed)
    sentences = []
    for number in range(size):
        kind = KINDS[number % len(KINDS)]
        text = hard_sentence(kind, number // len(KINDS), rng)
        weight = len(in_one_spelling(text))
        sentences.append(Sentence(id=f"{number:03d}-{kind}", kind=kind, weight=weight, text=text))
    return sentences


async def ask(client: httpx.AsyncClient, item: Sentence, mode: str) -> Outcome:
    """The word error rate of one sentence, spoken in the mode; the seconds are those of the speaking alone."""
    body = {
        "model": MODELS[0],
        "voice": "alloy",
        "input": item.text,
        "quality": mode,
        "response_format": "wav",
        "stream_format": "sse",
    }
    begun = time.perf_counter()
    response = checked(await client.post("/v1/audio/speech", json=body))
    seconds = time.perf_counter() - begun
    audio, usage = _spoken(response.text)
    rng = np.random.default_rng(crc32(item.id.encode()))
    heard = [await _heard(client, audio, rng) for _ in range(HEARINGS)]
    score = fmean(word_error_rate(item.text, text) for text in heard)
    return outcome(
        score,
        {**usage, "total_tokens": 0},
        response.headers,
        seconds=seconds,
        detail={"said": item.text, "heard": heard},
    )


def _spoken(events: str) -> tuple[Samples, dict[str, Any]]:
    """The samples, at RATE, and the usage object."""
    data, usage = b"", None
    for line in events.splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        if event["type"] == "speech.audio.delta":
            data += base64.b64decode(event["audio"])
        elif event["type"] == "speech.audio.done":
            usage = event["usage"]
    if usage is None:
        raise Failure(f"the speech broke off: {events[-300:]}")
    with wave.open(io.BytesIO(data)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(1 << 30), "<i2").astype(np.float64) / 32768
    return resampled(samples, rate), usage


async def _heard(client: httpx.AsyncClient, speech: Samples, rng: np.random.Generator) -> str:
    noisy = normal(mixed(speech, rng.normal(size=speech.size), NOISE.ratio))
    response = checked(
        await client.post(
            "/v1/audio/transcriptions",
            data={"model": MODELS[1], "quality": "medium"},
            files={"file": ("speech.wav", as_wav(noisy), "audio/wav")},
        )
    )
    text: str = response.json()["text"]
    return text
