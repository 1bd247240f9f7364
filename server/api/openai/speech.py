"""POST /v1/audio/speech, and the lists of voices and speech models that Open WebUI asks for.

`usage` of the sse form counts what is billed: `input_tokens` is the number of characters spoken. A voice here makes
samples, not tokens, so `output_tokens` is 0; `characters` and `seconds` of audio stand beside them.
"""

import base64
from collections.abc import AsyncGenerator
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from server.api.answers.audio import SpeechDelta, SpeechDone, SpeechModels, Voices
from server.api.body import read_json
from server.api.deps import CallerDep, PipelineDep, ServicesDep, SettingsDep
from server.api.openai.extras import extras_of
from server.api.openai.models import visible
from server.api.openai.quality import QualityField, ask_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.run_response import RunResponse
from server.api.sse import SseResponse, frame
from server.api.validation import Body
from server.core import AudioChunk, AudioFormat, SpeechJob, Task, Usage
from server.engines.piper.voices import OPENAI_VOICES, known_names
from server.models.config.spec import PiperModel, PiperVoice
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)

MEDIA_TYPES: dict[AudioFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}

MAX_INPUT = 4096
"""Characters, by the OpenAI API."""


class CustomVoice(Body):
    """The OpenAI API's form for voices of one's own."""

    id: str


class SpeechRequest(Body):
    """The body. `instructions` is among the unknown fields that are ignored: these voices follow none."""

    model: str = Field(min_length=1)
    input: str = Field(min_length=1, max_length=MAX_INPUT)
    voice: str | CustomVoice = "alloy"
    response_format: AudioFormat = "mp3"
    speed: float = Field(default=1.0, ge=0.25, le=4)
    stream_format: Literal["audio", "sse"] = "audio"
    quality: QualityField = None

    def job(self) -> SpeechJob:
        return SpeechJob(
            text=self.input,
            voice=self.voice if isinstance(self.voice, str) else self.voice.id,
            speed=self.speed,
            format=self.response_format,
        )


@router.post("/audio/speech")
@documented(
    body=SpeechRequest,
    inference=True,
    media=tuple(MEDIA_TYPES.values()),
    events=(SpeechDelta, SpeechDone),
    examples={
        "an mp3 file": {"model": "tts-1", "voice": "alloy", "input": "The quick brown fox jumps over the lazy dog."},
        "events, each with a piece of the audio": {
            "model": "tts-1",
            "voice": "alloy",
            "input": "Good morning.",
            "response_format": "pcm",
            "stream_format": "sse",
        },
    },
)
async def speak(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """Audio as it is spoken: a chunked body, or server-sent events."""
    body = await read_json(request, SpeechRequest, limit=settings.max_body, task=Task.SPEECH)
    ask = ask_of(request, pipeline.caller, body.model, quality=body.quality)
    opening = pipeline.run(ask, body.job())
    if body.stream_format == "sse":
        return SseResponse(opening, _frames)
    return RunResponse(opening, audio_of, media_type=MEDIA_TYPES[body.response_format])


@router.get("/audio/voices")
@documented(answer=Voices)
async def voices(services: ServicesDep, caller: CallerDep, model: str | None = None) -> dict[str, Any]:
    """Every voice name that works, those of `model` only if it is given: `id`, `name`, and which voice it is."""
    listed: dict[str, dict[str, Any]] = {}
    for entry in services.catalog.public_models():
        spec = entry.tasks.get(Task.SPEECH)
        if spec is None or model not in (None, entry.id) or not visible(entry, caller):
            continue
        if not isinstance(spec, PiperModel):
            for name in OPENAI_VOICES:
                listed.setdefault(name, {"id": name, "name": name})
            continue
        for name, voice in known_names({voice: spec.voices[voice].names for voice in spec.voices}).items():
            listed.setdefault(name, {"id": name, "name": name, **_described(voice, spec.voices[voice])})
    return {"voices": list(listed.values())}


@router.get("/audio/models")
@documented(answer=SpeechModels)
async def models(services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """The public names that can speak, of those that the key may use."""
    speaking = [
        entry.id for entry in services.catalog.public_models() if Task.SPEECH in entry.tasks and visible(entry, caller)
    ]
    return {"models": [{"id": name, "name": name} for name in speaking]}


def _described(name: str, voice: PiperVoice) -> dict[str, str]:
    return {"voice": name, "language": voice.language, "description": voice.description}


async def audio_of(run: Run) -> AsyncGenerator[bytes, None]:
    async for event in run.events():
        if isinstance(event, AudioChunk):
            yield event.data


async def _frames(run: Run) -> AsyncGenerator[bytes, None]:
    async for event in run.events():
        if isinstance(event, AudioChunk):
            yield frame({"type": "speech.audio.delta", "audio": base64.b64encode(event.data).decode()})
        elif isinstance(event, Usage):
            yield frame({"type": "speech.audio.done", "usage": {**_usage(event), **extras_of(run)}})


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.characters,
        "output_tokens": 0,
        "total_tokens": usage.characters,
        "characters": usage.characters,
        "seconds": usage.details.get("seconds"),
    }
