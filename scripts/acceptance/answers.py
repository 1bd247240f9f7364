"""One answer of each task, and whether it is right."""

import io
import re

import numpy as np
from PIL import Image

from scripts.acceptance.check import Findings
from scripts.acceptance.client import Client, client, fox
from scripts.acceptance.runner import ROOT
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import CHAT, EAR, PAINTER, VOICE

FOX = "The quick brown fox jumps over the lazy dog."
FLATTEST = 4.0
"""Standard deviation of a picture's 0–255 values: below it, the picture shows nothing."""


def check(setting: Setting, findings: Findings) -> None:
    with client(setting.server) as asked:
        for model, ask in ((CHAT, _chat), (EAR, _transcription), (VOICE, _speech), (PAINTER, _picture)):
            if setting.server.model_seconds.get(model) is None:
                findings.note(f"{model} is not there")
                continue
            try:
                ask(asked, findings)
            except Exception as error:  # noqa: BLE001 - the other tasks are asked all the same
                findings.tell(model, f"{type(error).__name__}: {error}", wanted="an answer")


def _chat(asked: Client, findings: Findings) -> None:
    answer = asked.chat(CHAT, "What is the capital of Japan?", max_tokens=32)
    findings.tell("chat: the capital of Japan", "Tokyo" if "tokyo" in answer.lower() else answer, wanted="Tokyo")


def _transcription(asked: Client, findings: Findings) -> None:
    findings.tell("transcription: words of nine", understood(asked.transcribe(EAR, fox(ROOT), "fox.ogg")), least=9)


def _speech(asked: Client, findings: Findings) -> None:
    spoken = asked.speak(VOICE, FOX)
    # The voice varies at random, and now and then one word is heard as another.
    findings.tell("speech: words of nine, read back", understood(asked.transcribe(EAR, spoken, "fox.wav")), least=8)


def _picture(asked: Client, findings: Findings) -> None:
    spread = contrast(asked.draw(PAINTER, "red heart"))
    findings.tell("image: standard deviation of its values", spread, least=FLATTEST)


def understood(text: str) -> int:
    """How many words of the fox's sentence stand in the text, in their order."""
    heard = re.findall(r"[a-z]+", text.lower())
    count = 0
    for word in re.findall(r"[a-z]+", FOX.lower()):
        if word in heard:
            heard = heard[heard.index(word) + 1 :]
            count += 1
    return count


def contrast(picture: bytes) -> float:
    """Standard deviation of the picture's values, 0–255."""
    with Image.open(io.BytesIO(picture)) as opened:
        return float(np.asarray(opened.convert("L"), np.float32).std())
