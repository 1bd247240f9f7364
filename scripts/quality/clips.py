"""Spoken clips whose text is known: espeak-ng in several accents, piper's starter voice, fast speech, and noise.

espeak-ng comes inside piper's wheel, which uses it for phonemes only; the library can speak as well. Its voices flutter
by a state that goes on from one utterance to the next, so clips are the same in every process that makes the same ones.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.media import wav as audio_wav

Samples = npt.NDArray[np.float64]

RATE = 16_000
"""Samples a second of every clip."""

ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-us-nyc")
"""Voices of espeak-ng; en is British and en-029 Caribbean English."""

PIPER = "piper"

PEAK = 0.7
_WORDS_PER_MINUTE = 165
_RATE, _PITCH = 1, 3  # of espeak_PARAMETER
_SYNCHRONOUS = 2  # of espeak_AUDIO_OUTPUT: the samples are handed to the callback before espeak_Synth returns
_CHARACTER, _UTF8 = 1, 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """espeak-ng itself, as in its speak_lib.h. One for the process: the library has one state."""

    def __init__(self) -> None:
        import piper

        folder = Path(piper.__file__).parent
        self._library = ctypes.CDLL(str(next(folder.glob("espeakbridge*.so"))))
        self._pieces: list[npt.NDArray[np.int16]] = []
        self._callback = _CALLBACK(self._take)  # kept: the library holds no reference of its own
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(folder / "espeak-ng-data").encode(), 0)
        if self.rate <= 0:
            raise RuntimeError("espeak-ng could not be started")
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, voice: str, speed: float, pitch: int) -> Samples:
        """Samples at RATE. pitch: 0–99."""
        self._pieces.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise LookupError(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(_RATE, round(_WORDS_PER_MINUTE * speed), 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        data = text.encode() + b"\0"
        if self._library.espeak_Synth(data, len(data), 0, _CHARACTER, 0, _UTF8, None, None) != 0:
            raise RuntimeError("espeak-ng did not speak")
        return resampled(np.concatenate(self._pieces).astype(np.float64) / 32768, self.rate)


@cache
def espeak() -> Espeak:
    return Espeak()


class Joe:
    """The starter voice, in this process, so that a seed decides how it speaks."""

    def __init__(self, file: Path, seed: int) -> None:
        import onnxruntime

        onnxruntime.set_seed(seed)
        from piper.voice import PiperVoice

        self._voice = PiperVoice.load(file)

    def say(self, text: str, speed: float) -> Samples:
        """Samples at RATE."""
        from piper.config import SynthesisConfig

        config = SynthesisConfig(length_scale=self._voice.config.length_scale / speed)
        pieces = [chunk.audio_float_array for chunk in self._voice.synthesize(text, config)]
        return resampled(np.concatenate(pieces).astype(np.float64), self._voice.config.sample_rate)


@dataclass(frozen=True, slots=True)
class Noise:
    """kind: white, or babble, which is several people at once. ratio: of speech to noise, in dB of their power."""

    kind: str
    ratio: float


def babble(sentences: Sequence[str], seconds: float, rng: np.random.Generator) -> Samples:
    """Six voices that speak other sentences at once."""
    count = round(seconds * RATE)
    total = np.zeros(count)
    for number in range(6):
        spoken = np.zeros(0)
        while spoken.size < count + RATE:
            text = sentences[int(rng.integers(len(sentences)))]
            voice = ACCENTS[number % len(ACCENTS)]
            said = espeak().say(text, voice, rng.uniform(0.9, 1.2), int(rng.integers(20, 80)))
            spoken = np.concatenate([spoken, said])
        start = rng.integers(RATE)
        total += normal(spoken[start : start + count])
    return total


def mixed(speech: Samples, noise: Samples, ratio: float) -> Samples:
    """Both, the noise at `ratio` dB below the speech; power is measured where there is speech."""
    loud = speech[np.abs(speech) > 0.02 * np.abs(speech).max()]
    wanted = np.mean(loud**2) / 10 ** (ratio / 10)
    return speech + noise[: speech.size] * float(np.sqrt(wanted / np.mean(noise[: speech.size] ** 2)))


def normal(samples: Samples) -> Samples:
    """At PEAK."""
    return samples * (PEAK / max(float(np.abs(samples).max()), 1e-9))


def resampled(samples: Samples, rate: int) -> Samples:
    """At RATE, by Fourier transform: what is above half of it goes."""
    count = round(samples.size * RATE / rate)
    spectrum = np.fft.rfft(samples)
    kept = min(count // 2 + 1, spectrum.size)
    wanted = np.zeros(count // 2 + 1, dtype=complex)
    wanted[:kept] = spectrum[:kept]
    return np.fft.irfft(wanted, count) * (count / samples.size)


def as_wav(samples: Samples) -> bytes:
    return audio_wav.as_wav((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(), RATE)
