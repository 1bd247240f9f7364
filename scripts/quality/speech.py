"""Speech: hard sentences are spoken, then read back; the word error rate of what is heard.

The judge is Whisper base (see reader.py). Ultra chooses its take by another model, Whisper tiny.en; the word error rate
of what that one hears is `detail.chooser` of each row.
"""

import asyncio
import base64
import io
import json
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from scripts.quality.clips import Samples, as_wav, resampled
from scripts.quality.frame import Failure, Item, Outcome, checked, outcome
from scripts.quality.hard_sentences import KINDS, hard_sentence
from scripts.quality.reader import load, read_back
from server.english.word_errors.rate import word_error_rate
from server.english.word_errors.spelling import in_one_spelling

NAME = "speech"
MODELS = ("piper-en-us-joe", "whisper-tiny-en")
UNIT = "word error rate"
HIGHER_IS_BETTER = False
SIZE = 120
AT_ONCE = 1


@dataclass(frozen=True, kw_only=True)
class Sentence(Item):
    """What is to be spoken."""

    text: str


def prepare() -> None:
    """Bring the judge. Raises StarterError."""
    load()


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
    heard = await asyncio.to_thread(read_back, audio)
    chooser = await _chooser(client, audio)
    return outcome(
        word_error_rate(item.text, heard),
        {**usage, "total_tokens": 0},
        response.headers,
        seconds=seconds,
        detail={"said": item.text, "heard": heard, "chooser": round(word_error_rate(item.text, chooser), 4)},
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


async def _chooser(client: httpx.AsyncClient, speech: Samples) -> str:
    """What the starter transcriber hears."""
    response = checked(
        await client.post(
            "/v1/audio/transcriptions",
            data={"model": MODELS[1], "quality": "medium"},
            files={"file": ("speech.wav", as_wav(speech), "audio/wav")},
        )
    )
    text: str = response.json()["text"]
    return text
