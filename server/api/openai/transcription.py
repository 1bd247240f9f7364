"""POST /v1/audio/transcriptions and /v1/audio/translations: a form with a file, or JSON with the id of a kept one.

Where the OpenAI API leaves it open: `stream=true` with `json` and `text` gives text only. With `verbose_json` each
segment comes as an event too, with its words where they are asked for, and the last event holds the whole of that form;
`srt` and `vtt` are not streamed. `include[]` with `logprobs` is refused, since the engine has no log-probabilities of
single tokens; a temperature of 0 means, as there, that the engine raises it by itself where a stretch won't come out
well. `chunking_strategy` is ignored.
"""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, Literal

import orjson
from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from server.api.answers.audio import Transcript as TranscriptAnswer
from server.api.answers.audio import TranscriptDelta, TranscriptDone, TranscriptSegment, VerboseTranscript
from server.api.body import content_type, read_form, read_json
from server.api.deps import PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.extras import extras_of
from server.api.openai.file_content import opened
from server.api.openai.files import files_of
from server.api.openai.languages import code_of
from server.api.openai.quality import QualityField, ask_of
from server.api.openai.transcripts import Transcript, timed_segment
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.services import services_of
from server.api.sse import SseResponse, frame
from server.api.validation import Body
from server.core import Segment, Task, TranscriptionJob
from server.errors import InvalidRequest, PayloadTooLarge
from server.jobs.files.records import StoredFile
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)

MOST_FIELDS = 256 * 1024
"""Bytes of a JSON body: a prompt, and some names."""
OF_KEPT = {"a kept file": {"model": "whisper-1", "file_id": "file-0123456789abcdef0123456789abcdef"}}
"""What may be sent as JSON, for the documentation."""

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]


class TranscriptionForm(Body):
    """The text fields; the `[]` of array fields is gone already. Unknown fields are ignored."""

    model: str
    language: str | None = None
    quality: QualityField = None
    prompt: str | None = None
    response_format: ResponseFormat = "json"
    temperature: float = Field(default=0.0, ge=0, le=1)
    timestamp_granularities: tuple[Literal["word", "segment"], ...] = ()
    include: tuple[str, ...] = ()
    stream: bool = False

    @property
    def timed(self) -> tuple[bool, bool]:
        """Whether segments and words are asked for: segments where nothing is."""
        wanted = self.timestamp_granularities or ("segment",)
        return "segment" in wanted, "word" in wanted

    def check(self) -> None:
        """Raises InvalidRequest where the fields contradict each other."""
        if "word" in self.timestamp_granularities and self.response_format != "verbose_json":
            # `segment` is what all forms are made of: clients send it with each of them.
            raise InvalidRequest(
                "The times of words need response_format 'verbose_json'.", param="timestamp_granularities"
            )
        if self.include:
            message = "'include' is not supported: this engine has no log-probabilities of single tokens."
            raise InvalidRequest(message, param="include", code="unsupported_parameter")
        if self.stream and self.response_format in ("srt", "vtt"):
            raise InvalidRequest(
                f"A file of subtitles is not streamed: response_format {self.response_format!r} needs stream=false.",
                param="response_format",
            )

    def job(self, audio: bytes, filename: str, *, translate: bool) -> TranscriptionJob:
        """The job it asks for. Raises InvalidRequest."""
        return TranscriptionJob(
            audio=audio,
            filename=filename or "audio",
            language=code_of(self.language) if self.language else None,
            prompt=self.prompt,
            temperature=self.temperature or None,
            words="word" in self.timestamp_granularities,
            translate=translate,
        )


class TranscriptionBody(TranscriptionForm):
    """The same as JSON, for a recording that is kept here."""

    file_id: str


