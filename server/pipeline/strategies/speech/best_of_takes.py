"""Ultra on speech: several takes, each read back by a transcription model; the one that is understood best is sent."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from functools import partial

from server.core import AudioChunk, Event, Segment, SpeechJob, TranscriptionJob, Usage
from server.english.word_errors.rate import word_error_rate
from server.media.wav import as_wav
from server.models.config.spec import ModelSpec, PiperModel, Price
from server.pipeline.passes import Work
from server.pipeline.plan import PlannedPass, Strategy

VARIATION = 0.2
"""What each further take adds to the variation of a voice that has none, so that no take is like another."""

MOST_VARIATION = 0.6

PCM_RATE = 24_000
"""Samples a second of the format pcm, 16 bits each, mono."""


@dataclass(slots=True)
class Take:
    """One take: its chunks as they came, and what the engine says of it."""

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


class Takes(Strategy):
    """reader: the transcription model, and its price. most: how many takes are made at most."""

    name = "takes"

    def __init__(self, job: SpeechJob, spec: ModelSpec, reader: tuple[ModelSpec, Price], most: int) -> None:
        self._job = job
        self._spec = spec
        self._reader = reader[0]
        self._most = most
        self._takes = PlannedPass("takes", answers=most)
        self._read_back = PlannedPass("read back", answers=most, by=reader)
        self.passes = (self._takes, self._read_back)

    def first(self) -> SpeechJob:
        return self._job

    async def run(self, work: Work) -> AsyncGenerator[Event, None]:
        async with work.first() as events:
            first = await _gathered(events)
        heard: list[Heard] = []
        await work.unless_late(partial(self._hear, work, first, heard))
        best = min(heard, key=lambda one: one.errors, default=Heard(1, first, 0.0))
        if heard:
            wrong = f"{best.errors:.0%} of its words misheard"
            work.note(
                f"take {best.number} of {len(heard)}, {wrong}" if best.errors else f"take {best.number}, understood"
            )
        for chunk in best.take.chunks:
            yield chunk
        yield replace(work.usage, details=best.take.usage.details)

    async def _hear(self, work: Work, take: Take, heard: list[Heard]) -> None:
        """Read the first take back, and further ones until one is understood to the last word; `heard` grows."""
        while True:
            text = await self._understood(work, take)
            heard.append(Heard(len(heard) + 1, take, word_error_rate(self._job.text, text)))
            if heard[-1].errors == 0 or len(heard) == self._most:
                return
            if work.left <= 0:
                work.note("the time budget was used up")
                return
            async with work.opened(self._takes, take_job(self._job, self._spec, len(heard))) as events:
                take = await _gathered(events)

    async def _understood(self, work: Work, take: Take) -> str:
        """What the transcription model hears. It is waited for only this long: other requests need it too."""
        pcm = self._job.format == "pcm"
        audio, kind = (as_wav(take.audio, PCM_RATE), "wav") if pcm else (take.audio, self._job.format)
        # Without fallback, which draws by chance: the same take is to be heard the same way each time.
        hearing = TranscriptionJob(
            audio=audio, filename=f"take.{kind}", language=_language(self._spec, take), fallback=False
        )
        async with work.other(self._reader) as engine, work.opened(self._read_back, hearing, engine) as events:
            return "".join([event.text async for event in events if isinstance(event, Segment)])


def take_job(job: SpeechJob, spec: ModelSpec, number: int) -> SpeechJob:
    """The job of take `number`, from 0. A voice that varies speaks each take anew; the others need variation set."""
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


def _language(spec: ModelSpec, take: Take) -> str | None:
    """ISO-639-1 code of the voice that spoke, where it is known."""
    if not isinstance(spec, PiperModel) or take.usage.details.get("voice") not in spec.voices:
        return None
    return spec.voices[take.usage.details["voice"]].language.partition("-")[0].lower()
