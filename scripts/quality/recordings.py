"""Recordings of a minute or more whose text is known: many sentences of the clips' kinds in a row."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from scripts.quality.clips import ACCENTS, PIPER, RATE, Joe, Noise, Samples, babble, espeak, mixed, normal
from scripts.quality.sentences import PLAIN
from scripts.quality.transcription import FAST, NOISES, VOICE, VOICES

KINDS = ("plain", "accented", "fast", "noisy", "pauses", "repeated")
"""pauses: of 5 to 20 s after every third sentence, with a little noise. repeated: two sentences, over and over."""

CHANGE = 3
"""Sentences after which voice, speed and noise change."""


@dataclass(frozen=True, slots=True)
class LongRecording:
    kind: str
    sound: Samples
    text: str


def recording(kind: str, seconds: float, seed: int) -> LongRecording:
    """At least as many seconds, to the end of a sentence. kind: one of KINDS."""
    rng = np.random.default_rng(seed)
    joe = None if kind == "accented" else Joe(VOICE, seed)
    parts: list[Samples] = []
    texts: list[str] = []
    size = 0
    for number, text in enumerate(_sentences(kind, rng)):
        if number % CHANGE == 0:
            voice = VOICES[rng.integers(len(VOICES))] if kind == "fast" else ACCENTS[rng.integers(len(ACCENTS))]
            speed = FAST[rng.integers(len(FAST))] if kind == "fast" else 1.0
            pitch, noise = int(rng.integers(30, 70)), NOISES[rng.integers(len(NOISES))]
        if joe and (kind != "fast" or voice == PIPER):
            said = joe.say(text, speed)
        else:
            said = espeak().say(text, voice, speed, pitch)
        pause = rng.uniform(5, 20) if kind == "pauses" and number % CHANGE == 2 else rng.uniform(0.2, 0.6)
        part = np.concatenate([normal(said), np.zeros(round(pause * RATE))])
        parts.append(normal(mixed(part, _sound(noise, part.size, rng), noise.ratio)) if kind == "noisy" else part)
        texts.append(text)
        size += part.size
        if size >= seconds * RATE:
            break
    sound = np.concatenate(parts)
    if kind == "pauses":
        sound = sound + rng.normal(scale=0.003, size=sound.size)
    return LongRecording(kind, sound, " ".join(texts))


def _sentences(kind: str, rng: np.random.Generator) -> Iterator[str]:
    order = [PLAIN[i] for i in rng.permutation(len(PLAIN))]
    return cycle(order[:2] if kind == "repeated" else order)


def _sound(noise: Noise, size: int, rng: np.random.Generator) -> Samples:
    return rng.normal(size=size) if noise.kind == "white" else babble(PLAIN, size / RATE, rng)
