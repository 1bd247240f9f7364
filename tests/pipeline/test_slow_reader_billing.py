"""Who reads too slowly pays what was generated, whether it was taken or not."""

from collections.abc import AsyncGenerator
from decimal import Decimal

import pytest

from server.core import Event, Task
from server.engines.fake.engine import FakeReading
from server.errors import SlowReader
from server.settings import Settings
from tests.pipeline.test_billing import bank_with

pytestmark = pytest.mark.anyio


async def test_a_hang_up_pays_what_was_generated_and_not_taken(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeReading, "unread", 7)
    async with bank_with(settings, 100) as bank:
        engine = bank.server.engines[Task.CHAT]
        engine.gate.close()
        async with bank.asking(stream=True, max_tokens=50) as exchange:
            engine.gate.let(4)  # Facts and three tokens
            await engine.gate.until_waiting()
            exchange.hang_up()
        assert (await bank.balance()).balance == Decimal("89.8")


async def test_a_whole_answer_pays_what_the_engine_says(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeReading, "unread", 7)
    async with bank_with(settings, 100) as bank:
        assert (await bank.ask(max_tokens=50)).json()["usage"]["credits"] == 5.2
        assert (await bank.balance()).balance == Decimal("94.8")


async def test_a_stream_that_is_ended_for_its_reader_says_so_and_is_paid(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = FakeReading.run

    async def run(reading: FakeReading, limit: int | None = None) -> AsyncGenerator[Event, None]:
        number = 0
        async for event in whole(reading, limit):
            yield event
            number += 1
            if number == 3:
                raise SlowReader

    monkeypatch.setattr(FakeReading, "run", run)
    async with bank_with(settings, 100) as bank:
        answer = await bank.ask(stream=True, max_tokens=50)
        assert '"content":" the"' in answer.text
        assert '"code":"slow_reader"' in answer.text.split("\n\n")[-3]
        assert answer.text.endswith("data: [DONE]\n\n")
        assert (await bank.balance()).balance == Decimal("96.8")
