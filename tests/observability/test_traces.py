"""Traces in the log, with the real HTTP server above: each exception's once, and none is lost."""

import asyncio
import io
import logging
import socket
import sys
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from server.api.context import RequestContext
from server.api.dialect import Dialects
from server.api.errors import Guard, install
from server.api.openai.dialect import OPENAI
from server.errors import EngineFailed, InvalidRequest
from server.observability import Metrics, configure_logging

pytestmark = pytest.mark.anyio

SERVERS_LINE = "Exception in ASGI application"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the server writes to its log. The process's own logging is put back afterwards."""
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    levels = [one.level for one in loggers]
    handlers = logging.root.handlers[:]
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logging("info", "text")
    yield written
    logging.captureWarnings(False)
    logging.root.handlers[:] = handlers
    for one, level in zip(loggers, levels, strict=True):
        one.setLevel(level)


def raising(error: BaseException, *, started: bool) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise error

    return app


def layered(app: ASGIApp) -> ASGIApp:
    """`app` in the layers that log, with a dialect as an application of ours has one."""
    layers, speaking = RequestContext(Guard(app), Metrics()), FastAPI()
    install(speaking, Dialects(OPENAI))

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = speaking
        await layers(scope, receive, send)

    return whole


async def served(app: ASGIApp) -> int | None:
    """The status of one request to `app` over a socket; None where the answer broke off."""
    server = uvicorn.Server(uvicorn.Config(app, http="httptools", ws="none", lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
                return (await client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")).status_code
        except httpx.RemoteProtocolError:
            return None
        finally:
            server.should_exit = True
            await serving


@pytest.mark.parametrize("error", [RuntimeError("why"), EngineFailed("why")])
async def test_what_breaks_an_answer_off_is_logged_once_with_the_requests_id(
    log: io.StringIO, error: Exception
) -> None:
    assert await served(layered(raising(error, started=True))) is None
    lines = log.getvalue().splitlines()
    assert len([line for line in lines if line.endswith(f"{type(error).__name__}: why")]) == 1
    (first,) = [line for line in lines if " ERROR " in line]
    assert " ERROR req_" in first
    assert SERVERS_LINE not in log.getvalue()


@pytest.mark.parametrize("error", [InvalidRequest("why"), asyncio.CancelledError()])
async def test_what_is_no_bug_has_no_trace(log: io.StringIO, error: BaseException) -> None:
    assert await served(layered(raising(error, started=True))) is None
    assert "Traceback" not in log.getvalue()


async def test_a_bug_outside_the_guard_is_in_the_log(log: io.StringIO) -> None:
    """Its line was dropped by its words, with the guard's own."""
    assert await served(raising(RuntimeError("why"), started=False)) == 500
    assert SERVERS_LINE in log.getvalue()
    assert "RuntimeError: why" in log.getvalue()


async def test_two_bugs_of_one_kind_are_both_in_the_log(log: io.StringIO) -> None:
    for why in ("first", "second"):
        await served(raising(RuntimeError(why), started=False))
    assert "RuntimeError: first" in log.getvalue()
    assert "RuntimeError: second" in log.getvalue()
