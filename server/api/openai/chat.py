"""POST /chat/completions: parse, open, render."""

from collections.abc import AsyncGenerator
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.body import read_json
from server.api.deps import PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.chat_request import ChatRequest
from server.api.openai.chat_response import answer_for, chunks, completion
from server.api.openai.image_input import resolve_images
from server.api.openai.quality import ask_of
from server.api.plain_route import PlainRoute
from server.api.sse import SseResponse
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)


@router.post("/chat/completions")
async def create(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """A chat completion, whole or streamed."""
    body = await read_json(request, ChatRequest, limit=settings.max_body)
    job = body.job()
    ask = ask_of(request, pipeline.caller, body.model, quality=body.quality, streamed=body.stream, priority=body.queued)
    messages = await while_connected(request, resolve_images(job.messages, settings))
    if messages != job.messages:  # a copy of a job costs 5 µs, and mostly there are no pictures
        job = replace(job, messages=messages)
    opening = pipeline.run(ask, job)
    if body.stream:

        def frames(run: Run) -> AsyncGenerator[bytes, None]:
            return chunks(
                run,
                answer_for(run, body),
                job.n,
                include_usage=body.include_usage,
                continuous=body.continuous_usage,
            )

        return SseResponse(opening, frames, terminated=True, gathered=True)
    async with opening as run:
        content = await while_connected(request, completion(run, answer_for(run, body), job.n))
    return Response(content, media_type="application/json", headers=run.headers)
