"""POST /responses: parse, open, render."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.answers.responses import EVENTS, ResponseResource
from server.api.body import read_json
from server.api.deps import PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.chat_media import opening_of
from server.api.openai.quality import ask_of
from server.api.openai.responses.opening import OpeningResponse
from server.api.openai.responses.request import ResponsesRequest
from server.api.openai.responses.stream import ResponseStream, whole
from server.api.openai.responses.turn import Turn
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.services import services_of
from server.api.sse import SseResponse
from server.core import Task

router = APIRouter(route_class=PlainRoute)

WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}},
}


@router.post("/responses")
@documented(
    body=ResponsesRequest,
    inference=True,
    answer=ResponseResource,
    events=EVENTS,
    missing=True,
    examples={
        "a question": {
            "model": "gpt-4o-mini",
            "input": "What is the capital of Japan?",
            "max_output_tokens": 64,
        },
        "a stream": {
            "model": "gpt-4o-mini",
            "instructions": "Answer in one sentence.",
            "input": [{"role": "user", "content": "How many days are in a week?"}],
            "max_output_tokens": 64,
            "stream": True,
        },
        "an answer that obeys a JSON Schema": {
            "model": "gpt-4o-mini",
            "input": "Tokyo is the capital of Japan.",
            "max_output_tokens": 64,
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "city",
                    "schema": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}},
                }
            },
        },
        "a call of a function": {
            "model": "gpt-4o-mini",
            "input": "How is the weather in Paris?",
            "max_output_tokens": 64,
            "tools": [WEATHER],
            "tool_choice": "required",
        },
        "what a function found": {
            "model": "gpt-4o-mini",
            "input": [
                {"role": "user", "content": "How is the weather in Paris?"},
                {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Paris"}'},
                {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
            ],
            "max_output_tokens": 64,
            "tools": [WEATHER],
            "tool_choice": "none",
        },
    },
)
async def create(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """A response, whole or streamed."""
    body = await read_json(request, ResponsesRequest, limit=settings.max_body, task=Task.CHAT)
    turn = await Turn.of(pipeline.caller.account_id, body, services_of(request).responses)
    layout = turn.layout()
    job = body.job(layout.messages)
    ask = ask_of(request, pipeline.caller, body.model, quality=body.quality, streamed=body.stream, priority=body.queued)
    opening = OpeningResponse(opening_of(request, pipeline, ask, job), layout)
    if body.stream:
        stream = ResponseStream(turn)
        return SseResponse(opening, stream.frames, gathered=True, failing=stream.failed)
    async with opening as run:
        content = await while_connected(request, whole(run, turn))
    return Response(content, media_type="application/json", headers=run.headers)
