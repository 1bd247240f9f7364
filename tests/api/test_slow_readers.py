"""Over raw sockets: clients that take their answers late, in part, or not at all."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from server.accounts.administration import Administration
from server.api import slow_readers
from server.api.http1 import Http1Protocol
from server.api.lifetime import HungUp
from server.api.slow_readers import BUFFER, UNSENT, Cycle
from server.core import Task
from server.models.config.spec import Price
from server.settings import Settings
from server.testing import KEY, FakeServer
from tests.api.listening import listening

pytestmark = pytest.mark.anyio

TOKENS = 20_000
CHUNK = 150
"""Bytes of a streamed token at least."""
MOST_UNREAD = (2 * BUFFER + UNSENT + 64 * 1024) // CHUNK
"""Tokens that may be made before a client that reads nothing holds them up: the buffers of both ends."""


@dataclass
class Watch:
    """What happens to the server's connections. full: when a buffer is full for the first time."""

    full: asyncio.Event = field(default_factory=asyncio.Event)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    most: int = 0

    def protocol(self, reader_timeout: float) -> type[Http1Protocol]:
        watch = self

        class Watched(Http1Protocol):
            def pause_writing(self) -> None:
                super().pause_writing()
                watch.most = max(watch.most, self.transport.get_write_buffer_size())
                watch.full.set()

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                watch.lost.set()

        return Watched.bounded(reader_timeout=reader_timeout)


class Client:
    """A connection whose end keeps as little as the system allows."""

    def __init__(self, line: socket.socket, key: str) -> None:
        self.line = line
        self._key = key

    async def ask(self, path: str = "/v1/chat/completions", *, times: int = 1, **body: Any) -> None:
        asked = {"model": "everything", **body}
        if "chat" in path:
            asked["messages"] = [{"role": "user", "content": "hello"}]
        data = json.dumps(asked).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        await asyncio.get_running_loop().sock_sendall(self.line, (head.encode() + data) * times)

    async def take(self, most: int = 1) -> bytes:
        """Empty at the end. Raises ConnectionResetError."""
        return await asyncio.get_running_loop().sock_recv(self.line, most)

    async def rest(self) -> None:
        """Take all that comes. Raises ConnectionResetError."""
        while await self.take(65536):
            pass


@asynccontextmanager
async def connected(
    fake: FakeServer, watch: Watch, reader_timeout: float = 60.0, key: str = KEY
) -> AsyncIterator[Client]:
    async with listening(fake, watch.protocol(reader_timeout)) as client:
        with socket.socket() as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.setblocking(False)
            await asyncio.get_running_loop().sock_connect(line, (client.base_url.host, client.base_url.port))
            yield Client(line, key)


