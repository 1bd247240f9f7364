"""`scripts/bench batches`: batches against `vllm run-batch`, and what a chat notices of a batch.

Throughput: each round runs the same file by both commands. First tokens: each round sends chats to a server, one after
the other, first while its batch is paused and then while it works.
"""

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from scripts.benchmarks import batch_runs
from scripts.benchmarks.batch_figures import Seen, markdown
from scripts.benchmarks.batch_runs import Run
from scripts.benchmarks.processes import Server, StartError, serving
from scripts.benchmarks.report import keep, machine
from scripts.benchmarks.sides import REPOSITORY, SAME_OPENMP, chat_model, sagehold

if TYPE_CHECKING:
    import aiohttp

console = Console()

SETTLING = 5.0
"""Seconds that a batch works, or is paused, before chats are measured."""
PAUSE = (0.2, 0.8)
"""Seconds between two chats, drawn evenly: else they would come in step with the engine."""
LONGEST_WAIT = 300.0
"""Seconds until a batch that was resumed has answered a line."""
BEHIND = 5000
"""Lines of the batch beside which chats are measured: more than are answered meanwhile."""


def batches(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the figures are their median and range.")] = 3,
    lines: Annotated[int, typer.Option(min=2, help="Lines of the file for the throughput.")] = 300,
    prompt: Annotated[int, typer.Option(min=1, help="Words of each line's prompt.")] = 60,
    answer: Annotated[int, typer.Option(min=1, help="Tokens of each line's answer.")] = 100,
    chats: Annotated[int, typer.Option(min=2, help="Chats of a phase.")] = 30,
    words: Annotated[int, typer.Option(min=1, help="Words of each chat's prompt.")] = 60,
    what: Annotated[str, typer.Option(help="throughput, chats, or both, comma-separated.")] = "throughput,chats",
    same_openmp: Annotated[
        bool, typer.Option("--same-openmp", help="Also vLLM's command with our OpenMP settings.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="One short round: does it run at all?")] = False,
    models_dir: Annotated[Path, typer.Option(help="Folder of the models' weights.")] = Path("models"),
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON; a table beside it.", dir_okay=False)] = (
        Path("data/bench/batches.json")
    ),
) -> None:
    """Throughput of a batch by `sagehold batch run` and `vllm run-batch`; first tokens with and without a batch."""
    from scripts.benchmarks.compare import scratch

    if quick:
        rounds, lines, answer, chats = 1, 40, 30, 3
    models = models_dir.resolve()
    texts = (REPOSITORY / "docs" / "operations.md").read_text().split()
    runs: list[Run] = []
    seen: list[Seen] = []
    with scratch() as folder:
        try:
            if "throughput" in what:
                runs = _throughput(folder, models, texts, rounds, (lines, prompt, answer), same_openmp)
            if "chats" in what:
                seen = _beside(folder, models, texts, rounds, (prompt, answer), (chats, words))
        except (StartError, ValueError, TimeoutError) as error:
            console.print(f"bench: {error}", markup=False)
            raise typer.Exit(1) from None
    facts = {"lines": lines, "prompt_words": prompt, "answer": answer, "chat_words": words, "rounds": rounds}
    keep(output, "batches", {**facts, "runs": [asdict(one) for one in runs], "chats": [asdict(one) for one in seen]})
    table = markdown(runs, seen)
    output.with_suffix(".md").write_text(f"{_machine()}\n\n{table}")
    console.print(table, markup=False)
    console.print(f"figures in {output}")


# ---------------------------------------------------------------- throughput


def _throughput(
    folder: Path, models: Path, texts: Sequence[str], rounds: int, sizes: tuple[int, int, int], same_openmp: bool
) -> list[Run]:
    lines, prompt, answer = sizes
    spec = chat_model(models, None)
    sides = [batch_runs.ours(spec, models, folder / "data"), batch_runs.theirs(spec, models)]
    if same_openmp:
        sides.append(batch_runs.theirs(spec, models, "vLLM, our OpenMP", SAME_OPENMP))
    file = folder / "requests.jsonl"
    batch_runs.requests_file(file, spec.name, lines, prompt, answer, texts)
    found = []
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            found.append(batch_runs.run(side, file, folder))
            console.print(f"round {number + 1}, {side.name}: {found[-1].throughput:.1f} tok/s", highlight=False)
    return found


# ---------------------------------------------------------------- first tokens


def _beside(
    folder: Path, models: Path, texts: Sequence[str], rounds: int, line: tuple[int, int], chat: tuple[int, int]
) -> list[Seen]:
    import uvloop

    from scripts.benchmarks.front_sides import payer

    spec = chat_model(models, None)
    file = folder / "behind.jsonl"
    batch_runs.requests_file(file, spec.name, BEHIND, *line, texts)
    environment = {"SAGEHOLD_DATA_DIR": str(folder / "served"), "PYTHONPATH": str(REPOSITORY)}
    side = sagehold(folder / "served", model=spec.name, models_dir=models, environment=environment)
    key = payer(side)
    with serving(side, folder) as server:
        return uvloop.run(_rounds(server, key, file, texts, rounds, line[1], chat))


async def _rounds(
    server: Server, key: str, file: Path, texts: Sequence[str], rounds: int, answer: int, chat: tuple[int, int]
) -> list[Seen]:
    import aiohttp

    drawn, found = random.Random(16), []
    async with aiohttp.ClientSession(
        server.url, headers={"Authorization": f"Bearer {key}"}, timeout=aiohttp.ClientTimeout(total=600)
    ) as session:
        batch = Batch(session, await _made(session, file))
        for number in range(rounds):
            await batch.pause()
            alone = await _chats(session, server.side.model, texts, chat, drawn)
            await batch.resume()
            before, begun = await batch.completed(), time.perf_counter()
            beside = await _chats(session, server.side.model, texts, chat, drawn)
            tokens = (await batch.completed() - before) * answer / (time.perf_counter() - begun)
            found.append(Seen(alone, beside, tokens))
            console.print(
                f"round {number + 1}: first token {median(alone):.3f} s alone, {median(beside):.3f} s beside a batch "
                f"of {tokens:.0f} tok/s",
                highlight=False,
            )
        await batch.call("cancel")
    return found


class Batch:
    """One batch of the server."""

    def __init__(self, session: "aiohttp.ClientSession", name: str) -> None:
        self._session = session
        self._url = f"/v1/batches/{name}"

    async def pause(self) -> None:
        await self.call("pause")
        await asyncio.sleep(SETTLING)

    async def resume(self) -> None:
        """Return when answers come."""
        before = await self.completed()
        await self.call("resume")
        async with asyncio.timeout(LONGEST_WAIT):
            done = before
            while done == before:
                await asyncio.sleep(0.2)
                done = await self.completed()
        await asyncio.sleep(SETTLING)

    async def completed(self) -> int:
        async with self._session.get(self._url) as answer:
            return int((await _json(answer))["request_counts"]["completed"])

    async def call(self, verb: str) -> None:
        async with self._session.post(f"{self._url}/{verb}", json={}) as answer:
            await _json(answer)


async def _made(session: "aiohttp.ClientSession", file: Path) -> str:
    """The id of a batch of this file, once its lines are looked through."""
    import aiohttp

    form = aiohttp.FormData({"purpose": "batch"})
    with file.open("rb") as stream:
        form.add_field("file", stream, filename=file.name)
        async with session.post("/v1/files", data=form) as answer:
            name = (await _json(answer))["id"]
    body = {"input_file_id": name, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    async with session.post("/v1/batches", json=body) as answer:
        made = await _json(answer)
    while made["status"] == "validating":
        await asyncio.sleep(0.2)
        async with session.get(f"/v1/batches/{made['id']}") as answer:
            made = await _json(answer)
    if made["status"] != "in_progress":
        raise ValueError(f"the batch is {made['status']}: {json.dumps(made.get('errors'))[:500]}")
    return str(made["id"])


async def _json(answer: "aiohttp.ClientResponse") -> Mapping[str, Any]:
    if answer.status != 200:
        raise ValueError(f"{answer.url} answered {answer.status}: {(await answer.text())[:300]}")
    return dict(await answer.json())


async def _chats(
    session: "aiohttp.ClientSession", model: str, texts: Sequence[str], chat: tuple[int, int], drawn: random.Random
) -> list[float]:
    """Seconds until the first token of each chat, one after the other."""
    from scripts.benchmarks.fairness import has_text

    count, words = chat
    found: list[float] = []
    for _ in range(count):
        begin = drawn.randrange(len(texts) - words)
        content = f"{drawn.random()}: {' '.join(texts[begin : begin + words])}"
        body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 16, "stream": True}
        begun, first = time.perf_counter(), None
        async with session.post("/v1/chat/completions", json={**body, "ignore_eos": True}) as answer:
            if answer.status != 200:
                raise ValueError(f"a chat was answered {answer.status}: {(await answer.text())[:300]}")
            async for line in answer.content:
                if first is None and has_text(line):
                    first = time.perf_counter() - begun
        if first is None:
            raise ValueError("a chat's answer had no text")
        found.append(first)
        await asyncio.sleep(drawn.uniform(*PAUSE))
    return found


def _machine() -> str:
    found = machine()
    return f"{found['processor']}, {found['cores']} cores, {found['memory_gib']} GiB; {found['date']}"
