"""kill -9 of the server and of its engine, in turns, in the midst of a batch: no line is lost, and none paid twice."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from scripts.attacks.apart import WORKER
from scripts.attacks.batch_books import CHAT, Clerk, Ordered
from scripts.attacks.row import Row
from scripts.attacks.target import Target, fake_models, served
from server.jobs.batches.records import OPEN
from server.settings import Settings

KILLS = 50
LINES_A_KILL = 16
MODEL = """
name: apart
engine: fake
serves: chat
options: {echo: true, step: 0.03}
price: {prompt_token: 0.1, completion_token: 1}
"""
LONGEST = 120.0
"""Seconds without a new answer after which the batch is stuck."""


def _bodies(count: int) -> list[dict[str, Any]]:
    return [
        {"model": "apart", "messages": [{"role": "user", "content": f"{number} {'word ' * (number % 5)}".strip()}]}
        for number in range(count)
    ]


def cost(body: Any) -> Decimal:
    """Half of what its tokens cost."""
    usage = body["usage"]
    return Decimal(usage["prompt_tokens"] + 10 * usage["completion_tokens"]) / 20


async def _goes_on(clerk: Clerk, ordered: Ordered, chance: random.Random) -> float:
    """Return some moments after a random number of lines was answered. Seconds until the first of them."""
    begun, first = time.monotonic(), 0.0
    before = clerk.written(ordered)
    wanted = before + chance.randrange(1, LINES_A_KILL)
    while (now := clerk.written(ordered)) < min(wanted, len(ordered.ids)):
        if time.monotonic() - begun > LONGEST:
            raise TimeoutError(f"no more than {now} lines are answered after {LONGEST:.0f} s")
        if now > before and not first:
            first = time.monotonic() - begun
        await asyncio.sleep(0.005)
    await asyncio.sleep(chance.uniform(0, 0.3))
    return first or time.monotonic() - begun


def _kill_engine(target: Target) -> bool:
    """Whether there was one."""
    found = [
        child for child in psutil.Process(target.process.pid).children(recursive=True) if WORKER in child.cmdline()
    ]
    for child in found:
        child.kill()
    return bool(found)


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    kills = 4 if quick else KILLS
    chance = random.Random(16)
    settings = Settings(data_dir=folder / "data")
    clerk, configs = Clerk(settings), fake_models(folder, {"apart": MODEL})
    caller = await clerk.payer("payer")
    ordered = await clerk.order(caller, CHAT, _bodies(kills * LINES_A_KILL))
    engines, back = 0, list[float]()
    for _ in range(kills // 2):
        with served(folder, configs=configs, module="scripts.attacks.apart", ready=False) as target:
            back.append(await _goes_on(clerk, ordered, chance))
            engines += _kill_engine(target)
            await _goes_on(clerk, ordered, chance)
            target.process.kill()
            target.process.wait()
    left = len(ordered.ids) - clerk.written(ordered)
    with served(folder, configs=configs, module="scripts.attacks.apart", ready=False):
        deadline = time.monotonic() + LONGEST
        while (await clerk.standing(ordered)).status in OPEN and time.monotonic() < deadline:  # noqa: ASYNC110 - its own
            await asyncio.sleep(0.2)
    told = await clerk.told(ordered, cost)
    wrong = told.wrong + await clerk.books([caller])
    for number, one in enumerate(ordered.ids):
        said = told.answers[one]["choices"][0]["message"]["content"] if one in told.answers else ""
        if said.split()[:1] != [str(number)]:
            wrong.append(f"{one} was answered by {said!r}")
    measured = (
        f"{kills // 2} kills of the server and {engines} of the engine over {len(ordered.ids)} lines, {left} left "
        f"after the last; at work again {max(back):.1f} s after a start at the latest; {len(wrong)} faults"
    )
    measured += f" ({wrong[0]})" if wrong else ""
    wanted = "every line answered once, charged once and exactly, nothing held"
    yield Row(
        "kill -9 of server and engine in the midst of a batch", measured, wanted, not wrong and engines == kills // 2
    )
