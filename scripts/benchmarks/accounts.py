"""What accounts cost a request: a server with keys, meter and limits against the same one without, over fakes.

The load is open: requests come at random moments at a stated rate (a Poisson process), whatever became of those before
them, and the fake model works on each for as long as keeps so many in flight on average. A closed loop of clients that
a model without work answers at once would measure how long the queue for the processor is, not what accounts add.
"""

import asyncio
import gc
import os
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.figures import Spread, Times
from scripts.benchmarks.processes import Server, Side, processor_seconds, serving

console = Console()
WARM_UP = 200
"""Requests of each server before the first round."""
MODEL = "fake"
NAMES = (("without accounts", "off"), ("with accounts", "keys"))
WHAT = {"first": "answer begun", "whole": "answer done, less the model's time"}
NEVER = 10**9
"""Limits that count every request and refuse none."""


def accounts(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; in each both servers are measured, in turn.")] = 6,
    parallel: Annotated[int, typer.Option(min=1, help="Requests in flight, on average.")] = 64,
    rate: Annotated[float, typer.Option(min=1, help="Requests a second.")] = 100.0,
    seconds: Annotated[float, typer.Option(min=1, help="Length of a round.")] = 10.0,
    quick: Annotated[bool, typer.Option("--quick", help="One short round: does it run at all?")] = False,
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON.", dir_okay=False)] = Path(
        "data/bench/accounts.json"
    ),
) -> None:
    """What keys, limits and credits add to a request, on SQLite, over a fake model that takes its time."""
    import uvloop

    from scripts.benchmarks.account_steps import STEPS, measure_steps
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.report import keep

    if quick:
        rounds, seconds = 1, 2.0
    load = Load(rate=rate, seconds=seconds, pause=parallel / rate)
    with scratch() as folder:
        measured = _measure_servers(folder, load, rounds)
        steps = uvloop.run(measure_steps(folder / "steps", load, rounds))
    table = Table("", "median, ms", "p99, ms", title=_title(load, rounds), title_justify="left")
    figures: dict[str, Any] = {}
    for what in ("first", "whole"):
        of = {auth: [Times.of(getattr(one, what)) for one in measured[auth]] for _, auth in NAMES}
        for name, auth in NAMES:
            taken = [*chain.from_iterable(getattr(one, what) for one in measured[auth])]
            figures[f"{WHAT[what]}, {name}"] = Times.of(taken)
            table.add_row(f"{WHAT[what]}, {name}", *figures[f"{WHAT[what]}, {name}"].shown())
        gains = [(b.median - a.median, b.p99 - a.p99) for b, a in zip(of["keys"], of["off"], strict=True)]
        added = [Spread.of(column).shown(2) for column in zip(*gains, strict=True)]
        table.add_row(f"{WHAT[what]}, added", *added, end_section=True)
    by_step = {name: Times.of([sample[name] for sample in steps]) for name in STEPS}
    by_step["before the work, together"] = Times.of([s["authenticate"] + s["limit"] + s["hold"] for s in steps])
    for name, times in by_step.items():
        table.add_row(f"in process, {name}", *times.shown())
    console.print(table)
    work = {name: 1000 * median(one.processor for one in measured[auth]) for name, auth in NAMES}
    console.print("processor time of a request: " + ", ".join(f"{name} {time:.2f} ms" for name, time in work.items()))
    others = [one.others for auth in measured for one in measured[auth]]
    console.print(f"others took {median(others):.0%} of the machine ({min(others):.0%}–{max(others):.0%})")
    facts: dict[str, Any] = {"load": asdict(load), "rounds": rounds, "others": others, "work_ms": work}
    facts["samples"] = {name: [asdict(one) for one in measured[auth]] for name, auth in NAMES}
    keep(output, "accounts", {**facts, "times": {name: asdict(times) for name, times in (figures | by_step).items()}})
    console.print(f"figures in {output}")


