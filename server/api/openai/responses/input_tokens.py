"""POST /responses/input_tokens: how many tokens a response's input is. Nothing is generated or paid."""

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.answers.responses import InputTokens
from server.api.body import read_json
from server.api.deps import PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.responses.keeping import keeper_of
from server.api.openai.responses.opening import opening_of
from server.api.openai.responses.request import ResponsesRequest
from server.api.openai.responses.turn import Turn
from server.api.openai.tokenize import first_event
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.services import services_of
from server.core import Tokenized, TokenizeJob
from server.errors import InternalError

router = APIRouter(route_class=PlainRoute)


@router.post("/responses/input_tokens")
@documented(
    body=ResponsesRequest,
    inference=True,
    answer=InputTokens,
    missing=True,
    examples={
        "how long a question is": {
            "model": "gpt-4o-mini",
            "instructions": "Answer in one sentence.",
            "input": "How many days are in a week?",
        },
    },
)
async def count(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """How many tokens a response's input is, with its instructions, its functions and what came before."""
    body = await read_json(request, ResponsesRequest, limit=settings.max_body)
    turn = await Turn.of(pipeline.caller.account_id, body, keeper_of(services_of(request)))
    opening = opening_of(request, pipeline, turn, asked=lambda job: TokenizeJob(of=job))
    async with opening as run:
        found = await while_connected(request, first_event(run))
    if not isinstance(found, Tokenized):
        raise InternalError
    counted = {"object": "response.input_tokens", "input_tokens": len(found.ids)}
    return Response(orjson.dumps(counted), media_type="application/json", headers=run.headers)
