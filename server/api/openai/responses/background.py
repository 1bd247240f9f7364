"""A response that no client waits at: made by the same run as any, and cancelled by its id."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import Request
from starlette.responses import Response

from server.api.openai.chat_media import resolve_media
from server.api.openai.quality import ask_of
from server.api.openai.responses.keeping import record_of_turn
from server.api.openai.responses.opening import Messages, OpeningResponse
from server.api.openai.responses.response_object import error_object
from server.api.openai.responses.stored import followed
from server.api.openai.responses.stream import ResponseStream
from server.api.openai.responses.turn import Turn
from server.api.rows import answer
from server.api.services import Services, services_of
from server.core import Ask, Caller, Job
from server.errors import SageholdError, ServerStopping, Unavailable
from server.jobs.responses.events import Event, events_of
from server.observability import RequestRecord
from server.pipeline.run import ClientGone, Pipeline, Run
from server.pipeline.shutdown import taken_back


class Unwanted(ClientGone):
    """The response was cancelled, or deleted."""


class Unattended:
    """Opens runs as a request's pipeline does, with nobody who could hang up."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def admitted(self, ask: Ask, job: Job) -> AbstractAsyncContextManager[None]:
        return self._pipeline.admitted(ask, job)

    @asynccontextmanager
    async def run(self, ask: Ask, job: Job) -> AsyncGenerator[Run, None]:
        async with await self._pipeline.open(ask, job) as run:
            yield run


class BackgroundResponse:
    """What makes the response of a turn; see `Making`."""

    def __init__(self, services: Services, caller: Caller, ask: Ask, turn: Turn) -> None:
        """Raises InvalidRequest."""
        self._opener = Unattended(services.pipeline)
        self._metrics = services.metrics
        self._ask = ask
        self._layout = turn.layout()
        self._job = turn.body.job(self._layout.messages)
        self._stream = ResponseStream(turn)
        self._cancelled = False

        async def resolve(messages: Messages) -> Messages:
            return await resolve_media(messages, services, caller)

        shorten = turn.body.truncation == "auto"
        self._opening = OpeningResponse(
            self._opener, ask, self._job, self._layout, resolve, shorten, asked=lambda job: job
        )

    @asynccontextmanager
    async def admitted(self) -> AsyncGenerator[None, None]:
        with self._layout.renaming():
            admitted = self._opener.admitted(self._ask, self._job)
            await admitted.__aenter__()
        try:
            yield
        finally:
            await admitted.__aexit__(None, None, None)

    async def events(self) -> AsyncGenerator[Event, None]:
        number = 0
        for event in events_of(self._stream.queued(), number):
            yield event
            number += 1
        try:
            async with self._opening as run:
                try:
                    async for frames in self._stream.frames(run):
                        for event in events_of(frames, number):
                            yield event
                            number += 1
                except asyncio.CancelledError:
                    if self._cancelled:
                        raise Unwanted from None
                    raise
                finally:
                    used = RequestRecord(self._ask.id, "POST", "/v1/responses", model=run.plan.spec.name, run=run)
                    self._metrics.worked(used)
        except asyncio.CancelledError:
            if taken_back():
                raise ServerStopping from None
            raise

    def now(self) -> Mapping[str, Any]:
        return self._stream.now()

    def fault(self, error: SageholdError) -> Mapping[str, Any]:
        return error_object(self._opening.renamed(error))

    def cancel(self) -> None:
        self._cancelled = True


async def begin(request: Request, caller: Caller, turn: Turn) -> Response:
    """Begin the response of a turn, and answer with it as it is queued, or with its stream. Raises what can be known of
    a request before a model works on it."""
    services, body = services_of(request), turn.body
    responses = services.responses
    if responses is None:
        raise Unavailable("This server keeps no responses.")
    ask = ask_of(request, caller, body.model, quality=body.quality, streamed=body.stream, priority=body.queued)
    making = BackgroundResponse(services, caller, ask, turn)
    queued = record_of_turn(turn, making.now())
    await responses.background.begin(queued, making, turn.before.numbers)
    if not body.stream:
        return answer(queued.response)
    return followed(responses, await responses.store.find(caller.account_id, turn.id), -1)
