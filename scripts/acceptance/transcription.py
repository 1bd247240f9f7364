"""The server's transcription against faster-whisper called directly, on the same sound, device and type."""

import io
import time
from statistics import median
from typing import Any

import numpy as np

from scripts.acceptance.check import Findings, Skip
from scripts.acceptance.client import client, fox
from scripts.acceptance.runner import ROOT
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import EAR
from server.engines.whisper.cuda_libraries import load_cublas

MOST = 1.25
RATE = 16_000
"""Samples a second, as Whisper hears."""


def check(setting: Setting, findings: Findings) -> None:
    if setting.server.model_seconds.get(EAR) is None:
        raise Skip(f"{EAR} is not there")
    wave = _wave(4 if setting.quick else 40)
    rounds = 2 if setting.quick else 5
    model = faster_whisper(setting)
    sound = _wav(wave)
    ours: list[float] = []
    theirs: list[float] = []
    texts: list[str] = []
    with client(setting.server) as asked:
        for number in range(rounds + 1):
            begun = time.monotonic()
            # `low` decodes once: other modes hear again what looks wrong, as one sentence over and over does.
            texts.append(asked.transcribe(EAR, sound, "fox.wav", quality="low"))
            middle = time.monotonic()
            segments, _ = model.transcribe(wave, language="en", beam_size=1, temperature=0.0)
            texts.append("".join(segment.text for segment in segments))
            if number:  # the first round warms both up
                ours.append(middle - begun)
                theirs.append(time.monotonic() - middle)
    seconds = len(wave) / RATE
    findings.tell("sound", seconds, "s")
    findings.tell("this server", median(ours), "s")
    findings.tell("faster-whisper", median(theirs), "s")
    findings.tell("real-time factor", median(ours) / seconds)
    # On a processor that others share, two short rounds decide nothing.
    findings.tell("ratio", median(a / b for a, b in zip(ours, theirs, strict=True)), most=MOST if setting.gpu else None)
    foxes = [text.lower().count("fox") for text in texts]
    findings.tell("times that the fox is heard, least of all", min(foxes), least=1)


def faster_whisper(setting: Setting) -> Any:
    """A model of faster-whisper's, with CUDA's libraries loaded as the engine does it."""
    from faster_whisper import WhisperModel

    if setting.gpu and (reason := load_cublas()) is not None:
        raise RuntimeError(f"CUDA 12's cuBLAS can't be loaded: {reason}")

    device, kind = ("cuda", "float16") if setting.gpu else ("cpu", "int8")
    return WhisperModel(str(setting.models_dir / EAR), device=device, compute_type=kind, local_files_only=True)


def _wave(times: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The fox, so many times, with half a second between: mono, float32, -1 to 1."""
    from faster_whisper.audio import decode_audio

    once = decode_audio(io.BytesIO(fox(ROOT)), sampling_rate=RATE)
    pause = np.zeros(RATE // 2, np.float32)
    return np.concatenate([part for _ in range(times) for part in (once, pause)])


def _wav(wave: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    import wave as files

    held = io.BytesIO()
    with files.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes())
    return held.getvalue()