@router.post("/audio/transcriptions")
@documented(
    body=TranscriptionBody,
    form=TranscriptionForm,
    files={"file": True},
    inference=True,
    missing=True,
    examples=OF_KEPT,
    answer=(TranscriptAnswer, VerboseTranscript),
    media=("text/plain", "text/vtt"),
    events=(TranscriptDelta, TranscriptSegment, TranscriptDone),
)
async def transcribe(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """The text of a recording, in the language spoken."""
    return await _answer(request, pipeline, settings, translate=False)


@router.post("/audio/translations")
@documented(
    body=TranscriptionBody,
    form=TranscriptionForm,
    files={"file": True},
    inference=True,
    missing=True,
    examples=OF_KEPT,
    answer=(TranscriptAnswer, VerboseTranscript),
    media=("text/plain", "text/vtt"),
    events=(TranscriptDelta, TranscriptSegment, TranscriptDone),
)
async def translate(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """The text of a recording, in English."""
    return await _answer(request, pipeline, settings, translate=True)


async def _answer(request: Request, pipeline: PipelineDep, settings: SettingsDep, *, translate: bool) -> Response:
    fields, audio, filename = await _received(request, pipeline, settings)
    job = fields.job(audio, filename, translate=translate)
    ask = ask_of(request, pipeline.caller, fields.model, quality=fields.quality)
    opening = pipeline.run(ask, job)
    if fields.stream:
        return SseResponse(opening, partial(_frames, fields=fields, translate=translate))
    async with opening as run:
        transcript = await while_connected(request, _whole(run))
        return _rendered(transcript, fields, translate=translate, headers=run.headers)


async def _received(
    request: Request, pipeline: PipelineDep, settings: SettingsDep
) -> tuple[TranscriptionForm, bytes, str]:
    """The fields, the recording and its name, from a form or from JSON that names a kept file."""
    kind = content_type(request)
    if kind == "application/json" or kind.endswith("+json"):
        body = await read_json(request, TranscriptionBody, limit=MOST_FIELDS)
        body.check()
        services, account_id = services_of(request), pipeline.caller.account_id
        stored = await files_of(services).open(account_id, body.file_id, param="file_id")
        if stored.size > settings.max_upload:
            raise PayloadTooLarge(
                f"Maximum content size limit ({settings.max_upload}) exceeded: the file has {stored.size} bytes",
                param="file_id",
            )
        async with services.bodies.holding(account_id, stored.size):
            return body, await to_thread.run_sync(_read, stored), stored.filename
    form = await read_form(request, file_limit=settings.max_upload, task=Task.TRANSCRIPTION)
    fields = form.parse(TranscriptionForm, arrays=("timestamp_granularities", "include"))
    fields.check()
    upload = form.file()
    return fields, upload.data, upload.filename


def _read(stored: StoredFile) -> bytes:
    with opened(stored, "file_id") as file:
        return file.read()


async def _whole(run: Run) -> Transcript:
    transcript = Transcript()
    async for event in run.events():
        transcript.add(event)
    transcript.extras = extras_of(run)
    return transcript


def _rendered(
    transcript: Transcript, fields: TranscriptionForm, *, translate: bool, headers: dict[str, str]
) -> Response:
    match fields.response_format:
        case "text":
            return Response(transcript.plain(), headers=headers, media_type="text/plain")
        case "srt":
            return Response(transcript.srt(), headers=headers, media_type="text/plain; charset=utf-8")
        case "vtt":
            return Response(transcript.vtt(), headers=headers, media_type="text/vtt")
        case "verbose_json":
            answer = _verbose(transcript, fields, translate=translate)
        case "json":
            answer = transcript.json()
    return Response(orjson.dumps(answer), headers=headers, media_type="application/json")


def _verbose(transcript: Transcript, fields: TranscriptionForm, *, translate: bool) -> dict[str, Any]:
    segments, words = fields.timed
    return transcript.verbose_json(task="translate" if translate else "transcribe", segments=segments, words=words)


async def _frames(run: Run, *, fields: TranscriptionForm, translate: bool) -> AsyncGenerator[bytes, None]:
    """A delta for each segment as it is decoded, and its times where they are asked for, then the whole."""
    verbose = fields.response_format == "verbose_json"
    transcript = Transcript()
    async for event in run.events():
        if text := transcript.add(event):
            yield frame({"type": "transcript.text.delta", "delta": text})
        if verbose and isinstance(event, Segment):
            yield frame({"type": "transcript.text.segment", **timed_segment(event, words=fields.timed[1])})
    transcript.extras = extras_of(run)
    whole = _verbose(transcript, fields, translate=translate) if verbose else {}
    # What is billed stands beside the text here, in every form: see `Transcript.done`.
    whole.pop("usage", None)
    yield frame({"type": "transcript.text.done", **whole, **transcript.done()})
