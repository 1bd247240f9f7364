"""/server/get-text-to-speech: a text as an mp3."""

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from server.api.asksage import body as bodies
from server.api.asksage.model_names import able
from server.api.deps import PipelineDep, ServicesDep
from server.api.openai.quality import QualityField, ask_of
from server.api.openai.speech import MAX_INPUT, audio_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.run_response import RunResponse
from server.api.services import Services
from server.api.validation import Body
from server.core import Caller, SpeechJob, Task
from server.errors import InvalidRequest, ModelNotFound
from server.models.config.spec import PiperModel

router = APIRouter(route_class=PlainRoute)

NAMES = {"tts": "tts-1", "tts-hd": "tts-1-hd"}
"""The service's names of models, by OpenAI's."""


class TextToSpeechBody(Body):
    """model: `tts` and `tts-hd` stand for `tts-1` and `tts-1-hd`, or for the first model that speaks. voice: as for
    /v1/audio/speech. language_code: refused where no voice speaks it. provider is ignored: there is one."""

    text: str = Field(min_length=1, max_length=MAX_INPUT)
    voice: str = "alloy"
    model: str = Field("tts-hd", min_length=1)
    language_code: str = "en-US"
    quality: QualityField = None


@router.post("/get-text-to-speech")
@documented(
    body=TextToSpeechBody,
    form=TextToSpeechBody,
    inference=True,
    media=("audio/mpeg",),
    examples={"a sentence": {"text": "Good morning.", "model": "tts"}},
)
async def get_text_to_speech(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """The text as it is spoken, as bytes of an mp3."""
    body = (await bodies.read(request, TextToSpeechBody, limit=services.settings.max_body, task=Task.SPEECH)).body
    name = _model(services, pipeline.caller, body.model)
    _check_language(services, name, body.language_code)
    ask = ask_of(request, pipeline.caller, name, quality=body.quality)
    opening = pipeline.run(ask, SpeechJob(text=body.text, voice=body.voice, format="mp3"))
    return RunResponse(opening, audio_of, media_type="audio/mpeg")


def _model(services: Services, caller: Caller, asked: str) -> str:
    having = able(services, caller, Task.SPEECH)
    bare, colon, suffix = asked.partition(":")
    if asked in having or bare in having or bare not in NAMES:
        return asked
    if not having:
        raise ModelNotFound.named(asked, Task.SPEECH)
    return f"{NAMES[bare] if NAMES[bare] in having else having[0]}{colon}{suffix}"


def _check_language(services: Services, name: str, code: str) -> None:
    wanted = code.replace("_", "-").partition("-")[0].lower()
    if wanted == "en":
        return
    bare = name.partition(":")[0]
    for one in services.catalog.public_models():
        spec = one.tasks.get(Task.SPEECH)
        if one.id == bare and isinstance(spec, PiperModel):
            spoken = {voice.language.replace("_", "-").partition("-")[0].lower() for voice in spec.voices.values()}
            if wanted in spoken:
                return
    raise InvalidRequest(f"No voice of '{bare[:80]}' speaks {code[:20]}.", param="language_code")
