"""`scripts/bench fairness`: how long a polite client waits for its first token, alone and beside another key's flood.

The flood keeps 200 long chats under way: whenever one is answered it sends the next, and where it is refused it comes
again after the seconds that it was told. The polite client sends one short chat after the other. Each round measures it
alone first, then beside the flood, on every side in turn, while the other sides stand still.
"""

import asyncio
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.figures import Spread
from scripts.benchmarks.processes import Server, Side, serving

if TYPE_CHECKING:
    import aiohttp

    from scripts.benchmarks.front_sides import Tree

console = Console()

FAKE = "fake"
STEPS = {"step": 0.02, "step_job": 0.0005, "sequences": 32}
"""Of the fake engine: a step of 20 ms and 0.5 ms for each of at most 32 sequences."""
PAUSE = 0.5
"""Seconds between two polite requests."""
SETTLING = 8.0
"""Seconds that the flood runs before the polite client begins beside it."""
CREDITS = 1_000_000
"""Of each account: more than it can spend."""
UNTOLD = 1.0
"""Seconds after which the flood comes again where no Retry-After says when."""


@dataclass(slots=True)
class Seen:
    """What one side showed in one round. alone, beside: seconds until each first token. tokens: chunks of the flood's
    answers a second, while the polite client was measured beside it. refused: answers that told the flood to wait."""

    side: str
    engine: str
    alone: list[float]
    beside: list[float]
    tokens: float
    refused: int


@dataclass(slots=True)
class Flood:
    chunks: int = 0
    refused: int = 0
    failed: dict[int, int] = field(default_factory=dict)


def fairness(
    against: Annotated[str | None, typer.Option(help="Revision to compare with, such as a commit or HEAD.")] = None,
    engines: Annotated[str, typer.Option(help="fake, real, or both, comma-separated.")] = "fake,real",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the figures are of all of them.")] = 3,
    requests: Annotated[int, typer.Option(min=2, help="Polite requests of a phase.")] = 12,
    seconds: Annotated[float, typer.Option(help="Longest time of a phase; the request under way is waited for.")] = 45,
    flood: Annotated[int, typer.Option(min=1, help="Long chats at a time.")] = 200,
    length: Annotated[int, typer.Option(min=1, help="Tokens of each long chat.")] = 300,
    quick: Annotated[bool, typer.Option("--quick", help="One short round: does it run at all?")] = False,
    models_dir: Annotated[Path, typer.Option(help="Folder of the models' weights.")] = Path("models"),
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON.", dir_okay=False)] = Path(
        "data/bench/fairness.json"
    ),
) -> None:
    """Time to the first token of a polite client, alone and beside a flood of another key."""
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.front_sides import this_tree, tree_of
    from scripts.benchmarks.processes import StartError
    from scripts.benchmarks.report import keep

    if quick:
        rounds, requests, seconds = 1, 3, 10.0
    seen: list[Seen] = []
    with scratch() as folder:
        try:
            trees = [this_tree(), *([tree_of(against, folder / "against")] if against else [])]
        except LookupError as error:
            console.print(f"bench: {error}", markup=False)
            raise typer.Exit(2) from None
        for tree in trees[1:]:  # the load is the same for both: this tree's fake engine, which has steps
            shutil.copytree("server/engines/fake", tree.folder / "server/engines/fake", dirs_exist_ok=True)
        try:
            for engine in engines.split(","):
                lanes = [_side(tree, engine, folder, models_dir.resolve()) for tree in trees]
                seen += _measure(lanes, engine, rounds, folder, Load(requests, seconds, flood, length))
        except StartError as error:
            console.print(f"bench: {error}", markup=False)
            raise typer.Exit(1) from None
    _show(seen)
    facts = {"sides": {tree.name: tree.revision for tree in trees}, "flood": flood, "length": length}
    keep(output, "fairness", {**facts, "rounds": rounds, "samples": [asdict(one) for one in seen]})
    console.print(f"figures in {output}")


@dataclass(frozen=True, slots=True)
class Load:
    requests: int
    seconds: float
    flood: int
    length: int


def _side(tree: "Tree", engine: str, folder: Path, models_dir: Path) -> Side:
    """A server of the tree's code with accounts, over a fake engine or the starter chat model."""
    from scripts.benchmarks.front_sides import check_code
    from scripts.benchmarks.sides import REPOSITORY, chat_model, sagehold

    name = f"{tree.name}-{engine}".replace("/", "_").replace(" ", "-")
    configs, model = REPOSITORY / "model_configs", FAKE
    if engine == FAKE:
        configs = folder / f"configs-{name}"
        configs.mkdir()
        options = json.dumps({**STEPS, "tokens": 10_000})
        (configs / "fake.yaml").write_text(f"name: {FAKE}\nengine: fake\nserves: chat\noptions: {options}\n")
    else:
        model = chat_model(models_dir, None).name
    data = folder / f"data-{name}"
    environment = {"SAGEHOLD_LOG_LEVEL": "warning", "SAGEHOLD_DATA_DIR": str(data), "PYTHONPATH": str(tree.folder)}
    made = sagehold(data, model=model, models_dir=models_dir, name=name, configs=configs, environment=environment)
    python, *rest = made.command
    check_code(tree, python, made.environment)
    return replace(made, command=(python, "-P", *rest))


