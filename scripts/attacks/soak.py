"""`scripts/soak`: mixed load for an hour, and what the server holds at its begin and at its end."""

import asyncio
import json
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from functools import partial
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx
import psutil
import typer
from rich.console import Console
from rich.table import Table

from scripts.attacks.soak_client import FAKE, REAL, Client, Names
from scripts.attacks.target import Target, fake_models, served
from server.accounts.administration import Administration
from server.settings import Settings

console = Console()

WARM_UP = 0.15
"""Share of the time after which caches are full, and growth is a leak."""
FIRST = 6
"""Requests of each kind before the time begins: each thread of a worker takes its buffers at its first job, 17 to 27
MiB of a transcriber's, and with some jobs a minute that would go on for long."""
EVERY = 5.0
"""Seconds between two looks."""
MEMORY_GROWTH = 0.03
MEMORY_FLOOR = 8 * 2**20
"""Growth of memory that counts as flat: a share of it, and at least these bytes, which allocators are late by."""
COUNT_GROWTH = 3
"""Growth of descriptors, threads and tasks that counts as flat: the medians of a changing load differ by as much."""


@dataclass(frozen=True, slots=True)
class Look:
    """memory: bytes of each process by its role; see `_own`. tasks: asyncio's."""

    at: float
    memory: dict[str, int]
    descriptors: int
    threads: int
    tasks: int


@dataclass
class Soak:
    """What was sent and seen. answers: by kind and status, 0 for a broken connection."""

    looks: list[Look] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=lambda: random.Random(13))


async def _keys(target: Target) -> tuple[str, str]:
    """A paying account's key, and that of one which can pay for nothing."""
    async with Administration.open(Settings(data_dir=target.folder / "data")) as administration:
        rich, _ = await administration.create_account("rich", credits=Decimal(10**9), metered=True)
        poor, _ = await administration.create_account("poor", metered=True)
        accounts = administration.accounts
        return (await accounts.create_key(account=rich.id)).key, (await accounts.create_key(account=poor.id)).key


async def _begin(client: Client) -> None:
    for _ in range(FIRST):
        for _, send in client.kinds.values():
            with suppress(httpx.HTTPError):
                await send()


async def _send(client: Client, soak: Soak, rate: float, until: float) -> None:
    """About `rate` requests a second, each without waiting for the others, as users come; at most 64 at once."""
    kinds = client.kinds
    drawn = [name for name, (weight, _) in kinds.items() for _ in range(weight)]
    gate = asyncio.Semaphore(64)
    running: set[asyncio.Task[None]] = set()

    async def one(name: str) -> None:
        try:
            status = await kinds[name][1]()
        except httpx.HTTPError as error:
            soak.answers[f"{name}: {type(error).__name__}"] += 1
        else:
            soak.answers[f"{name}: {status or 'cut by the client'}"] += 1
        finally:
            gate.release()

    while time.monotonic() < until:
        await gate.acquire()
        task = asyncio.create_task(one(soak.chance.choice(drawn)))
        running.add(task)
        task.add_done_callback(running.discard)
        await asyncio.sleep(soak.chance.expovariate(rate))
    await asyncio.gather(*running)


def _role(process: psutil.Process, front: int) -> str:
    if process.pid == front:
        return "front end"
    line = process.cmdline()
    if "server.engines.worker.child" in line:
        return f"worker {line[line.index('server.engines.worker.child') + 2]}"
    return "vLLM's processes"


