"""The opening of a response's run, shortened to the model's context where the client leaves that to the server."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol

from fastapi import Request

from server.api.lifetime import while_connected
from server.api.openai.chat_media import has_media, resolve_media
from server.api.openai.file_input import has_files
from server.api.openai.quality import ask_of
from server.api.openai.responses.layout import Layout
from server.api.openai.responses.truncation import droppable
from server.api.openai.responses.turn import Turn
from server.api.request_pipeline import RequestPipeline
from server.api.services import services_of
from server.core import Ask, ChatJob, Job
from server.core.ask import new_request_id
from server.errors import ContextLengthExceeded, SageholdError
from server.pipeline.run import Run

Messages = tuple[Mapping[str, Any], ...]

ROOM = 256
"""Tokens that a shortened conversation leaves for an answer without a limit."""
MOST_ROOM = 1024
"""And for one with a limit: many clients send one that is half of the context."""


def opening_of(
    request: Request, pipeline: RequestPipeline, turn: Turn, asked: Callable[[ChatJob], Job] = lambda job: job
) -> "OpeningResponse":
    """The run of a turn. Raises InvalidRequest.

    asked: what is asked of the model about the conversation; by default, to go on with it.
    """
    body, layout = turn.body, turn.layout()
    ask = ask_of(request, pipeline.caller, body.model, quality=body.quality, streamed=body.stream, priority=body.queued)

    async def resolve(messages: Messages) -> Messages:
        return await while_connected(request, resolve_media(messages, services_of(request), pipeline.caller))

    return OpeningResponse(pipeline, ask, body.job(layout.messages), layout, resolve, body.truncation == "auto", asked)


class Opener(Protocol):
    """What opens runs: a request's pipeline, or one that no client waits at."""

    def admitted(self, ask: Ask, job: Job) -> AbstractAsyncContextManager[None]: ...

    def run(self, ask: Ask, job: Job) -> AbstractAsyncContextManager[Run]: ...


class OpeningResponse:
    """A run of the job whose errors are named in the words of this API.

    layout: of the job's messages. resolve: makes of files, pictures and sounds in them what engines take. shorten:
    whether the oldest messages are left out where all are too long.
    """

    def __init__(
        self,
        pipeline: Opener,
        ask: Ask,
        job: ChatJob,
        layout: Layout,
        resolve: Callable[[Messages], Awaitable[Messages]],
        shorten: bool,
        asked: Callable[[ChatJob], Job],
    ) -> None:
        self._pipeline = pipeline
        self._ask = ask
        self._job = job
        self._layout = layout
        self._resolve = resolve
        self._shorten = shorten
        self._asked = asked
        self._held = AsyncExitStack()

    async def __aenter__(self) -> Run:
        async with AsyncExitStack() as held:
            with self._layout.renaming():
                if self._shorten or has_files(self._job.messages):
                    # However many tries it takes, it is one request; and files are read for who is let in.
                    await held.enter_async_context(self._pipeline.admitted(self._ask, self._asked(self._job)))
                if has_media(self._job.messages):
                    self._job = replace(self._job, messages=await self._resolve(self._job.messages))
                try:
                    run = await self._run(held, self._job)
                except ContextLengthExceeded:
                    if not self._shorten:
                        raise
                    run = await self._run(held, await self._shortened())
            self._held = held.pop_all()
            return run

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SageholdError):
            self.renamed(error)
        await self._held.__aexit__(kind, error, trace)

    def renamed(self, error: SageholdError) -> SageholdError:
        """An error of the run, as this API calls what is wrong."""
        return self._layout.renamed(error)

    async def _run(self, held: AsyncExitStack, job: ChatJob) -> Run:
        return await held.enter_async_context(self._pipeline.run(self._ask, self._asked(job)))

    async def _shortened(self) -> ChatJob:
        """The job without the fewest of its oldest messages that must go; if that is never enough, without all that
        may.

        It is tried, not reckoned: what a message is to the model, its template and its tokenizer alone know.
        """
        messages = self._job.messages
        groups = droppable(messages)
        few, many = 1, len(groups)
        while few < many:
            middle = (few + many) // 2
            if await self._fits(_without(groups[:middle], messages)):
                many = middle
            else:
                few = middle + 1
        self._layout.leave_out({number for group in groups[:few] for number in group})
        return replace(self._job, messages=_without(groups[:few], messages))

    async def _fits(self, messages: Messages) -> bool:
        """With room for an answer. Nothing is generated, and the hold under an id of its own is given back."""
        wanted = min(self._job.max_tokens or ROOM, MOST_ROOM)
        try:
            trial = self._pipeline.run(replace(self._ask, id=new_request_id()), replace(self._job, messages=messages))
            async with trial as run:
                return (run.facts.room or 0) >= wanted
        except ContextLengthExceeded:
            return False


def _without(groups: Sequence[Sequence[int]], messages: Messages) -> Messages:
    gone = {number for group in groups for number in group}
    return tuple(message for number, message in enumerate(messages) if number not in gone)
