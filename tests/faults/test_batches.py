"""kill -9 of real servers in the midst of batches, at moments drawn by chance: every line answered and paid once."""

import asyncio
import random
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.attacks.batch_books import CHAT, Clerk, Ordered
from tests.faults.served import Served, serving, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

SLOW = """
name: slow
engine: fake
serves: chat
options: {echo: true, step: 0.05, sequences: 4}
price: {prompt_token: 0.1, completion_token: 1}
"""
"""Four answers at once, each in some 0.2 s."""


def bodies(count: int) -> list[dict[str, Any]]:
    """Of one to five words, which is what they are answered by."""
    return [
        {"model": "slow", "messages": [{"role": "user", "content": f"{number} {'word ' * (number % 5)}".strip()}]}
        for number in range(count)
    ]


def cost(body: Any) -> Decimal:
    """Half of what the tokens cost."""
    usage = body["usage"]
    return Decimal(usage["prompt_tokens"] + 10 * usage["completion_tokens"]) / 20


def check(told: Any, ordered: Ordered) -> None:
    assert told.wrong == []
    for number, one in enumerate(ordered.ids):
        said = told.answers[one]["choices"][0]["message"]["content"]
        assert said.split()[0] == str(number), "an answer to another line"


def begin(folder: Path, url: str, *, silence: float = 3) -> Any:
    """silence: seconds. A server that lives beside another must not be taken for dead between two of its beats."""
    return serving(folder, url, models={"slow": SLOW}, silence=silence)


async def until_done(clerk: Clerk, *orders: Ordered) -> None:
    for ordered in orders:
        while (batch := await clerk.standing(ordered)).status != "completed":
            assert batch.status in ("validating", "in_progress", "finalizing"), batch
            assert batch.paused is None, batch.paused
            await asyncio.sleep(0.2)


async def killed_soon(served: Served, clerk: Clerk, ordered: Ordered, chance: random.Random) -> None:
    """Once it has begun to answer, and some moments later."""
    wanted = clerk.written(ordered) + chance.randrange(0, 16)
    while clerk.written(ordered) < wanted:
        await asyncio.sleep(0.002)
    await asyncio.sleep(chance.uniform(0, 0.3))
    served.kill()


async def test_kills_lose_no_line_and_bill_none_twice(tmp_path: Path, database_url: str) -> None:
    settings = settings_in(tmp_path, database_url)
    clerk, chance = Clerk(settings), random.Random(16)
    caller = await clerk.payer("one")
    ordered = await clerk.order(caller, CHAT, bodies(150))
    for _ in range(5 if database_url.startswith("sqlite") else 2):
        assert clerk.written(ordered) < 130, "there is nothing left to be killed at"
        with begin(tmp_path, database_url) as served:
            await killed_soon(served, clerk, ordered, chance)
    with begin(tmp_path, database_url) as served:
        await until_done(clerk, ordered)
        served.stop()
    check(await clerk.told(ordered, cost), ordered)
    assert await clerk.books([caller]) == []
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_a_server_that_is_stopped_puts_its_lines_back(tmp_path: Path, database_url: str) -> None:
    settings = settings_in(tmp_path, database_url)
    clerk, chance = Clerk(settings), random.Random(17)
    caller = await clerk.payer("one")
    ordered = await clerk.order(caller, CHAT, bodies(80))
    for _ in range(2):
        with begin(tmp_path, database_url) as served:
            before = clerk.written(ordered)
            while clerk.written(ordered) < before + chance.randrange(1, 20):
                await asyncio.sleep(0.001)
            served.stop()
        assert await clerk.books([caller]) == [], "nothing is held for a line that was put back"
    assert clerk.written(ordered) < 80
    with begin(tmp_path, database_url) as served:
        await until_done(clerk, ordered)
        served.stop()
    check(await clerk.told(ordered, cost), ordered)
    assert await clerk.books([caller]) == []
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_two_servers_never_work_on_one_line(tmp_path: Path, database_url: str) -> None:
    """On one database and one folder. One of them is killed now and then; the other takes on what it had."""
    settings = settings_in(tmp_path, database_url)
    clerk, chance = Clerk(settings), random.Random(18)
    callers = [await clerk.payer(name) for name in ("one", "two")]
    orders = [await clerk.order(caller, CHAT, bodies(40)) for caller in (*callers, *callers)]
    with ExitStack() as stack:
        stays = stack.enter_context(begin(tmp_path, database_url, silence=90))
        for _ in range(2):
            with begin(tmp_path, database_url, silence=90) as served:
                await asyncio.sleep(chance.uniform(1, 3))
                served.kill()
        await until_done(clerk, *orders)
        stays.stop()
    for ordered in orders:
        check(await clerk.told(ordered, cost), ordered)
    assert await clerk.books(callers) == []
    assert "Traceback" not in (tmp_path / "log").read_text()
