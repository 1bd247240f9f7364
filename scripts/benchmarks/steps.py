"""`scripts/bench steps`: where a decoding step of the chat model goes, by PyTorch's profiler in vLLM's worker.

The engine runs as in the server, without HTTP. Each step is timed without the profiler first; then the same is done
with it, whose own time is in no operation. What is left of a step is Python between the operations, and vLLM's core.
"""

import asyncio
import json
import random
import re
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.gaps import WORDS
from scripts.benchmarks.load import wait_for_quiet

console = Console()

KINDS: Mapping[str, str] = {
    "matrix products": r"onednn_mm|weight_packed_linear|aten::(mm|addmm|bmm|linear|matmul)$",
    "attention": r"cpu_attention|reshape_and_cache|scheduler_metadata|slot_mapping|unified_",
    "norms": r"rms_norm",
    "rotary": r"rotary",
}
"""Operations by what they are for, by their names in the trace; what fits none is among the others."""
OTHERS = "other operations"
LEFT = "no operation"
PROMPT, ANSWER, PROFILED = 64, 96, 32
"""Tokens of each prompt, and of each answer without and with the profiler."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of so many streams: its seconds without the profiler, and seconds of each kind of operation with it."""

    streams: int
    seconds: float
    parts: Mapping[str, float]


def steps(
    streams: Annotated[str, typer.Option(help="Answers at once, comma-separated.")] = "1,8,32",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds without the profiler; a step is their median.")] = 3,
    patience: Annotated[
        float, typer.Option(help="Longest wait before each load, in seconds, for a quiet machine.")
    ] = 30,
    models_dir: Annotated[Path, typer.Option(help="Folder of the models' weights.")] = Path("models"),
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON.", dir_okay=False)] = Path(
        "data/bench/steps.json"
    ),
) -> None:
    """What a decoding step consists of: matrix products, attention, norms, the rest, and what is no operation."""
    from scripts.benchmarks import sides
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.report import keep

    counts = [int(count) for count in streams.split(",")]
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        try:
            spec = sides.chat_model(models_dir, None)
            found = asyncio.run(_measure(spec, models_dir.resolve(), counts, rounds, patience, folder))
        except (LookupError, ValueError) as error:
            console.print(f"bench: {error}", markup=False)
            raise typer.Exit(1) from None
    console.print(table(found))
    keep(output, "steps", {"rounds": rounds, "steps": [asdict(step) for step in found]})
    console.print(f"figures in {output}")


async def _measure(
    spec: Any, models_dir: Path, counts: Sequence[int], rounds: int, patience: float, folder: Path
) -> list[Step]:
    from server.models.factory import make_engine
    from server.models.memory.allotment import Allotment

    profiler = {
        "profiler": "torch",
        "torch_profiler_dir": str(folder),
        "torch_profiler_with_stack": False,
        "torch_profiler_use_gzip": False,
    }
    made = spec.model_copy(update={"extra": {**spec.extra, "profiler_config": profiler}})
    engine: Any = make_engine(made, models_dir=models_dir, allotment=Allotment())
    found = []
    await engine.start()
    try:
        llm, chance = engine._llm, random.Random(0)
        for count in counts:
            await _gaps(llm, count, 16, chance)  # warm
            wait_for_quiet([psutil.Process(), *psutil.Process().children(recursive=True)], patience)
            seconds = [median(await _gaps(llm, count, ANSWER, chance)) for _ in range(rounds)]
            before = _traces(folder)
            await llm.start_profile()
            await _gaps(llm, count, PROFILED, chance)
            await llm.stop_profile()
            (file,) = _traces(folder) - before
            events = json.loads(file.read_text())["traceEvents"]
            found.append(Step(count, median(seconds), parts(events, count)))
    finally:
        await engine.stop()
    return found


def _traces(folder: Path) -> set[Path]:
    """Those of workers."""
    return set(folder.glob("rank*.json"))


async def _gaps(llm: Any, count: int, tokens: int, chance: random.Random) -> list[float]:
    """Seconds between two tokens, of every stream, while all of them are being answered."""
    from vllm import SamplingParams

    times: list[list[float]] = [[] for _ in range(count)]

    async def one(number: int) -> None:
        prompt = {"prompt_token_ids": [chance.choice(WORDS) for _ in range(PROMPT)]}
        parameters = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)
        async for _ in llm.generate(prompt, parameters, f"{time.monotonic_ns()}-{number}"):
            times[number].append(time.perf_counter())

    await asyncio.gather(*map(one, range(count)))
    begun, end = max(stream[0] for stream in times), min(stream[-1] for stream in times)
    return [b - a for stream in times for a, b in pairwise(stream) if begun <= a and b <= end]


def parts(events: Iterable[Mapping[str, Any]], streams: int) -> dict[str, float]:
    """Seconds of each kind of operation in a decoding step of so many streams, the mean of all such steps of a trace.

    events: of the trace (ph, ts and dur in microseconds, tid, cat: Chrome's Trace Event Format). vLLM writes one for
    each step with what was in it. Between two of them lies the choice of tokens, which counts with the first.

    Raises ValueError if the trace has no two such steps that follow each other.
    """
    whole = [event for event in events if event.get("ph") == "X"]
    marks = sorted((event for event in whole if str(event["name"]).startswith("execute_")), key=lambda one: one["ts"])
    wanted = f"execute_context_0(0)_generation_{streams}({streams})"
    spans = [(a["ts"], b["ts"]) for a, b in pairwise(marks) if a["name"] == b["name"] == wanted]
    if not spans:
        raise ValueError(f"the trace has no two steps of {streams} streams, one after the other")
    threads = Counter(event["tid"] for event in whole if event.get("cat") == "cpu_op")
    thread = threads.most_common(1)[0][0]
    begins = [begun for begun, _ in spans]
    found = dict.fromkeys([*KINDS, OTHERS], 0.0)
    open_: list[tuple[float, str | None]] = []
    for event in sorted(
        (event for event in whole if event["tid"] == thread and event.get("cat") == "cpu_op"),
        key=lambda one: (one["ts"], -one["dur"]),
    ):
        while open_ and open_[-1][0] <= event["ts"]:
            open_.pop()
        place = bisect_right(begins, event["ts"]) - 1
        kind = kind_of(event["name"]) if place >= 0 and event["ts"] < spans[place][1] else None
        # What an operation calls counts where it belongs itself, and no longer with its caller.
        if open_ and (outer := open_[-1][1]) is not None:
            found[outer] -= event["dur"]
        if kind is not None:
            found[kind] += event["dur"]
        open_.append((event["ts"] + event["dur"], kind))
    return {kind: time / 1e6 / len(spans) for kind, time in found.items()}


def kind_of(operation: str) -> str:
    return next((kind for kind, names in KINDS.items() if re.search(names, operation)), OTHERS)


def table(found: Sequence[Step]) -> Table:
    shown = Table("streams", "a step, ms", *KINDS, OTHERS, LEFT, title="a decoding step, ms", title_justify="left")
    for step in found:
        left = step.seconds - sum(step.parts.values())
        cells = [step.seconds, *step.parts.values(), left]
        shown.add_row(str(step.streams), *(f"{1000 * seconds:.1f}" for seconds in cells))
    return shown
