"""POST /chat/completions: parse, open, render."""

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.body import read_json
from server.api.deps import CallerDep, PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.chat_request import ChatRequest
from server.api.openai.chat_response import answer_for, chunks, completion
from server.api.openai.image_input import resolve_images
from server.api.openai.quality import with_quality
from server.api.sse import DONE, SseResponse

router = APIRouter()


@router.post("/chat/completions")
async def create(request: Request, caller: CallerDep, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """A chat completion, whole or streamed."""
    body = await read_json(request, ChatRequest, limit=settings.max_body)
    job = with_quality(body.job(), body.quality, request)
    job = replace(job, messages=await while_connected(request, resolve_images(job.messages, settings)))
    run = await while_connected(request, pipeline.open(job, caller))
    answer = answer_for(run, asked=body.model, legacy=body.legacy)
    if body.stream:
        frames = chunks(run, answer, job.n, include_usage=body.include_usage)
        return SseResponse(run, frames, headers=run.headers, terminator=DONE)
    async with run:
        content = await while_connected(request, completion(run, answer, job.n))
    return Response(content, media_type="application/json", headers=run.headers)
