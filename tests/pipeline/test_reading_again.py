"""Requests whose engine was found to hang before it had read them, and what a request is told to have taken."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from server.core import Claim, Task
from server.engines.base import Engine
from server.engines.fake.engine import FakeEngine
from server.errors import EngineFailed, EngineHung
from server.models.config.spec import ModelSpec
from server.settings import Settings
from server.testing import FakeServer
from tests.pipeline.test_billing import bank_with

pytestmark = pytest.mark.anyio

CHAT: dict[str, Any] = {"model": "everything", "messages": [{"role": "user", "content": "hello there"}]}


class Broken(FakeEngine):
    """Reads nothing."""

    def __init__(self, failure: EngineFailed) -> None:
        super().__init__(Task.CHAT)
        self.failure = failure

    async def read(self, job: object) -> Any:
        raise self.failure


@pytest.fixture
def broken() -> list[Broken]:
    """Engines that are leased before that of the server."""
    return []


@pytest.fixture
def leases() -> list[int]:
    """How many there were with each new one."""
    return []


@pytest.fixture
async def fake(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, broken: list[Broken], leases: list[int]
) -> AsyncGenerator[FakeServer, None]:
    async with FakeServer(settings) as fake:
        whole = fake.registry.lease

        @asynccontextmanager
        async def lease(spec: ModelSpec, claim: Claim) -> AsyncGenerator[Engine, None]:
            async with whole(spec, claim) as engine:
                leases.append(fake.registry.leases)
                yield broken.pop(0) if broken else engine

        monkeypatch.setattr(fake.registry, "lease", lease)
        yield fake


async def test_what_a_hung_engine_has_not_read_is_read_by_the_next_one(
    fake: FakeServer, broken: list[Broken], leases: list[int]
) -> None:
    broken.append(Broken(EngineHung()))
    async with fake.client() as client:
        answer = await client.post("/v1/chat/completions", json=CHAT)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"]
    assert leases == [1, 1]  # the first was given back before


async def test_a_second_hang_is_told(fake: FakeServer, broken: list[Broken], leases: list[int]) -> None:
    broken += [Broken(EngineHung()) for _ in range(3)]
    async with fake.client() as client:
        answer = await client.post("/v1/chat/completions", json=CHAT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_hung")
    assert (leases, fake.registry.leases) == ([1, 1], 0)


async def test_what_may_have_killed_its_engine_gets_no_second_one(
    fake: FakeServer, broken: list[Broken], leases: list[int]
) -> None:
    broken.append(Broken(EngineFailed()))
    async with fake.client() as client:
        answer = await client.post("/v1/chat/completions", json=CHAT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "engine_failed")
    assert (leases, fake.registry.leases) == ([1], 0)


async def test_a_server_that_ends_leases_no_second_engine(
    fake: FakeServer, broken: list[Broken], leases: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.append(Broken(EngineHung()))

    async def read(job: object) -> Any:
        fake.services.pipeline.shutdown.begin()
        raise EngineHung

    monkeypatch.setattr(broken[0], "read", read)
    async with fake.client() as client:
        answer = await client.post("/v1/chat/completions", json=CHAT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_hung")
    assert leases == [1]


async def test_the_queue_learns_what_a_request_took(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bank_with(settings, 100) as bank:
        seen: list[tuple[str, float, float, int]] = []
        registry = bank.server.registry

        def took(spec: ModelSpec, claim: Claim, work: float) -> None:
            seen.append((spec.name, claim.size, work, registry.leases))

        monkeypatch.setattr(registry, "took", took)
        usage = (await bank.ask(max_tokens=50)).json()["usage"]
        assert usage["total_tokens"] == 7
        assert seen == [("fake-chat", 50 + 11 / 4, 7, 1)]  # while it has its lease
        engine = bank.server.engines[Task.CHAT]
        engine.gate.close()
        async with bank.asking(stream=True, max_tokens=50) as exchange:
            engine.gate.let(4)  # Facts and three tokens
            await engine.gate.until_waiting()
            exchange.hang_up()
        assert seen[1:] == [("fake-chat", 50 + 11 / 4, 2 + 3, 1)]
