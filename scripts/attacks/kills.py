"""kill -9 of the front end under load, again and again on the same books: exact, nothing lost, soon back."""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import orjson

from scripts.attacks.row import Row
from scripts.attacks.target import Target, fake_models, served
from scripts.attacks.wire import Wire, ask
from server.accounts.administration import Administration
from server.settings import Settings

ROUNDS = 25
CLIENTS = 40
PAYERS = 4
GRANT = Decimal(100_000)
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello there"}], "max_tokens": 5}


@dataclass
class Found:
    """Over all rounds. answered: requests with an answer, by account; wrong: what must not be, in words."""

    answered: dict[str, int] = field(default_factory=dict)
    torn: int = 0
    ready: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


async def _payers(settings: Settings) -> dict[str, str]:
    """Keys by their accounts' ids."""
    keys = {}
    async with Administration.open(settings) as administration:
        for number in range(PAYERS):
            account, _ = await administration.create_account(f"payer-{number}", credits=GRANT, metered=True)
            keys[account.id] = (await administration.accounts.create_key(account=account.id)).key
    return keys


async def _load(target: Target, keys: dict[str, str], found: Found, chance: random.Random) -> None:
    """Chats by CLIENTS at once, every third a stream, until a random number is answered; then the kill."""
    until = sum(found.answered.values()) + chance.randrange(20, 300)
    killed = False

    async def client(number: int) -> None:
        nonlocal killed
        account = list(keys)[number % PAYERS]
        body = orjson.dumps({**BODY, "stream": number % 3 == 0})
        while not killed:
            answer = await ask(target.url, "POST", "/v1/chat/completions", key=keys[account], body=body)
            if answer.status == 200 and _whole(answer):
                found.answered[account] = found.answered.get(account, 0) + 1
            elif answer.status in (0, 200):
                found.torn += 1
            else:
                found.wrong.append(f"HTTP {answer.status} to one who can pay: {answer.body[:100]!r}")
            if sum(found.answered.values()) >= until and not killed:
                killed = True
                target.process.kill()

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))


def _whole(answer: Wire) -> bool:
    """Whether an answer arrived to its end: a stream has its terminator, another the length that it was told with."""
    length = answer.headers.get("content-length")
    return b"data: [DONE]" in answer.body if length is None else len(answer.body) == int(length)


async def _audit(settings: Settings, keys: dict[str, str], found: Found) -> None:
    """The books as they lie on the disk, after a kill."""
    async with Administration.open(settings) as administration:
        found.wrong += [f"books: {one}" for one in await administration.ledger.discrepancies()]
        for account in keys:
            total, charges = Decimal(0), 0
            async for entry in administration.ledger.entries(account):
                total += entry.amount
                charges += entry.kind == "charge"
                if total < 0:
                    found.wrong.append(f"{account} was below zero")
            if charges < found.answered.get(account, 0):
                found.wrong.append(f"{account}: {found.answered[account]} answers, {charges} paid")


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    rounds = 3 if quick else ROUNDS
    chance = random.Random(13)
    settings = Settings(data_dir=folder / "data")
    found, keys = Found(), dict[str, str]()
    configs = fake_models(folder)
    for _ in range(rounds):
        begun = time.monotonic()
        with served(folder, configs=configs) as target:
            found.ready.append(time.monotonic() - begun)
            keys = keys or await _payers(settings)
            await _load(target, keys, found, chance)
            target.process.wait()
            await _audit(settings, keys, found)
    low, high = min(found.ready), max(found.ready)
    measured = (
        f"{rounds} rounds, {sum(found.answered.values()):,} answers, {found.torn:,} torn; ready again in "
        f"{statistics.median(found.ready):.1f} s ({low:.1f}–{high:.1f}); {len(found.wrong)} faults"
    )
    measured += f" ({found.wrong[0]})" if found.wrong else ""
    yield Row("kill -9 of the front end under load", measured, "books exact, every answer paid", not found.wrong)


async def main() -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as name:
        async for row in rows(Path(name)):
            print(row)


if __name__ == "__main__":
    asyncio.run(main())
