"""POST /chat/completions: parse, open, render."""

from collections.abc import AsyncGenerator
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.body import read_json
from server.api.deps import CallerDep, PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.chat_request import ChatRequest
from server.api.openai.chat_response import answer_for, chunks, completion
from server.api.openai.image_input import resolve_images
from server.api.openai.quality import ask_of
from server.api.opening import streamed
from server.api.sse import DONE
from server.pipeline.run import Run

router = APIRouter()


@router.post("/chat/completions")
async def create(request: Request, caller: CallerDep, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """A chat completion, whole or streamed."""
    body = await read_json(request, ChatRequest, limit=settings.max_body)
    job = body.job()
    ask = ask_of(request, caller, body.model, quality=body.quality, streamed=body.stream)
    job = replace(job, messages=await while_connected(request, resolve_images(job.messages, settings)))
    opening = pipeline.open(ask, job)
    if body.stream:

        def frames(run: Run) -> AsyncGenerator[bytes, None]:
            answer = answer_for(run, asked=body.model, legacy=body.legacy)
            return chunks(run, answer, job.n, include_usage=body.include_usage)

        return await streamed(request, opening, frames, terminator=DONE)
    async with await while_connected(request, opening) as run:
        answer = answer_for(run, asked=body.model, legacy=body.legacy)
        content = await while_connected(request, completion(run, answer, job.n))
    return Response(content, media_type="application/json", headers=run.headers)
