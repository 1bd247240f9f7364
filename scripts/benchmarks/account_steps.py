"""What each step of an account costs by itself, in this process: the same load without HTTP and without a model."""

import asyncio
import time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from server.accounts.keys.service import Accounts
from server.accounts.ledger.ledger import Ledger
from server.accounts.ledger.terms import Line, Use
from server.accounts.limits.limiter import RateLimiter
from server.core import Limits, Usage
from server.settings import Settings

if TYPE_CHECKING:
    from scripts.benchmarks.accounts import Load

STEPS = ("authenticate", "limit", "hold", "settle")
NEVER = 10**9
MOST, COST = Decimal("0.0264"), Decimal("0.0028")


async def measure_steps(data: Path, load: "Load", rounds: int) -> list[dict[str, float]]:
    """Seconds that each step of each request took, under `load`."""
    limits = Limits(requests_per_minute=NEVER, tokens_per_minute=NEVER, concurrent_requests=NEVER)
    samples: list[dict[str, float]] = []
    async with await Accounts.open(Settings(data_dir=data)) as accounts:
        ledger, limiter = Ledger(accounts.database), RateLimiter()
        await ledger.start()
        account = await accounts.create_account("payer", limits=limits)
        await ledger.grant(account.id, Decimal(10**6))
        key = (await accounts.create_key(account=account.id, limits=limits)).key

        async def ask(reference: str, due: float) -> None:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            at = [time.perf_counter()]
            caller = await accounts.authenticate(key)
            assert caller is not None
            at.append(time.perf_counter())
            async with limiter.admit(caller) as admitted:
                at.append(time.perf_counter())
                hold = await ledger.hold(caller, reference, MOST)
                at.append(time.perf_counter())
                await asyncio.sleep(load.pause)
                begun = time.perf_counter()
                usage = Usage(prompt_tokens=2, completion_tokens=5)
                await ledger.settle(hold, [Line("pass 1", COST)], Use("fake", "fake", "chat", usage))
                settled = time.perf_counter() - begun
                admitted.used(usage.total_tokens)
            steps = [after - before for before, after in pairwise(at)]
            samples.append(dict(zip(STEPS, [*steps, settled], strict=True)))

        for number in range(rounds):
            begun = time.perf_counter() + 0.1
            arrivals = load.arrivals(1000 + number)
            await asyncio.gather(*(ask(f"req_{number}_{n}", begun + due) for n, due in enumerate(arrivals)))
        await ledger.aclose()
        await limiter.aclose()
    return samples
