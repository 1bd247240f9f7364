"""What clients can do to a connection besides asking and reading: to write too much, too little, or at a wrong time."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest
import uvicorn
from uvicorn.server import ServerState

from server.api.http1 import MOST_PIPELINED, Http1Protocol
from server.api.lifetime import HungUp
from server.core import Task
from server.testing import FakeServer
from tests.api.listening import listening
from tests.api.test_http1 import BODY, OFFERS, Line, connected, head

pytestmark = pytest.mark.anyio

HEALTH = b"GET /health HTTP/1.1\r\nHost: here\r\n"


@pytest.mark.parametrize("offer", [b"", OFFERS["curl"]], ids=["plain", "with an offer"])
async def test_so_many_requests_are_read_at_once(
    fake: FakeServer, offer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a key, 14,000 requests in 250 kB held all others up for 7.8 s (by hand), and offers ended in a
    RecursionError."""
    async with connected(fake) as (line, _):
        line.writer.write((HEALTH + offer + b"\r\n") * 600)
        answers = (await line.reader.read()).split(b"HTTP/1.1 ")[1:]
        assert len(answers) == 1 + MOST_PIPELINED
        assert {answer[:6] for answer in answers} == {b"200 OK"}
        assert [b"connection: close" in answer for answer in answers] == [False] * MOST_PIPELINED + [True]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


class Seen(Http1Protocol):
    """The protocols of a server, in the order of their connections."""

    made: list[Self]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.got = asyncio.Event()
        self.made.append(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.got.set()


@asynccontextmanager
async def seen(fake: FakeServer) -> AsyncIterator[tuple[Line, Any]]:
    kind: type[Seen] = type("Seen", (Seen,), {"made": []})
    async with listening(fake, kind) as client:
        line = Line(*await asyncio.open_connection(client.base_url.host, client.base_url.port))
        line.writer.write(HEALTH + b"\r\n")
        assert (await line.answer())[0] == 200
        try:
            yield line, kind.made[0]
        finally:
            line.writer.close()


async def test_an_empty_line_does_not_keep_a_connection_for_ever(fake: FakeServer) -> None:
    async with seen(fake) as (line, protocol):
        protocol.got.clear()
        line.writer.write(b"\r\n")
        await protocol.got.wait()
        assert protocol.timeout_keep_alive_task is not None


async def test_a_body_that_nobody_wants_does_not_keep_a_connection_for_ever(fake: FakeServer) -> None:
    async with seen(fake) as (line, protocol):
        line.writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: 900\r\n\r\n{")
        assert (await line.answer())[0] == 401
        protocol.got.clear()
        line.writer.write(b"}")
        await protocol.got.wait()
        assert protocol.timeout_keep_alive_task is not None
        # And it is the keep-alive time: the rest may come, and a further request after it.
        line.writer.write(b" " * 898 + HEALTH + b"\r\n")
        assert (await line.answer())[0] == 200


async def test_a_hang_up_is_noticed_behind_rubbish(fake: FakeServer) -> None:
    engine = fake.engines[Task.CHAT]
    engine.gate.close()
    async with seen(fake) as (line, protocol):
        line.writer.write(head(b"") + BODY)
        await engine.gate.until_waiting()
        protocol.got.clear()
        line.writer.write(b"rubbish\r\n\r\n")
        await protocol.got.wait()
        line.writer.close()
        try:
            async with asyncio.timeout(10):  # it never was
                await engine.until_idle()
        finally:
            engine.gate.open()
    assert engine.cut_short == 1


async def test_nothing_follows_the_refusal_of_a_body_that_did_not_wait_for_its_100(
    fake: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """uvicorn's `receive` wrote the 100 behind it, into a line that is closed for writing: a RuntimeError of ours."""
    async with seen(fake) as (line, _):
        line.writer.write(head(b"Expect: 100-continue\r\n", length=b"Transfer-Encoding: chunked\r\n") + b"nonsense\r\n")
        assert (await line.answer())[0] == 400
        assert await line.reader.read() == b""
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


# ------------------------------------------------------------ without a socket


class Transport(asyncio.Transport):
    """A client that takes what `waiting` says, in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self.written = b""
        self.closing = self.aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Served:
    """A protocol over such a transport, whose application answers when it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.error: BaseException | None = None
        self.state = ServerState()
        self.transport = Transport()
        config = uvicorn.Config(self._app, http=Http1Protocol, ws="none", log_config=None, interface="asgi3")
        self.protocol = Http1Protocol(config, self.state, {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.transport)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        await self.let.wait()
        self.let.clear()
        try:
            if self.error is not None:
                raise self.error
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
        except HungUp:
            return  # as RequestContext has it

    def ask(self) -> None:
        self.protocol.data_received(HEALTH + b"\r\n")

    async def answered(self) -> None:
        tasks = list(self.state.tasks)
        self.let.set()
        await asyncio.gather(*tasks)

    @property
    def hurries(self) -> bool:
        return self.protocol._hurrying is not None


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    yield served
    served.protocol.connection_lost(OSError())


async def test_the_rest_of_an_answer_has_its_time_also_if_the_buffer_was_full(served: Served) -> None:
    """A full buffer's time ends when a quarter is left. Who stopped there held its connection for ever."""
    served.ask()
    await served.answered()
    served.protocol.pause_writing()
    served.transport.waiting = 10_000
    served.protocol.resume_writing()
    assert served.hurries
    served.protocol._cut_off()
    assert served.transport.aborted


async def test_the_time_of_one_answers_rest_does_not_end_the_next_answer(served: Served) -> None:
    served.transport.waiting = 10_000
    served.ask()
    await served.answered()
    assert served.hurries
    served.ask()
    served.protocol._cut_off()
    assert not served.transport.aborted
    await served.answered()
    assert served.hurries
    served.protocol._cut_off()
    assert served.transport.aborted


async def test_what_is_closed_and_not_taken_has_its_time(served: Served) -> None:
    served.ask()
    served.transport.waiting = 10_000
    served.protocol.look()
    assert not served.hurries
    served.transport.close()  # as uvicorn does with an answer that broke off
    served.protocol.look()
    assert served.hurries
    served.protocol._cut_off()
    assert served.transport.aborted


async def test_who_has_gone_before_its_protocol_knows_is_no_error(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.ask()
    served.transport.close()
    await served.answered()
    assert caplog.records == []
    assert served.transport.written == b""


@pytest.mark.parametrize("gone", [False, True])
async def test_what_no_layer_has_caught_is_answered_in_the_envelope(served: Served, gone: bool) -> None:
    served.ask()
    served.error = RuntimeError("a bug")
    served.transport.closing = gone
    await served.answered()  # and the task has not failed
    if gone:
        assert served.transport.written == b""
    else:
        top, _, body = served.transport.written.partition(b"\r\n\r\n")
        assert top.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert json.loads(body)["error"]["type"] == "server_error"
        assert served.transport.closing
