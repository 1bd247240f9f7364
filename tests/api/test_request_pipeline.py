"""Whatever goes wrong in a route, nothing stays leased or held."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from decimal import Decimal

import orjson
import pytest
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from server.accounts.administration import Administration
from server.api.access import require
from server.api.body import read_json
from server.api.deps import PipelineDep
from server.api.openai.chat_request import ChatRequest
from server.api.openai.quality import ask_of
from server.api.request_pipeline import OpeningRun
from server.api.run_response import RunResponse
from server.api.sse import SseResponse
from server.core import Task
from server.models.config.spec import Price
from server.pipeline.run import Run
from server.settings import Settings
from server.testing import FakeServer

pytestmark = pytest.mark.anyio

BODY = orjson.dumps({"model": "fake-chat", "messages": [{"role": "user", "content": "hi"}]})
PRICE = Price(prompt_token=Decimal(1), completion_token=Decimal(1))
router = APIRouter()


async def opening(request: Request, pipeline: PipelineDep) -> OpeningRun:
    body = await read_json(request, ChatRequest, limit=1000)
    return pipeline.run(ask_of(request, pipeline.caller, body.model, quality=None), body.job())


@router.post("/before")
async def before(request: Request, pipeline: PipelineDep) -> Response:
    await opening(request, pipeline)
    raise RuntimeError("a bug before it is opened")


@router.post("/within")
async def within(request: Request, pipeline: PipelineDep) -> Response:
    async with await opening(request, pipeline):
        raise RuntimeError("a bug before it is used")


@router.post("/events")
async def events(request: Request, pipeline: PipelineDep) -> Response:
    async with await opening(request, pipeline) as run:
        async for _ in run.events():
            raise RuntimeError("a bug while it is used")
    raise AssertionError


@router.post("/unsent/{kind}")
async def unsent(kind: str, request: Request, pipeline: PipelineDep) -> Response:
    _respond(kind, await opening(request, pipeline))
    raise RuntimeError("a bug before the response is sent")


@router.post("/rendered/{kind}")
async def rendered(kind: str, request: Request, pipeline: PipelineDep) -> Response:
    return _respond(kind, await opening(request, pipeline))


def _respond(kind: str, run: OpeningRun) -> Response:
    return SseResponse(run, _broken) if kind == "sse" else RunResponse(run, _broken, media_type="audio/mpeg")


async def _broken(run: Run) -> AsyncGenerator[bytes, None]:
    raise RuntimeError("a bug in the rendering")
    yield b""


@pytest.fixture
async def office(settings: Settings) -> AsyncIterator[Administration]:
    async with Administration.open(settings) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "opens"),
    [
        ("/before", False),
        ("/within", True),
        ("/events", True),
        ("/unsent/sse", False),
        ("/unsent/file", False),
        ("/rendered/sse", True),
        ("/rendered/file", True),
    ],
)
async def test_a_bug_leaves_no_lease_and_no_hold(
    settings: Settings, office: Administration, path: str, opens: bool
) -> None:
    account, _ = await office.create_account("payer", credits=Decimal(1000))
    key = await office.accounts.create_key(account=account.id, scopes=["inference"])
    async with FakeServer(settings, accounts=office.accounts, bank=office.ledger, price=PRICE) as fake:
        fake.app.include_router(router, prefix="/v1/test", dependencies=[Depends(require("inference"))])
        async with fake.exchange(
            "POST", f"/v1/test{path}", body=BODY, headers={"authorization": f"Bearer {key.key}"}
        ) as sent:
            status = await sent.start()
            assert status == (200 if path == "/rendered/sse" else 500)
        assert (fake.registry.leases, fake.engines[Task.CHAT].running) == (0, 0)
        assert (fake.engines[Task.CHAT].started > 0) is opens
    balance = await office.ledger.balance(account.id)
    assert (balance.held, balance.available) == (0, 1000)


async def test_the_answers_id_is_that_of_the_log_line_and_of_the_ledger(
    settings: Settings, office: Administration, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sagehold.access")
    account, _ = await office.create_account("payer", credits=Decimal(1000))
    key = await office.accounts.create_key(account=account.id, scopes=["inference"])
    headers = {"content-type": "application/json"}
    server = FakeServer(settings, accounts=office.accounts, bank=office.ledger, price=PRICE)
    async with server as fake, fake.client(key=key.key) as client:
        answer = await client.post("/v1/chat/completions", content=BODY, headers=headers)
    assert answer.status_code == 200
    entries = [entry async for entry in office.ledger.entries(account.id)]
    paid = {entry.reference for entry in entries if entry.key_id == key.record.id}
    assert paid == {answer.headers["x-request-id"]}
    assert vars(caplog.records[-1])["request"]["status"] == 200
