"""Transcription: the word error rate on speech that is accented, fast and noisy, in clips of two sentences.

The voices are espeak-ng in six accents and the starter voice of piper; the noise is white, or a babble of voices, at
10, 5 and 0 dB. Numbers and abbreviations are spelled alike on both sides before words are compared, by the server's own
table (server/english/word_errors/spelling.py), and every clip counts by the number of its words.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from itertools import product
from pathlib import Path

import httpx
import numpy as np

from scripts.quality.clips import ACCENTS, PIPER, RATE, Joe, Noise, as_wav, babble, espeak, mixed, normal
from scripts.quality.frame import Item, Outcome, checked, outcome
from scripts.quality.sentences import PLAIN
from server.english.word_errors.rate import word_error_rate
from server.english.word_errors.spelling import in_one_spelling

NAME = "transcription"
MODELS = ("whisper-tiny-en",)
UNIT = "word error rate"
HIGHER_IS_BETTER = False
SIZE = 140
AT_ONCE = 1

VOICE = Path("models/piper-en-us-joe/en_US-joe-medium.onnx")
FAST = (1.5, 1.65, 1.8)
NOISES = tuple(Noise(kind, ratio) for kind, ratio in product(("white", "babble"), (10.0, 5.0, 0.0)))
VOICES = (*ACCENTS, PIPER)


@dataclass(frozen=True, kw_only=True)
class Clip(Item):
    """A recording and what is said in it. The bytes are no field, so that they are not kept beside the figures."""

    text: str
    recording: InitVar[bytes]

    def __post_init__(self, recording: bytes) -> None:
        self.__dict__["audio"] = recording

    @property
    def sound(self) -> bytes:
        """A WAV file."""
        audio: bytes = self.__dict__["audio"]
        return audio


def prepare() -> None:
    """Nothing is needed."""


def items(size: int, seed: int) -> Sequence[Clip]:
    """Of twenty clips, six are accented only, seven fast and seven noisy; voices and noises go round."""
    rng = np.random.default_rng(seed)
    joe = Joe(VOICE, seed)
    order = [PLAIN[i] for _ in range(2 * size // len(PLAIN) + 1) for i in rng.permutation(len(PLAIN))]
    clips = []
    for number in range(size):
        text = " ".join(order[2 * number : 2 * number + 2])
        kind = "accented" if number % 20 < 6 else "fast" if number % 20 < 13 else "noisy"
        voice = VOICES[(number + number // 20) % len(VOICES)]
        if kind == "noisy" and number % 2:
            voice = PIPER
        speed = FAST[rng.integers(len(FAST))] if kind == "fast" else 1.0
        said = joe.say(text, speed) if voice == PIPER else espeak().say(text, voice, speed, int(rng.integers(30, 70)))
        speech = normal(said)
        name = f"{kind}-{voice}-{speed:g}"
        if kind == "noisy":
            noise = NOISES[rng.integers(len(NOISES))]
            sound = rng.normal(size=speech.size) if noise.kind == "white" else babble(PLAIN, speech.size / RATE, rng)
            speech = normal(mixed(speech, sound, noise.ratio))
            name = f"{kind}-{voice}-{noise.kind}-{noise.ratio:g}dB"
        clips.append(
            Clip(
                id=f"{number:03d}-{name}",
                kind=kind,
                weight=len(in_one_spelling(text)),
                text=text,
                recording=as_wav(speech),
            )
        )
    return clips


async def ask(client: httpx.AsyncClient, item: Clip, mode: str) -> Outcome:
    """The word error rate of one clip."""
    response = checked(
        await client.post(
            "/v1/audio/transcriptions",
            data={"model": MODELS[0], "quality": mode, "response_format": "verbose_json"},
            files={"file": ("clip.wav", item.sound, "audio/wav")},
        )
    )
    body = response.json()
    detail = {
        "text": body["text"],
        "said": item.text,
        "logprobs": [round(segment["avg_logprob"], 3) for segment in body.get("segments", [])],
    }
    return outcome(word_error_rate(item.text, body["text"]), body.get("usage", {}), response.headers, detail=detail)