@pytest.fixture(autouse=True)
def _without_a_bonus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full buffer earns four seconds."""
    monkeypatch.setattr(slow_readers, "LEAST_RATE", 1e9)


@pytest.fixture
async def long(settings: Settings) -> AsyncIterator[FakeServer]:
    """Its chats are long, and made without a single wait."""
    async with FakeServer(
        settings, {Task.CHAT: {"tokens": TOKENS, "context": 10**6, "text": "four words of text"}}
    ) as fake:
        yield fake


def generated(fake: FakeServer) -> float:
    """Tokens in the metrics, which are those that are billed."""
    return sum(
        value for name, _, value in fake.services.metrics.samples() if name == "sagehold_completion_tokens_total"
    )


async def test_no_more_is_made_than_the_buffers_hold_while_nobody_reads(long: FakeServer) -> None:
    watch = Watch()
    async with connected(long, watch) as client:
        await client.ask(stream=True)
        await watch.full.wait()
        assert watch.most <= 2 * BUFFER
        assert long.engines[Task.CHAT].running == 1
        client.line.close()
        await long.engines[Task.CHAT].until_idle()
    assert 0 < generated(long) <= MOST_UNREAD


async def test_who_takes_nothing_in_time_is_cut_off(long: FakeServer) -> None:
    watch = Watch()
    async with connected(long, watch, reader_timeout=0.01) as client:
        await client.ask(stream=True)
        await watch.lost.wait()
        await long.engines[Task.CHAT].until_idle()
        with pytest.raises(ConnectionResetError):
            await client.rest()
    assert long.engines[Task.CHAT].cut_short == 1
    assert long.registry.leases == 0
    assert 0 < generated(long) <= MOST_UNREAD


async def test_a_reader_of_single_bytes_gets_all_of_its_answer(long: FakeServer) -> None:
    """As long as it makes room in time, its answer waits for it."""
    watch = Watch()
    async with connected(long, watch) as client:
        await client.ask(stream=True, max_tokens=1500)
        await watch.full.wait()
        got = b""
        for _ in range(500):
            got += await client.take()
        while not got.endswith(b"0\r\n\r\n"):
            got += await client.take(65536)
    assert got.count(b'"content":"') == 1500 + 1  # the first chunk has the role, and an empty content
    assert b"data: [DONE]" in got
    assert generated(long) == 1500


async def test_a_hang_up_ends_an_answer_that_never_waits(long: FakeServer) -> None:
    """uvicorn takes what is sent to nobody without a word: all of the answer was made, and paid, while all others
    stood still."""
    watch = Watch()
    async with connected(long, watch) as client:
        await client.ask(stream=True)
        await client.take(100)
        client.line.close()
        await watch.lost.wait()
        await long.engines[Task.CHAT].until_idle()
    assert long.engines[Task.CHAT].cut_short == 1
    assert 0 < generated(long) <= MOST_UNREAD


async def test_a_hang_up_ends_the_first_of_two_requests_sent_at_once(long: FakeServer) -> None:
    engine = long.engines[Task.CHAT]
    engine.gate.close()
    engine.gate.let(3)
    async with connected(long, Watch()) as client:
        await client.ask(stream=True, times=2)
        assert b"200 OK" in await client.take(4096)
        await engine.gate.until_waiting()
        client.line.close()
        await engine.until_idle()
    assert (engine.started, engine.cut_short) == (1, 1)


async def test_a_whole_answer_that_is_not_taken_is_cut_off(long: FakeServer) -> None:
    watch = Watch()
    async with connected(long, watch, reader_timeout=0.01) as client:
        await client.ask(max_tokens=TOKENS, logprobs=True)
        await watch.lost.wait()
        with pytest.raises(ConnectionResetError):
            await client.rest()
    assert long.engines[Task.CHAT].finished == 1


async def test_what_is_left_of_an_answer_is_not_waited_for_for_ever(long: FakeServer) -> None:
    """What fits into the buffer holds nothing up, so that nobody would wait for it."""
    watch = Watch()
    async with connected(long, watch, reader_timeout=0.01) as client:
        await client.ask(max_tokens=TOKENS)
        await watch.lost.wait()
        assert not watch.full.is_set()
        with pytest.raises(ConnectionResetError):
            await client.rest()


async def test_a_slow_reader_pays_what_was_made_until_it_was_cut_off(settings: Settings) -> None:
    options = {Task.CHAT: {"tokens": TOKENS, "context": 10**6}}
    async with (
        Administration.open(settings) as administration,
        FakeServer(
            settings,
            options,
            accounts=administration.accounts,
            bank=administration.ledger,
            price=Price(completion_token=Decimal(1)),
        ) as fake,
    ):
        account, _ = await administration.create_account("slow", credits=Decimal(100_000))
        made = await administration.accounts.create_key(account=account.id)
        watch = Watch()
        async with connected(fake, watch, reader_timeout=0.01, key=made.key) as client:
            await client.ask(stream=True)
            await watch.lost.wait()
            await fake.engines[Task.CHAT].until_idle()
        await fake.services.pipeline.drained(5)
        balance = await administration.ledger.balance(account.id)
        assert Decimal(100_000) - balance.available == Decimal(int(generated(fake)))
        assert 0 < generated(fake) <= MOST_UNREAD


async def test_nothing_is_sent_to_a_connection_that_a_write_has_found_broken() -> None:
    """Its protocol is told when the loop turns, which an answer that never waits does not let it."""
    cycle = Cycle.__new__(Cycle)
    cycle.disconnected = False
    cycle.transport = cast(Any, SimpleNamespace(is_closing=lambda: True))
    with pytest.raises(HungUp):
        cycle.send({"type": "http.response.body"})