def _measure(lanes: Sequence[Side], engine: str, rounds: int, folder: Path, load: Load) -> list[Seen]:
    import uvloop

    from scripts.benchmarks.front_sides import command_line, set_up

    def key(side: Side, account: str) -> str:
        command_line(side, "accounts", "create", account, f"--credits={CREDITS}")
        return command_line(side, "keys", "create", f"--account={account}")

    for side in lanes:
        set_up(side)
    keys = {side.name: (key(side, "polite"), key(side, "flood")) for side in lanes}
    seen = []
    with ExitStack() as stack:
        servers = []
        for side in lanes:
            servers.append(stack.enter_context(serving(side, folder)))
            servers[-1].freeze()
        for number in range(rounds):
            for server in servers if number % 2 == 0 else reversed(servers):
                name = server.side.name
                server.thaw()
                try:
                    one = uvloop.run(_round(server, keys[name], load, number, engine))
                finally:
                    server.freeze()
                seen.append(one)
                alone, beside = median(one.alone), median(one.beside)
                console.print(
                    f"round {number + 1}, {name}: first token {alone:.3f} s alone, {beside:.3f} s beside the flood, "
                    f"{one.tokens:.0f} tok/s of the flood, {one.refused} of its requests refused",
                    highlight=False,
                )
    return seen


async def _round(server: Server, keys: tuple[str, str], load: Load, number: int, engine: str) -> Seen:
    import aiohttp

    """keys: the polite client's, and the flood's."""
    state, serial = Flood(), count(number * 1_000_000)
    model = server.side.model
    async with aiohttp.ClientSession(
        server.url, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=600)
    ) as session:
        alone = await polite(session, keys[0], model, load, serial)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(keep_asking(session, keys[1], model, load.length, state, serial))
                for _ in range(load.flood)
            ]
            await asyncio.sleep(SETTLING)
            before, begun = state.chunks, time.perf_counter()
            beside = await polite(session, keys[0], model, load, serial)
            tokens = (state.chunks - before) / (time.perf_counter() - begun)
            for task in tasks:
                task.cancel()
    if state.failed:
        console.print(f"the flood was answered {state.failed}")
    await asyncio.sleep(2)  # what was hung up ends
    return Seen(server.side.name, engine, alone, beside, tokens, state.refused)


async def polite(
    session: "aiohttp.ClientSession", key: str, model: str, load: Load, serial: "count[int]"
) -> list[float]:
    """Seconds until the first token of each request, one after the other."""
    found: list[float] = []
    end = time.perf_counter() + load.seconds
    while len(found) < load.requests and (len(found) < 2 or time.perf_counter() < end):
        begun = time.perf_counter()
        async with session.post("/v1/chat/completions", json=_body(model, 8, serial), headers=_key(key)) as answer:
            if answer.status != 200:
                raise ValueError(f"a polite request was answered {answer.status}: {(await answer.text())[:300]}")
            first = None
            async for line in answer.content:
                if first is None and has_text(line):
                    first = time.perf_counter() - begun
        if first is None:
            raise ValueError("a polite request's answer had no text")
        found.append(first)
        await asyncio.sleep(PAUSE)
    return found


async def keep_asking(
    session: "aiohttp.ClientSession", key: str, model: str, length: int, state: Flood, serial: "count[int]"
) -> None:
    while True:
        wait = 0.0
        with suppress(OSError):
            async with session.post(
                "/v1/chat/completions", json=_body(model, length, serial), headers=_key(key)
            ) as answer:
                if answer.status == 200:
                    async for line in answer.content:
                        state.chunks += has_text(line)
                elif answer.status in (429, 503):
                    state.refused += 1
                    wait = float(answer.headers.get("Retry-After", UNTOLD))
                else:
                    state.failed[answer.status] = state.failed.get(answer.status, 0) + 1
                    wait = UNTOLD
        await asyncio.sleep(wait)


def _body(model: str, length: int, serial: "count[int]") -> dict[str, Any]:
    """A chat whose prompt no cache knows."""
    content = f"{next(serial)}: tell me a story about that number of sheep, and how they were counted"
    messages = [{"role": "user", "content": content}]
    return {"model": model, "messages": messages, "max_tokens": length, "stream": True, "ignore_eos": True}


def _key(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def has_text(line: bytes) -> bool:
    return b'"content":"' in line and b'"content":""' not in line


def _show(seen: Sequence[Seen]) -> None:
    columns = ("first token alone, s", "95%", "beside the flood, s", "95%", "ratio by round", "flood, tok/s", "refused")
    table = Table("", *columns, title="a polite client beside a flood", title_justify="left")
    for side in dict.fromkeys(one.side for one in seen):
        rounds = [one for one in seen if one.side == side]
        alone = [first for one in rounds for first in one.alone]
        beside = [first for one in rounds for first in one.beside]
        ratios = Spread.of(median(one.beside) / median(one.alone) for one in rounds)
        table.add_row(
            side,
            f"{median(alone):.3f}",
            f"{_p95(alone):.3f}",
            f"{median(beside):.3f}",
            f"{_p95(beside):.3f}",
            ratios.shown(2),
            Spread.of(one.tokens for one in rounds).shown(0),
            str(sum(one.refused for one in rounds)),
        )
    Console(width=max(console.width, 150)).print(table)


def _p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1]
