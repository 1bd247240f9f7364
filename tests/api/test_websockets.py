"""A websocket is authenticated as a request is; what refuses it is an answer, or a code that closes it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import orjson
import pytest
from fastapi import APIRouter, Depends, WebSocket

from server.api.access import authenticated, require
from server.core import Caller
from server.errors import InvalidRequest, Overloaded
from server.settings import Settings
from server.testing import CALLER, KEY, FakeServer
from tests.api.two_dialects import speak_both

pytestmark = pytest.mark.anyio

router = APIRouter()


@router.websocket("/talk")
async def talk(websocket: WebSocket, caller: Annotated[Caller, Depends(authenticated)]) -> None:
    await websocket.accept()
    await websocket.send_text(caller.key_id)
    asked = await websocket.receive_text()
    if asked == "too much":
        raise Overloaded
    raise InvalidRequest("Nobody knows.")


@pytest.fixture
async def fake(settings: Settings) -> AsyncIterator[FakeServer]:
    async with FakeServer(settings) as server:
        speak_both(server)
        for prefix in ("/v1", "/plain"):
            server.app.include_router(router, prefix=prefix, dependencies=[Depends(require("inference"))])
        yield server


async def talked(
    fake: FakeServer, path: str, headers: Mapping[str, str], *texts: str, can_answer: bool = True
) -> list[dict[str, Any]]:
    """What the application sends to a client that connects and sends `texts`."""
    messages: list[Any] = [{"type": "websocket.connect"}]
    messages += [{"type": "websocket.receive", "text": text} for text in texts]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}} if can_answer else {},
    }
    await fake.app(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/v1/talk", {"authorization": f"Bearer {KEY}"}), ("/plain/talk", {"x-access-tokens": KEY})],
)
async def test_a_key_lets_a_websocket_in(
    fake: FakeServer, caplog: pytest.LogCaptureFixture, path: str, headers: dict[str, str]
) -> None:
    caplog.set_level(logging.DEBUG)
    accepted, first, *_ = await talked(fake, path, headers, "hello")
    assert accepted["type"] == "websocket.accept"
    assert first["text"] == CALLER.key_id
    assert KEY not in caplog.text


async def test_a_refusal_is_an_answer_instead_of_the_handshake(fake: FakeServer) -> None:
    start, body = await talked(fake, "/v1/talk", {"authorization": "Bearer sk-sage-wrong"})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert dict(start["headers"])[b"www-authenticate"] == b"Bearer"
    assert orjson.loads(body["body"])["error"]["code"] == "invalid_api_key"
    start, body = await talked(fake, "/plain/talk", {})
    assert start["status"] == 200
    assert orjson.loads(body["body"])["status"] == 401


async def test_where_the_server_can_only_close_it_is_closed(fake: FakeServer) -> None:
    [closed] = await talked(fake, "/v1/talk", {"authorization": "Bearer sk-sage-wrong"}, can_answer=False)
    assert closed == {"type": "websocket.close", "code": 1008, "reason": "invalid_api_key"}


async def test_a_key_without_the_scope_is_refused(fake: FakeServer) -> None:
    fake.accounts.keys["sk-sage-usage"] = Caller("key_u", "acct_u", scopes=frozenset({"usage"}))  # type: ignore[attr-defined]
    start, _ = await talked(fake, "/v1/talk", {"authorization": "Bearer sk-sage-usage"})
    assert start["status"] == 403


@pytest.mark.parametrize(
    ("text", "code", "reason"), [("why", 1008, "invalid_value"), ("too much", 1013, "server_is_overloaded")]
)
async def test_an_error_once_it_is_open_closes_it(fake: FakeServer, text: str, code: int, reason: str) -> None:
    *_, closed = await talked(fake, "/v1/talk", {"authorization": f"Bearer {KEY}"}, text)
    assert closed == {"type": "websocket.close", "code": code, "reason": reason}
