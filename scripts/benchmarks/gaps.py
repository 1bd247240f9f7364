"""`scripts/bench gaps`: how long running answers wait for their next token while long prompts are read beside them.

A few short chats run on and on. They are listened to by themselves first, then while one long prompt after the other is
read. The same on vLLM's own server, which stands still meanwhile, as ours does while it is measured.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING, Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.figures import Spread
from scripts.benchmarks.load import wait_for_quiet
from scripts.benchmarks.processes import Server, StartError, serving

if TYPE_CHECKING:
    import aiohttp

console = Console()

WORDS = range(1000, 40_000)
"""Token ids that prompts are drawn from: any of them is a word or a part of one in the starter model's vocabulary."""
CONTEXT = 8192
"""Tokens that an answer may have until the round is over, with its prompt: the starter model's context."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One round of one server, in seconds. alone, beside: each wait of each running answer between two pieces, without
    and with a long prompt that is read. prompt_alone, prompt_beside: until a long prompt's first token, without and
    with running answers."""

    side: str
    alone: Sequence[float]
    beside: Sequence[float]
    prompt_alone: Sequence[float]
    prompt_beside: Sequence[float]

    @property
    def step(self) -> float:
        """Seconds of the engine's step without a long prompt: the usual wait."""
        return median(self.alone)


