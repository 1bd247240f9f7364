"""Ultra on speech: several takes, each read back by a transcription model; the one that is understood best is sent."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from functools import partial

from server.core import AudioChunk, Event, Segment, SpeechJob, TranscriptionJob, Usage
from server.english.word_errors.rate import word_error_rate
from server.media.wav import as_wav
from server.models.config.quality import TakesMode
from server.models.config.spec import ModelSpec, PiperModel
from server.pipeline.passes import Work

VARIATION = 0.2
"""What each further take adds to the variation of a voice that has none, so that no take is like another."""

MOST_VARIATION = 0.6

PCM_RATE = 24_000
"""Samples a second of the format pcm, 16 bits each, mono."""


@dataclass(slots=True)
class Take:
    """One take: its chunks as they came, and what the engine told of it."""

    chunks: list[AudioChunk]
    usage: Usage

    @property
    def audio(self) -> bytes:
        return b"".join(chunk.data for chunk in self.chunks)


@dataclass(slots=True)
class Heard:
    """A take that has been read back. errors: word error rate, 0 for one that was understood to the last word."""

    number: int
    take: Take
    errors: float


async def takes(work: Work) -> AsyncGenerator[Event, None]:
    """`Accepted` of the first take, then the chunks of the best take, then Usage of all passes."""
    job = work.plan.job
    assert isinstance(job, SpeechJob)
    async with work.opened("takes", job) as opened:
        yield opened.accepted
        first = await _gathered(opened.events)
    heard: list[Heard] = []
    await work.unless_late(partial(_read_back, work, job, first, heard))
    best = min(heard, key=lambda one: one.errors, default=Heard(1, first, 0.0))
    if heard:
        wrong = f"{best.errors:.0%} of its words misheard"
        work.note(f"take {best.number} of {len(heard)}, {wrong}" if best.errors else f"take {best.number}, understood")
    for chunk in best.take.chunks:
        yield chunk
    yield replace(work.usage, details=best.take.usage.details)


async def _read_back(work: Work, job: SpeechJob, take: Take, heard: list[Heard]) -> None:
    """Read the first take back, and further ones until one is understood to the last word; `heard` grows on the way."""
    mode = work.plan.mode
    assert isinstance(mode, TakesMode)
    while True:
        text = await _understood(work, job, take)
        heard.append(Heard(len(heard) + 1, take, word_error_rate(job.text, text)))
        if heard[-1].errors == 0 or len(heard) == mode.takes:
            return
        if work.left <= 0:
            work.note("the time budget was used up")
            return
        async with work.opened("takes", take_job(job, work.plan.spec, len(heard))) as opened:
            take = await _gathered(opened.events)


def take_job(job: SpeechJob, spec: ModelSpec, number: int) -> SpeechJob:
    """The job of take `number`, from 0. A voice that varies speaks each take anew; one that does not has to be told."""
    scale, width = job.noise_scale, job.noise_w
    if isinstance(spec, PiperModel):
        scale = spec.noise_scale if scale is None else scale
        width = spec.noise_w if width is None else width
    if scale != 0 or width != 0:
        return job
    variation = min(VARIATION * number, MOST_VARIATION)
    return replace(job, noise_scale=variation, noise_w=variation)


async def _gathered(events: AsyncIterator[Event]) -> Take:
    chunks: list[AudioChunk] = []
    usage = Usage()
    async for event in events:
        if isinstance(event, AudioChunk):
            chunks.append(event)
        elif isinstance(event, Usage):
            usage = event
    return Take(chunks, usage)


async def _understood(work: Work, job: SpeechJob, take: Take) -> str:
    """What the transcription model hears. It is waited for only this long: other requests need it too."""
    (reader,) = (planned.by for planned in work.plan.passes if planned.by is not None)
    spec, _ = reader
    audio, kind = (as_wav(take.audio, PCM_RATE), "wav") if job.format == "pcm" else (take.audio, job.format)
    # Without fallback, which draws by chance: the same take is to be heard the same way each time.
    hearing = TranscriptionJob(
        model=spec.name, audio=audio, filename=f"take.{kind}", language=_language(work.plan.spec, take), fallback=False
    )
    async with work.other(spec) as engine, work.opened("read back", hearing, engine) as opened:
        return "".join([event.text async for event in opened.events if isinstance(event, Segment)])


def _language(spec: ModelSpec, take: Take) -> str | None:
    """ISO-639-1 code of the voice that spoke, where it is known."""
    if not isinstance(spec, PiperModel) or take.usage.details.get("voice") not in spec.voices:
        return None
    return spec.voices[take.usage.details["voice"]].language.partition("-")[0].lower()
