"""A second dialect, and an application that speaks it beside the OpenAI API's."""

from collections.abc import AsyncGenerator

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.requests import HTTPConnection
from starlette.responses import Response

from server.api.access import require
from server.api.body import read_json
from server.api.deps import PipelineDep
from server.api.dialect import Dialect, Dialects
from server.api.openai.chat_request import ChatRequest
from server.api.openai.dialect import OPENAI
from server.api.openai.quality import ask_of
from server.api.sse import SseResponse, frame
from server.app import create_app
from server.core import TextDelta
from server.errors import SageholdError
from server.pipeline.run import Run
from server.testing import FakeServer


class Plain(Dialect):
    """Keys come in a header of their own, and every refusal is a 200 that says what it would have been."""

    prefixes = ("/plain",)
    terminator = b"event: end\ndata: \n\n"

    def credentials(self, connection: HTTPConnection) -> str | None:
        return connection.headers.get("x-access-tokens")

    def refusal(self, error: SageholdError) -> Response:
        body = orjson.dumps({"status": error.status, "response": error.message})
        return Response(body, 200, error.headers, "application/json")

    def error_event(self, error: SageholdError) -> bytes:
        return b"event: error\ndata: " + error.message.encode() + b"\n\n"


PLAIN = Plain()
router = APIRouter()


@router.post("/ask")
async def ask(request: Request, pipeline: PipelineDep) -> Response:
    body = await read_json(request, ChatRequest, limit=1000)
    opening = pipeline.run(ask_of(request, pipeline.caller, body.model, quality=None, streamed=True), body.job())
    return SseResponse(opening, _frames, terminated=True)


@router.post("/broken")
async def broken(request: Request) -> Response:
    raise RuntimeError("secret /path")


async def _frames(run: Run) -> AsyncGenerator[bytes, None]:
    async for event in run.events():
        if isinstance(event, TextDelta):
            yield frame(event.text)
    yield PLAIN.terminator


def speak_both(fake: FakeServer) -> None:
    """Give the server an application with both dialects."""
    app = fake.app = create_app(fake.services.settings, fake.services, Dialects(OPENAI, PLAIN))
    for prefix in ("/plain", "/v1/test"):
        app.include_router(router, prefix=prefix, dependencies=[Depends(require("inference"))])