def _own(pid: int) -> int:
    """Bytes of memory that a process has written and shares with nobody, in memory or swapped out.

    Not what it has of files as they are on the disk: a library's pages count as a process's own or as shared as
    processes that use it come and go, anywhere on the machine, 8 MiB of numpy's and OpenBLAS's at a time.
    """
    found = dict(
        re.findall(r"^(Private_Dirty|Swap):\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    )
    return sum(map(int, found.values())) * 1024


def _held(pid: int) -> tuple[dict[str, int], int, int]:
    """Bytes by role, descriptors and threads of the server's processes."""
    memory: Counter[str] = Counter()
    descriptors = threads = 0
    front = psutil.Process(pid)
    for process in (front, *front.children(recursive=True)):
        try:
            memory[_role(process, pid)] += _own(process.pid)
            descriptors += process.num_fds()
            threads += process.num_threads()
        except (psutil.Error, OSError):  # it has just ended
            continue
    return dict(memory), descriptors, threads


async def _watch(target: Target, soak: Soak, until: float, begun: float) -> None:
    async with target.client() as client:
        while time.monotonic() < until:
            memory, descriptors, threads = await asyncio.to_thread(_held, target.process.pid)
            found = re.search(r"^sagehold_tasks (\S+)", (await client.get("/metrics")).text, re.MULTILINE)
            tasks = int(float(found[1])) if found else 0
            soak.looks.append(Look(time.monotonic() - begun, memory, descriptors, threads, tasks))
            await asyncio.sleep(EVERY)


def _of(role: str, look: Look) -> float:
    return look.memory.get(role, 0)


@dataclass(frozen=True, slots=True)
class Growth:
    """first, last: medians of the first and the last fifth of the looks after the warm-up."""

    what: str
    first: float
    last: float
    allowed: float

    @property
    def flat(self) -> bool:
        return self.last - self.first <= self.allowed


def growths(looks: list[Look], seconds: float) -> list[Growth]:
    """What each figure did after the warm-up."""
    kept = [look for look in looks if look.at >= WARM_UP * seconds]
    part = max(1, len(kept) // 5)

    def growth(what: str, value: Callable[[Look], float], allowed: Callable[[float], float]) -> Growth:
        first = statistics.median(map(value, kept[:part]))
        last = statistics.median(map(value, kept[-part:]))
        return Growth(what, first, last, allowed(first))

    def memory(first: float) -> float:
        return max(MEMORY_FLOOR, MEMORY_GROWTH * first)

    roles = sorted({role for look in kept for role in look.memory})
    found = [growth(f"bytes of {role}", partial(_of, role), memory) for role in roles]
    counts = [growth(what, attrgetter(what), lambda _: COUNT_GROWTH) for what in ("descriptors", "threads", "tasks")]
    return found + counts


def _shown(value: float, what: str) -> str:
    return f"{value / 2**20:.1f} MiB" if what.startswith("bytes") else f"{value:.0f}"


async def _soak(target: Target, names: Names, rate: float, seconds: float) -> Soak:
    soak = Soak()
    key, poor = await _keys(target)
    limits = httpx.Limits(max_connections=80, max_keepalive_connections=40)
    async with httpx.AsyncClient(base_url=target.url, timeout=300, limits=limits, trust_env=False) as http:
        client = Client(http, key, poor, names)
        await _begin(client)
        begun = time.monotonic()
        until = begun + seconds
        await asyncio.gather(_send(client, soak, rate, until), _watch(target, soak, until, begun))
    return soak


def command(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long the load lasts.")] = 60,
    real: Annotated[bool, typer.Option("--real", help="The starter models, rather than fake engines.")] = False,
    rate: Annotated[float | None, typer.Option(help="Requests a second: 30, or 2 of the starter models.")] = None,
    output: Annotated[Path, typer.Option(help="File for all figures, as JSON.", dir_okay=False)] = Path(
        "data/soak.json"
    ),
) -> None:
    """Send mixed load, and tell whether memory, descriptors, threads and tasks stay what they are.

    Ends with 1 if one of them grows, or if an answer was a 5xx.
    """
    seconds = minutes * 60
    with TemporaryDirectory() as name:
        folder = Path(name)
        with served(folder, configs=None if real else fake_models(folder), settings={"LOG_LEVEL": "warning"}) as target:
            asked = rate or (2 if real else 30)
            soak = asyncio.run(_soak(target, REAL if real else FAKE, asked, seconds))
        said = (folder / "log").read_text()
    found = growths(soak.looks, seconds)
    table = Table("what", "after the warm-up", "at the end", "flat")
    for growth in found:
        first, last = _shown(growth.first, growth.what), _shown(growth.last, growth.what)
        table.add_row(growth.what.removeprefix("bytes of "), first, last, "yes" if growth.flat else "NO")
    console.print(table)
    answers = dict(sorted(soak.answers.items()))
    console.print(f"{sum(answers.values()):,} requests in {minutes:g} min: {answers}")
    broken = {what: count for what, count in answers.items() if re.search(r": (5\d\d|[A-Z]\w+)$", what)}
    output.parent.mkdir(parents=True, exist_ok=True)
    figures = {"minutes": minutes, "real": real, "rate": asked, "answers": answers, "growth": list(map(asdict, found))}
    output.write_text(json.dumps({**figures, "looks": list(map(asdict, soak.looks))}, indent=1))
    if broken:
        console.print(f"[red]answers that must not be: {broken}[/]\n{said[-3000:]}")
    if broken or not all(growth.flat for growth in found):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(command)
