"""A body that trickles ends in 408; one that is only big does not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.api.slow_bodies import LEAST_RATE, SlowBodies
from server.settings import Settings
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio

Receive = Callable[[], Awaitable[Any]]


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def never() -> Any:
    await asyncio.Event().wait()


async def test_a_body_that_does_not_end_is_answered_408_and_the_connection_closed(settings: Settings) -> None:
    pieces = [piece(b'{"model":'), piece(b" ")]

    async def receive() -> Any:
        return pieces.pop(0) if pieces else await never()

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async with FakeServer(settings.model_copy(update={"body_timeout": 0.05})) as fake:
        exchange = fake.exchange("POST", "/v1/chat/completions")
        await fake.app(exchange.scope, receive, send)
    headers = dict(sent[0]["headers"])
    assert sent[0]["status"] == 408
    assert headers[b"connection"] == b"close"
    assert headers[b"x-request-id"].startswith(b"req_")
    assert b'"code":"request_timeout"' in sent[1]["body"]
    assert KEY.encode() not in sent[1]["body"]


async def read(receive: Receive, timeout: float) -> list[Any]:
    """What an application gets that reads until the client has gone."""
    got: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while not got or got[-1]["type"] != "http.disconnect":
            got.append(await receive())

    async def send(message: Any) -> None:
        raise AssertionError

    await SlowBodies(application, timeout)({"type": "http"}, receive, send)
    return got


async def test_bytes_earn_time(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines: list[float | None] = []
    real = asyncio.timeout_at
    monkeypatch.setattr(asyncio, "timeout_at", lambda when: (deadlines.append(when), real(when))[1])
    pieces = [piece(b"x" * 10 * LEAST_RATE), piece(b"", more=False), {"type": "http.disconnect"}]

    async def receive() -> Any:
        await asyncio.sleep(0)  # what is there already needs no time
        return pieces.pop(0)

    assert len(await read(receive, timeout=60)) == 3
    first, second = deadlines  # the wait for the disconnect has none
    assert first is not None
    assert second is not None
    assert second - first == pytest.approx(10)


async def test_waiting_for_the_client_to_go_takes_all_the_time_there_is() -> None:
    gone = asyncio.Event()
    pieces = [piece(b"{}", more=False)]

    async def receive() -> Any:
        if pieces:
            return pieces.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    reading = asyncio.create_task(read(receive, timeout=0.001))
    asyncio.get_running_loop().call_later(0.02, gone.set)
    assert [message["type"] for message in await reading] == ["http.request", "http.disconnect"]
