"""A spoken answer: whatever strategy answers in text, and a speech model that then says it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from server.core import (
    AudioChunk,
    ChatJob,
    Event,
    Facts,
    Finish,
    Job,
    SpeechJob,
    SpokenDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from server.errors import InvalidRequest
from server.models.config.spec import ModelSpec, Price
from server.pipeline.passes import Work
from server.pipeline.plan import PlannedPass, Strategy

TRIAL = "Yes."
"""What a voice reads, without saying it, so that a wrong one is refused before the answer is paid for."""


class Spoken(Strategy):
    """The text comes as SpokenDeltas as it is written, then its audio as AudioChunks, then Finish.

    A function call is not spoken: the text beside it then comes as of any chat. Nor is a text without a word in it,
    which no AudioChunk follows. speaker: the speech model and its price.
    """

    name = "spoken"

    def __init__(self, job: ChatJob, inner: Strategy, speaker: tuple[ModelSpec, Price]) -> None:
        assert job.aloud is not None
        self._inner = inner
        self._speaker = speaker[0]
        self._aloud = job.aloud
        self._may_call = bool(job.tools) and job.tool_choice != "none"
        self._speak = PlannedPass("speak", by=speaker)
        self.passes = (*inner.passes, self._speak)

    @property
    def opening(self) -> PlannedPass:
        return self._inner.opening

    def first(self) -> Job:
        return self._inner.first()

    async def facts(self, work: Work) -> Facts:
        """Raises InvalidRequest for a voice that the speech model does not have."""
        async with work.other(self._speaker) as engine:
            try:
                async with aclosing(await engine.read(self._speech(TRIAL))):
                    pass
            except InvalidRequest as refused:
                param = "audio.voice" if refused.param == "voice" else "audio"
                raise InvalidRequest(refused.message, param=param, code=refused.code) from None
        return await self._inner.facts(work)

    async def run(self, work: Work) -> AsyncGenerator[Event, None]:
        said: list[str] = []
        waiting: list[Event] = []  # where a call may come: its text is not spoken
        finish: Finish | None = None
        called = False
        async with aclosing(self._inner.run(work)) as events:
            async for event in events:
                match event:
                    case Usage():
                        pass  # it comes last, with what the voice has used
                    case Finish():
                        finish = event
                    case TextDelta() if not self._may_call:
                        said.append(event.text)
                        yield SpokenDelta(event.index, event.text)
                    case TextDelta() | ToolCallDelta():
                        called = called or isinstance(event, ToolCallDelta)
                        waiting.append(event)
                    case _:
                        yield event
        for event in waiting:
            if isinstance(event, TextDelta) and not called:
                said.append(event.text)
                yield SpokenDelta(event.index, event.text)
            else:
                yield event
        async with aclosing(self._voiced(work, "".join(said))) as chunks:
            async for chunk in chunks:
                yield chunk
        if finish is not None:
            yield finish
        yield work.usage

    async def _voiced(self, work: Work, text: str) -> AsyncGenerator[AudioChunk, None]:
        """The text's audio. A voice that fails fails the answer: whoever asked for sound did not get it."""
        if not text.strip():
            return
        async with work.other(self._speaker) as engine:
            try:
                async with work.opened(self._speak, self._speech(text), engine) as events:
                    async for event in events:
                        if isinstance(event, AudioChunk):
                            yield event
            except InvalidRequest:
                work.note("the answer has nothing in it to speak")

    def _speech(self, text: str) -> SpeechJob:
        return SpeechJob(text=text, voice=self._aloud.voice, format=self._aloud.format)