def gaps(
    streams: Annotated[int, typer.Option(min=1, help="Short chats that run.")] = 4,
    prompt: Annotated[int, typer.Option(min=16, max=CONTEXT // 2, help="Tokens of each long prompt.")] = 4000,
    prompts: Annotated[int, typer.Option(min=1, help="Long prompts of a round, one after the other.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="For the chats by themselves, in each round.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the figures are their median and range.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="One short round: does it run at all?")] = False,
    patience: Annotated[
        float, typer.Option(help="Longest wait before each round, in seconds, for a quiet machine.")
    ] = 30,
    models_dir: Annotated[Path, typer.Option(help="Folder of the models' weights.")] = Path("models"),
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON.", dir_okay=False)] = Path(
        "data/bench/gaps.json"
    ),
) -> None:
    """Waits of running answers beside long prompts: this server and vLLM's, with the same engine settings."""
    from scripts.benchmarks import sides
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.report import keep

    if quick:
        prompt, prompts, seconds, rounds, patience = 500, 1, 2.0, 1, 0.0
    load = Load(streams, prompt, prompts, seconds)
    heard: list[Heard] = []
    with scratch() as folder, ExitStack() as stack:
        try:
            spec = sides.chat_model(models_dir, None)
            made = [
                sides.sagehold(folder / "data", model=spec.name, models_dir=models_dir.resolve()),
                sides.vllm(spec, models_dir=models_dir.resolve(), environment=sides.SAME_OPENMP),
            ]
            servers = []
            for side in made:
                servers.append(stack.enter_context(serving(side, folder)))
                servers[-1].freeze()
            for number in range(-1, rounds):  # the first one warms up
                for server in servers if number % 2 == 0 else reversed(servers):
                    wait_for_quiet([psutil.Process()], patience if number >= 0 else 0)
                    server.thaw()
                    try:
                        one = asyncio.run(_round(server, load if number >= 0 else Load(streams, 64, 1, 1), number))
                    finally:
                        server.freeze()
                    if number >= 0:
                        heard.append(one)
                        console.print(
                            f"round {number + 1}, {one.side}: a step {1000 * one.step:.0f} ms, beside long prompts "
                            f"{1000 * median(one.beside):.0f}, at most {1000 * max(one.beside):.0f}",
                            highlight=False,
                        )
        except (LookupError, StartError, ValueError) as error:
            console.print(f"bench: {error}", markup=False)
            raise typer.Exit(1) from None
    Console(width=max(console.width, 200)).print(table(heard))
    keep(output, "gaps", {**asdict(load), "rounds": rounds, "samples": [asdict(one) for one in heard]})
    console.print(f"figures in {output}")


@dataclass(frozen=True, slots=True)
class Load:
    streams: int
    prompt: int
    prompts: int
    seconds: float


async def _round(server: Server, load: Load, number: int) -> Heard:
    """Raises ValueError if a request failed, or a chat ended too soon."""
    import aiohttp

    chance = random.Random(f"{server.side.name} {number}")  # no prompt is one that a cache knows
    headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}
    async with aiohttp.ClientSession(
        server.url, headers=headers, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=600)
    ) as session:
        ask = Asking(session, server.side.model, chance)
        prompt_alone = [await ask.read(load.prompt) for _ in range(load.prompts)]
        times: list[list[float]] = [[] for _ in range(load.streams)]
        running = [asyncio.create_task(ask.run(one)) for one in times]
        try:
            while not all(len(one) > 3 for one in times):  # their own prompts are read by then
                _check(running)
                await asyncio.sleep(0.05)
            begun = time.perf_counter()
            await asyncio.sleep(load.seconds)
            middle = time.perf_counter()
            prompt_beside = [await ask.read(load.prompt) for _ in range(load.prompts)]
            end = time.perf_counter()
            _check(running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    await asyncio.sleep(2)  # what was hung up ends
    return Heard(server.side.name, waits(times, begun, middle), waits(times, middle, end), prompt_alone, prompt_beside)


def _check(running: Sequence["asyncio.Task[None]"]) -> None:
    """Raises ValueError where a chat has ended: the others no longer have its company."""
    for task in running:
        if task.done():
            raise ValueError(f"a chat ended before its time: {task.exception()}")


def waits(times: Sequence[Sequence[float]], begun: float, end: float) -> list[float]:
    """Seconds between two pieces of one answer, of those that came in the time; a wait that began before it too."""
    return [after - before for one in times for before, after in pairwise(one) if begun < after <= end]


class Asking:
    """Requests whose prompts are drawn by chance."""

    def __init__(self, session: "aiohttp.ClientSession", model: str, chance: random.Random) -> None:
        self._session = session
        self._model = model
        self._chance = chance

    async def read(self, tokens: int) -> float:
        """Seconds until a prompt of so many tokens has its first token. Raises ValueError."""
        begun = time.perf_counter()
        times: list[float] = []
        await self._stream(self._prompt(tokens), 1, times)
        return times[0] - begun

    async def run(self, times: list[float]) -> None:
        """An answer to a short prompt, as long as it can be; when each piece came is added to `times`."""
        await self._stream(self._prompt(32), CONTEXT - 64, times)

    def _prompt(self, tokens: int) -> list[int]:
        return [self._chance.choice(WORDS) for _ in range(tokens)]

    async def _stream(self, prompt: list[int], longest: int, times: list[float]) -> None:
        body: dict[str, Any] = {"model": self._model, "prompt": prompt, "max_tokens": longest, "stream": True}
        async with self._session.post("/v1/completions", json=body | {"ignore_eos": True}) as answer:
            if answer.status != 200:
                raise ValueError(f"a prompt was answered {answer.status}: {(await answer.text())[:300]}")
            async for line in answer.content:
                if _has_token(line):
                    times.append(time.perf_counter())  # noqa: PERF401 - it is looked at meanwhile
        if not times:
            raise ValueError("an answer had no token")


def _has_token(line: bytes) -> bool:
    return line.startswith(b"data: {") and b'"text":' in line and b'"choices":[]' not in line


def table(heard: Sequence[Heard]) -> Table:
    """A row for each server; medians of the rounds and their range."""
    columns = (
        "a step, ms", "beside: median", "90% below", "99% below", "longest",
        "in steps: median", "90%", "99%", "longest", "over 2, %",
        "a long prompt, s: alone", "beside",
    )  # fmt: skip
    shown = Table("", *columns, title="waits of running answers, alone and beside long prompts", title_justify="left")
    for side in dict.fromkeys(one.side for one in heard):
        rounds = [one for one in heard if one.side == side]
        kinds = (median, partial(percentile, 90), partial(percentile, 99), max)
        shown.add_row(
            side,
            Spread.of(1000 * one.step for one in rounds).shown(0),
            *(Spread.of(1000 * kind(one.beside) for one in rounds).shown(0) for kind in kinds),
            *(Spread.of(kind(one.beside) / one.step for one in rounds).shown(2) for kind in kinds),
            Spread.of(100 * mean(wait > 2 * one.step for wait in one.beside) for one in rounds).shown(0),
            Spread.of(median(one.prompt_alone) for one in rounds).shown(2),
            Spread.of(median(one.prompt_beside) for one in rounds).shown(2),
        )
    return shown


def percentile(number: int, values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[number - 1]