@dataclass(frozen=True, slots=True)
class Load:
    """rate: requests a second; seconds: length of a round; pause: seconds that the fake model works on each."""

    rate: float
    seconds: float
    pause: float

    def arrivals(self, seed: int) -> list[float]:
        """Seconds from a round's begin at which requests come."""
        chance, moments, at = random.Random(seed), list[float](), 0.0
        while (at := at + chance.expovariate(self.rate)) < self.seconds:
            moments.append(at)
        return moments


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of each answer: until it begins, by when the credits are held, and beyond the model's own. processor: the
    server's for each request. others: share of the machine's processor time that went elsewhere.
    """

    first: list[float]
    whole: list[float]
    processor: float
    others: float


def _title(load: Load, rounds: int) -> str:
    return (
        f"accounts on SQLite: {load.rate:g} requests/s at random, {load.rate * load.pause:g} in flight on average, "
        f"{rounds} rounds of {load.seconds:g} s each, {psutil.cpu_count()} cores"
    )


# ---------------------------------------------------------------- over HTTP


def _measure_servers(folder: Path, load: Load, rounds: int) -> dict[str, list[Round]]:
    """The rounds of the server without accounts (`off`) and of that with them (`keys`)."""
    import uvloop

    measured: dict[str, list[Round]] = {"off": [], "keys": []}
    keys = {auth: uvloop.run(_payer(folder / auth)) for auth in measured}
    with ExitStack() as stack:
        servers = {auth: stack.enter_context(serving(_side(folder, auth, load), folder)) for auth in measured}
        for server in servers.values():
            server.freeze()
        for number in range(-1, rounds):
            for auth in measured if number % 2 else reversed(measured):
                arrivals = load.arrivals(number)[: WARM_UP if number < 0 else None]
                servers[auth].thaw()
                try:
                    found = _round(servers[auth], keys[auth], arrivals, load.pause)
                finally:
                    servers[auth].freeze()
                if number >= 0:
                    measured[auth].append(found)
                    at = Times.of(found.first)
                    console.print(f"round {number + 1}, auth={auth}: {at.median:.2f} ms, p99 {at.p99:.2f} ms")
    return measured


def _round(server: Server, key: str, arrivals: Sequence[float], pause: float) -> Round:
    import uvloop

    (all_before, mine_before), served_before, begun = _processor(server), server.processor_seconds(), time.monotonic()
    gc.collect()
    gc.disable()  # a collection of this program's own garbage would count as the server's delay
    try:
        first, whole = uvloop.run(_drive(server.url, key, arrivals, pause))
    finally:
        gc.enable()
    (all_after, mine_after), served_after, ended = _processor(server), server.processor_seconds(), time.monotonic()
    others = (all_after - all_before) - (mine_after - mine_before)
    share = max(0.0, others) / (ended - begun) / (os.cpu_count() or 1)
    return Round(first, whole, (served_after - served_before) / len(arrivals), share)


def _processor(server: Server) -> tuple[float, float]:
    """Processor seconds: of the whole machine, and of what is measured and measures."""
    busy = psutil.cpu_times()
    mine = server.processor_seconds() + processor_seconds(psutil.Process())
    return busy.user + busy.system + busy.nice, mine


def _side(folder: Path, auth: str, load: Load) -> Side:
    from scripts.benchmarks.sides import sagehold

    configs = folder / f"configs-{auth}"
    configs.mkdir()
    price = "{prompt_token: 0.0004, completion_token: 0.0004}"
    (configs / "fake.yaml").write_text(
        f"name: {MODEL}\nengine: fake\nserves: chat\noptions: {{pause: {load.pause}}}\nprice: {price}\n"
        f"max_queue: {NEVER}\n"
    )
    # Without access log: a terminal or a disk is none of what is measured.
    environment = {"SAGEHOLD_AUTH": auth, "SAGEHOLD_LOG_LEVEL": "warning"}
    return sagehold(
        folder / auth, model=MODEL, models_dir=folder, name=f"auth {auth}", configs=configs, environment=environment
    )


async def _payer(data: Path) -> str:
    """A metered and limited key, with more credits than the load can spend."""
    from server.accounts.administration import Administration
    from server.core import Limits
    from server.settings import Settings

    limits = Limits(requests_per_minute=NEVER, tokens_per_minute=NEVER, concurrent_requests=NEVER)
    async with Administration.open(Settings(data_dir=data)) as administration:
        account, _ = await administration.create_account("payer", credits=Decimal(10**6), limits=limits)
        return (await administration.accounts.create_key(account=account.id, limits=limits)).key


async def _drive(url: str, key: str, arrivals: Sequence[float], pause: float) -> tuple[list[float], list[float]]:
    """Seconds until each answer began, and those it took beyond `pause`, from the moment its request was due."""
    import aiohttp

    body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hello there"}], "max_tokens": 64}
    body["stream"] = True
    headers = {"Authorization": f"Bearer {key}"}
    first: list[float] = []
    whole: list[float] = []
    begun = time.perf_counter() + 0.2

    async def ask(session: aiohttp.ClientSession, due: float) -> None:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
            first.append(time.perf_counter() - due)
            await answer.read()
            if answer.status != 200:
                raise ValueError(f"a request was answered {answer.status}")
        whole.append(time.perf_counter() - due - pause)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(ask(session, begun + arrival) for arrival in arrivals))
    return first, whole
