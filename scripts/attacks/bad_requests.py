"""Generated bad requests, as `scripts/attack_requests` sends them; see tests/conformance/attack.py."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from scripts.attacks.row import Row

COUNT, SEED = 50_400, 13


def _attacked(count: int) -> Row:
    from tests.conformance.attack import IN_PROCESS, attacked, in_process

    with in_process() as send:
        figures = attacked(send, IN_PROCESS, count=count, number=SEED)
    first = f": {next(iter(figures.faults))}" if figures.faults else ""
    measured = f"{figures.total:,} requests (seed {SEED}), {len(figures.faults)} kinds of faults{first}"
    wanted = "no 5xx, nothing outside the envelope, no internals"
    return Row("generated bad requests", measured, wanted, not figures.faults)


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:  # noqa: ARG001 - in this process
    # In a thread: the attack runs event loops of its own.
    yield await asyncio.to_thread(_attacked, 500 if quick else COUNT)
