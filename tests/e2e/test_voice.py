"""A voice client of the SDK against models that neither hear nor speak: it asks aloud, and is answered aloud."""

import base64
from io import BytesIO
from typing import Any

import pytest
from openai import OpenAI

from tests.e2e.conftest import spoken
from tests.e2e.live import CHAT

QUESTION = "What is the capital of Japan?"


@pytest.fixture(scope="module")
def question(sdk: OpenAI) -> str:
    """As the starter voice says it, mp3 in base64."""
    return base64.b64encode(spoken(sdk, QUESTION, "mp3").getvalue()).decode()


def asked(question: str, kind: str = "mp3") -> list[Any]:
    return [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": question, "format": kind}}]}]


def understood(sdk: OpenAI, data: bytes, name: str) -> str:
    file = BytesIO(data)
    file.name = name
    return sdk.audio.transcriptions.create(model="whisper-1", file=file).text


@pytest.mark.parametrize("quality", ["low", "medium", "high", "ultra"])
def test_a_spoken_question_gets_a_spoken_answer(sdk: OpenAI, question: str, quality: str) -> None:
    answer = sdk.chat.completions.create(
        model="gpt-4o",
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        messages=asked(question, "wav"),  # a format is what the bytes say, not what the client does
        max_tokens=30,
        extra_body={"quality": quality},
    )
    message = answer.choices[0].message
    assert message.content is None
    assert message.audio is not None
    assert "Tokyo" in message.audio.transcript
    assert "Tokyo" in understood(sdk, base64.b64decode(message.audio.data), "answer.wav")
    assert answer.usage is not None
    passes = answer.usage.model_extra["quality"]["tokens_by_pass"]  # type: ignore[index]
    assert 1 < passes[0]["audio_seconds"] < 4
    assert passes[-1]["characters"] == len(message.audio.transcript)


def test_a_stream_speaks_too_and_is_remembered(sdk: OpenAI, question: str) -> None:
    stream = sdk.chat.completions.create(
        model=CHAT,
        modalities=["text", "audio"],
        audio={"voice": "nova", "format": "pcm16"},
        messages=asked(question),
        max_tokens=30,
        temperature=0,
        stream=True,
    )
    audio = [chunk.choices[0].delta.audio for chunk in stream if chunk.choices[0].delta.audio]
    assert "Tokyo" in "".join(piece.transcript or "" for piece in audio)
    pcm = b"".join(base64.b64decode(piece.data) for piece in audio if piece.data)
    assert 0.8 < len(pcm) / 48_000 < 6
    assert audio[-1].expires_at
    (name,) = [piece.id for piece in audio if piece.id]
    again = sdk.chat.completions.create(
        model=CHAT,
        messages=[
            *asked(question),
            {"role": "assistant", "audio": {"id": name}},
            {"role": "user", "content": "Say the name of that city again."},
        ],
        max_tokens=30,
        temperature=0,
    )
    assert "Tokyo" in (again.choices[0].message.content or "")
