"""Attacks on the queue: one key floods a model with long chats while another asks for something short."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from statistics import median

import aiohttp

from scripts.attacks.row import Row
from scripts.attacks.target import REPOSITORY, Target, fake_models, served
from scripts.benchmarks.fairness import STEPS, Flood, Load, keep_asking, polite

MODEL = "stepping"
SETTLING = 4.0
"""Seconds that the flood runs before the short requests begin."""


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    """Over a fake engine that makes steps, as continuous batching does."""
    options = json.dumps({**STEPS, "tokens": 10_000})
    configs = fake_models(folder, {MODEL: f"name: {MODEL}\nengine: fake\nserves: chat\noptions: {options}\n"})
    load = Load(requests=6 if quick else 20, seconds=30, flood=200, length=200)
    with served(folder, configs=configs) as target:
        yield await _flood(target, load)


async def _flood(target: Target, load: Load) -> Row:
    short, long = (_key(target, name) for name in ("polite", "flood"))
    state, serial = Flood(), count()
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(target.url, connector=connector, timeout=timeout) as session:
        alone = median(await polite(session, short, MODEL, load, serial))
        async with asyncio.TaskGroup() as group:
            chats = [
                group.create_task(keep_asking(session, long, MODEL, load.length, state, serial))
                for _ in range(load.flood)
            ]
            await asyncio.sleep(SETTLING)
            beside = median(await polite(session, short, MODEL, load, serial))
            for chat in chats:
                chat.cancel()
    step = STEPS["step"] + STEPS["step_job"] * STEPS["sequences"]
    return Row(
        f"{load.flood} long chats of one key, short ones of another",
        f"first token {alone:.3f} s alone, {beside:.3f} s beside them; {state.refused} times the flood had to wait",
        f"1.5 times as long, and one step of the engine ({step:.3f} s)",
        held=beside <= 1.5 * alone + step and not state.failed,
    )


def _key(target: Target, account: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGEHOLD_")}
    environment = kept | {"SAGEHOLD_DATA_DIR": str(target.folder / "data")}
    for words in (["accounts", "create", account], ["keys", "create", f"--account={account}"]):
        command = [sys.executable, "-m", "server", *words]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async for row in rows(Path(folder), quick="--quick" in sys.argv):
            print(row)


if __name__ == "__main__":
    asyncio.run(_main())
