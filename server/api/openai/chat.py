"""POST /chat/completions: parse, open, render."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.body import read_json
from server.api.deps import PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.audio_input import resolve_sounds
from server.api.openai.chat_request import ChatRequest
from server.api.openai.chat_response import Answer, answer_for, chunks, completion
from server.api.openai.chat_spoken import SpokenAnswer
from server.api.openai.image_input import resolve_images
from server.api.openai.quality import ask_of
from server.api.plain_route import PlainRoute
from server.api.services import services_of
from server.api.sse import SseResponse
from server.pipeline.run import Run
from server.settings import Settings

router = APIRouter(route_class=PlainRoute)


@router.post("/chat/completions")
async def create(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """A chat completion, whole or streamed."""
    body = await read_json(request, ChatRequest, limit=settings.max_body)
    account, spoken = pipeline.caller.account_id, services_of(request).spoken
    job = body.job(partial(spoken.text, account))
    ask = ask_of(request, pipeline.caller, body.model, quality=body.quality, streamed=body.stream)
    if any(not isinstance(message["content"], str) for message in job.messages):  # there are pictures or sounds
        job = replace(job, messages=await while_connected(request, _resolved(job.messages, settings)))
    opening = pipeline.run(ask, job)

    def answering(run: Run) -> Answer:
        voice = SpokenAnswer(spoken.expiry(), partial(spoken.keep, account)) if job.aloud is not None else None
        return answer_for(run, asked=body.model, legacy=body.legacy, spoken=voice)

    if body.stream:

        def frames(run: Run) -> AsyncGenerator[bytes, None]:
            answer = answering(run)
            return chunks(run, answer, job.n, include_usage=body.include_usage)

        return SseResponse(opening, frames, terminated=True, gathered=True)
    async with opening as run:
        answer = answering(run)
        content = await while_connected(request, completion(run, answer, job.n))
    return Response(content, media_type="application/json", headers=run.headers)


async def _resolved(messages: Sequence[Mapping[str, Any]], settings: Settings) -> tuple[Mapping[str, Any], ...]:
    """With pictures and sounds as engines take them, within the limits."""
    return await resolve_sounds(await resolve_images(messages, settings), settings)
