"""Sound in a chat with a model that has no ears: a transcription model hears it first, and its text takes its place."""

import math
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any

from server.core import ChatJob, Event, Facts, Segment, Sound, TranscriptionJob, sounds_of, with_parts
from server.engines.base import Engine
from server.errors import InvalidRequest
from server.models.config.spec import ModelSpec, Price
from server.pipeline.passes import Work
from server.pipeline.plan import PlannedPass, Strategy

SAID = "<spoken>{}</spoken>"
"""How a sound's text stands in its message, so that a model can tell it from what was written."""

NOTHING = "<spoken>(no words)</spoken>"

TOKENS_A_SECOND = 8
"""Of speech, by any tokenizer that knows the language, fast speakers included: what a hold is reckoned with."""

MARK = 16
"""Tokens of `SAID` at most, likewise."""


class Heard(Strategy):
    """Wraps the strategy that answers: `inner` makes it for the job whose sounds are text.

    hearer: the transcription model and its price. most: seconds of sound that the job may have in all.
    """

    name = "heard"

    def __init__(
        self, job: ChatJob, inner: Callable[[ChatJob], Strategy], hearer: tuple[ModelSpec, Price], most: float
    ) -> None:
        self._job = job
        self._inner = inner
        self._hearer = hearer[0]
        self._most = most
        self._sounds = sounds_of(job.messages)
        self._hear = PlannedPass("hear", answers=len(self._sounds), by=hearer)
        # The length of what was said is not known yet: all else of the job is read before anything is paid for.
        self._foreseen = inner(with_texts(job, self._sounds, [""] * len(self._sounds)))
        self.passes = (self._hear, *self._foreseen.passes)

    @property
    def opening(self) -> PlannedPass:
        return self._foreseen.opening

    def first(self) -> ChatJob:
        job = self._foreseen.first()
        assert isinstance(job, ChatJob)
        return job

    async def facts(self, work: Work) -> Facts:
        """With the sounds' length, and with as many more prompt tokens as their texts may have.

        Raises InvalidRequest that names the part which is no sound, or too long.
        """
        facts = await self._foreseen.facts(work)
        seconds = 0.0
        async with work.other(self._hearer) as engine:
            for sound in self._sounds:
                seconds += await _length(engine, sound)
                if seconds > self._most:
                    raise InvalidRequest(
                        f"The sounds in these messages are longer than {self._most:g} seconds together, the most that "
                        "this model takes.",
                        param=sound.param,
                    )
        more = math.ceil(seconds * TOKENS_A_SECOND) + MARK * len(self._sounds)
        return replace(facts, prompt_tokens=facts.prompt_tokens + more, audio_seconds=seconds)

    async def run(self, work: Work) -> AsyncGenerator[Event, None]:
        async with work.other(self._hearer) as engine:
            texts = [await self._said(work, engine, sound) for sound in self._sounds]
        inner = self._inner(with_texts(self._job, self._sounds, texts))
        await work.read_anew(inner.first())
        async with aclosing(inner.run(work)) as events:
            async for event in events:
                yield event

    async def _said(self, work: Work, engine: Engine, sound: Sound) -> str:
        with naming(sound):
            async with work.opened(self._hear, _hearing(sound), engine) as events:
                return "".join([event.text async for event in events if isinstance(event, Segment)]).strip()


@contextmanager
def naming(sound: Sound) -> Iterator[None]:
    """Refusals of a sound name its part of the message: a transcription model calls it `file`."""
    try:
        yield
    except InvalidRequest as refused:
        raise InvalidRequest(refused.message, param=sound.param, code=refused.code) from None


async def _length(engine: Engine, sound: Sound) -> float:
    """Seconds. The reading is closed again: a worker has room for few, and a request may have many sounds."""
    with naming(sound):
        async with aclosing(await engine.read(_hearing(sound))) as reading:
            return reading.facts.audio_seconds


def _hearing(sound: Sound) -> TranscriptionJob:
    return TranscriptionJob(audio=sound.data, filename=f"audio.{sound.format}")


def with_texts(job: ChatJob, sounds: Sequence[Sound], texts: Sequence[str]) -> ChatJob:
    """The job with each sound's text in its place, marked as what was said."""
    parts: dict[tuple[int, int], Mapping[str, Any]] = {
        (sound.message, sound.place): {"type": "text", "text": SAID.format(text) if text else NOTHING}
        for sound, text in zip(sounds, texts, strict=True)
    }
    return replace(job, messages=with_parts(job.messages, parts))
