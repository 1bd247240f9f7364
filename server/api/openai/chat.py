"""POST /chat/completions: parse, open, render."""

from collections.abc import AsyncGenerator
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.answers.chat import ChatCompletion, ChatCompletionChunk
from server.api.body import read_json
from server.api.deps import PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.chat_media import opening_of
from server.api.openai.chat_request import ChatRequest
from server.api.openai.chat_response import Answer, answer_for, chunks, completion
from server.api.openai.chat_spoken import SpokenAnswer
from server.api.openai.quality import ask_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.services import services_of
from server.api.sse import SseResponse
from server.core import Task
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)


@router.post("/chat/completions")
@documented(
    body=ChatRequest,
    inference=True,
    answer=ChatCompletion,
    events=(ChatCompletionChunk,),
    examples={
        "a question": {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "What is the capital of Japan?"}],
            "max_tokens": 64,
        },
        "a stream with usage": {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "How many days are in a week?"}],
            "max_tokens": 64,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        "an answer that obeys a JSON Schema": {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "Tokyo is the capital of Japan."}],
            "max_tokens": 64,
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "city",
                    "schema": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}},
                },
            },
        },
        "a call of a function": {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "How is the weather in Paris?"}],
            "max_tokens": 64,
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "weather",
                        "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}},
                    },
                }
            ],
            "tool_choice": "required",
        },
        "log-probabilities": {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "Say yes."}],
            "max_tokens": 8,
            "logprobs": True,
            "top_logprobs": 2,
        },
    },
)
async def create(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """A chat completion, whole or streamed."""
    body = await read_json(request, ChatRequest, limit=settings.max_body, task=Task.CHAT)
    account, spoken = pipeline.caller.account_id, services_of(request).spoken
    job = body.job(partial(spoken.text, account))
    ask = ask_of(request, pipeline.caller, body.model, quality=body.quality, streamed=body.stream, priority=body.queued)
    opening = opening_of(request, pipeline, ask, job)

    def answering(run: Run) -> Answer:
        voice = SpokenAnswer(spoken.expiry(), partial(spoken.keep, account)) if job.aloud is not None else None
        return answer_for(run, body, voice)

    if body.stream:

        def frames(run: Run) -> AsyncGenerator[bytes, None]:
            usage = {"include_usage": body.include_usage, "continuous": body.continuous_usage}
            return chunks(run, answering(run), job.n, **usage)

        return SseResponse(opening, frames, terminated=True, gathered=True)
    async with opening as run:
        content = await while_connected(request, completion(run, answering(run), job.n))
    return Response(content, media_type="application/json", headers=run.headers)
