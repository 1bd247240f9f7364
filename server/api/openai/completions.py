"""POST /completions: parse, open, render."""

from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.answers.completions import Completion, CompletionChunk
from server.api.body import read_json
from server.api.deps import PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.completion_request import CompletionRequest
from server.api.openai.completion_response import chunks, completion, completion_answer
from server.api.openai.quality import ask_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.sse import SseResponse
from server.core import Task
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)


@router.post("/completions")
@documented(
    body=CompletionRequest,
    inference=True,
    answer=Completion,
    events=(CompletionChunk,),
    examples={
        "a text that goes on": {"model": "gpt-4o-mini", "prompt": "The capital of Japan is", "max_tokens": 8},
        "a stream": {"model": "gpt-4o-mini", "prompt": ["Once", "Twice"], "max_tokens": 8, "stream": True},
        "log-probabilities of the prompt, and nothing generated": {
            "model": "gpt-4o-mini",
            "prompt": "The capital of Japan is Tokyo",
            "max_tokens": 0,
            "echo": True,
            "logprobs": 1,
        },
    },
)
async def create(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """Texts that go on, whole or streamed."""
    body = await read_json(request, CompletionRequest, limit=settings.max_body, task=Task.COMPLETION)
    job = body.job()
    ask = ask_of(request, pipeline.caller, body.model, quality=body.quality, streamed=body.stream, priority=body.queued)
    opening, prompts = pipeline.run(ask, job), len(job.prompts)
    if body.stream:

        def frames(run: Run) -> AsyncGenerator[bytes, None]:
            return chunks(run, completion_answer(run, body), body, prompts)

        return SseResponse(opening, frames, terminated=True, gathered=True)
    async with opening as run:
        content = await while_connected(request, completion(run, completion_answer(run, body), body, prompts))
    return Response(content, media_type="application/json", headers=run.headers)
