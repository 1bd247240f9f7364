"""Sounds before vLLM gets them: what they become, and what is refused before it is decoded."""

import base64
import io
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from server.core import ChatJob
from server.engines.vllm import sounds
from server.engines.vllm.options import VllmOptions
from server.errors import InvalidRequest
from server.media.audio_encode import AudioEncoder

pytestmark = pytest.mark.anyio

EARS = VllmOptions(name="ears", path=Path("x"), audio=True, max_audio_seconds=60.0)


def spoken(seconds: float, form: Any = "mp3") -> bytes:
    samples = np.sin(np.arange(round(24_000 * seconds)) * 0.1).astype(np.float32) / 2
    with AudioEncoder(form, 24_000) as encoder:
        return encoder.feed(samples) + encoder.finish()


def part(data: bytes, kind: str = "wav") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": kind}}


def asking(*parts: dict[str, Any]) -> ChatJob:
    return ChatJob(messages=({"role": "user", "content": list(parts)},))


async def refusal(job: ChatJob, options: VllmOptions = EARS) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        await sounds.prepared(job, options)
    return refused.value


@pytest.mark.parametrize("form", ["mp3", "flac", "opus", "wav"])
async def test_every_container_becomes_mono_wav_whatever_it_is_called(form: str) -> None:
    text = {"type": "text", "text": "Listen:"}
    job = await sounds.prepared(asking(text, part(spoken(1.5, form), "wav")), EARS)
    first, second = job.messages[0]["content"]
    assert first == text
    assert second["input_audio"]["format"] == "wav"
    with wave.open(io.BytesIO(base64.b64decode(second["input_audio"]["data"]))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert 1.45 < file.getnframes() / 16_000 < 1.65
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    assert np.abs(samples).max() > 10_000


async def test_a_job_without_sounds_is_as_it_was() -> None:
    job = ChatJob(messages=({"role": "user", "content": "hello"},))
    assert await sounds.prepared(job, EARS) is job


async def test_a_model_without_ears_names_the_first_sound() -> None:
    refused = await refusal(asking({"type": "text", "text": "x"}, part(b"")), VllmOptions(name="x", path=Path("x")))
    assert refused.param == "messages[0].content[1]"


def silence(hours: float) -> bytes:
    """Silent mp3 at 8 kbit/s: one second's frames, again and again."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=8000)
        stream.codec_context.layout = "mono"
        stream.codec_context.format = "s16p"
        stream.codec_context.bit_rate = 8000
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 7200), np.int16), format="s16p", layout="mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue() * round(hours * 3600 / 0.9)


async def test_hours_of_silence_are_refused_undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was decoded")

    bomb = silence(2)
    assert len(bomb) < 10 * 2**20
    monkeypatch.setattr(sounds.AudioFile, "read", never)
    refused = await refusal(asking(part(spoken(1.0)), part(bomb, "mp3")))
    assert refused.param == "messages[0].content[1]"
    assert "longer than 60 seconds" in refused.message


async def test_sounds_have_a_length_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds.AudioFile, "read", None)
    refused = await refusal(asking(part(spoken(40)), part(spoken(1)), part(spoken(40))))
    assert refused.param == "messages[0].content[2]"
    assert "longer than 60 seconds together" in refused.message


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("data", [b"", b"RIFF", b"no sound at all" * 100, PLAYLIST])
async def test_what_is_no_sound_is_named(data: bytes) -> None:
    refused = await refusal(asking(part(spoken(0.2)), part(data)))
    assert refused.param == "messages[0].content[1]"
