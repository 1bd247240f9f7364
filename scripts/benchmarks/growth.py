"""`scripts/bench growth`: what more requests at once, and longer prompts, cost: time, memory, and the processor's.

Chats are vLLM's harness (random prompts), pictures and recordings those of `scripts/bench media`. Beside each load of
chats stands the least time that this machine could take, by its measured memory bandwidth and arithmetic.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import psutil
import typer
from rich.console import Console

from scripts.benchmarks.growth_figures import Point, chat_table, machine_line, media_table
from scripts.benchmarks.load import Load, drive, wait_for_quiet
from scripts.benchmarks.processes import Server, StartError, serving

if TYPE_CHECKING:
    from scripts.benchmarks.media_models import Models

console = Console()

LOOK = 1.0
"""Seconds between two looks at the memory, each of which takes some milliseconds."""
SEQUENCES = 256
"""Most of a step, where our engine leaves that to vLLM."""
MOST = 300_000
"""Prompt tokens of a load of chats, above which it is left out: it would take many minutes on a processor."""


def growth(
    what: Annotated[str, typer.Option(help="chat, pictures, transcription: comma-separated.")] = (
        "chat,pictures,transcription"
    ),
    streams: Annotated[str, typer.Option(help="Chats at once, comma-separated.")] = "1,8,64,256",
    prompts: Annotated[str, typer.Option(help="Tokens of their prompts, comma-separated.")] = "100,1000,4000",
    answer: Annotated[int, typer.Option(min=2, help="Tokens of each answer.")] = 32,
    most: Annotated[int, typer.Option(help="Prompt tokens of a load above which it is left out.")] = MOST,
    pictures: Annotated[str, typer.Option(help="Pictures at once, comma-separated.")] = "1,2,4,8",
    recordings: Annotated[str, typer.Option(help="Recordings at once, comma-separated.")] = "1,8,32",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each load.")] = 3,
    chat_rounds: Annotated[int, typer.Option(min=1, help="Rounds of each load of chats, which take longer.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="One small round of each: does it run at all?")] = False,
    patience: Annotated[
        float, typer.Option(help="Longest wait before each load, in seconds, for a quiet machine.")
    ] = 30,
    models_dir: Annotated[Path, typer.Option(help="Folder of the models' weights.")] = Path("models"),
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON; tables beside it.", dir_okay=False)] = (
        Path("data/bench/growth.json")
    ),
) -> None:
    """Latency, throughput, processor time and memory of more and more at once, beside the machine's own limit."""
    from scripts.benchmarks import roofline, sides
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.media_models import installed
    from scripts.benchmarks.report import keep, machine
    from server.engines.devices.gpus import Driver

    gpu = bool(Driver().gpus())
    kinds = what.split(",")
    if quick:
        streams, prompts, pictures, recordings, rounds, patience = "1,2", "100", "1,2", "1,2", 1, 0.0
    facts: dict[str, Any] = {"rounds": rounds, "chat_rounds": chat_rounds, "answer": answer}
    parts: list[str] = []
    with scratch() as folder:
        try:
            models = installed(models_dir.resolve(), {}, gpu=gpu) if {"pictures", "transcription"} & {*kinds} else None
            if "chat" in kinds:
                spec = sides.chat_model(models_dir, None)
                arguments = sides.engine_arguments(spec, models_dir.resolve())
                weights = (models_dir / spec.path).resolve()
                numbers = roofline.dtype_of(weights, str(arguments["dtype"]))
                here = roofline.measured("cuda" if gpu else "cpu", numbers)
                shape = roofline.shape_of(weights, numbers)
                loads = [
                    Load(int(count), int(count), int(prompt), answer)
                    for prompt in prompts.split(",")
                    for count in streams.split(",")
                ]
                points, left = _chats(folder, models_dir.resolve(), spec, loads, most, chat_rounds, patience)
                sequences = int(arguments.get("max_num_seqs") or SEQUENCES)
                parts += [machine_line(here, shape), chat_table(points, here, shape, sequences), *left]
                facts |= {"machine_limits": asdict(here), "shape": asdict(shape), "sequences": sequences}
                facts["chat"] = [asdict(point) for point in points]
            if models is not None:
                counts = {"pictures": _numbers(pictures), "transcription": _numbers(recordings)}
                found, left = _media(folder, models, {k: n for k, n in counts.items() if k in kinds}, rounds, patience)
                for kind, unit in (("pictures", "pictures"), ("transcription", "seconds of sound")):
                    if rows := [point for point in found if point.what == kind]:
                        parts.append(media_table(rows, unit))
                        facts[kind] = [asdict(point) for point in rows]
                parts += left
        except (LookupError, StartError, ValueError) as error:
            console.print(f"bench: {error}", markup=False)
            raise typer.Exit(1) from None
    table = "\n\n".join(parts) + "\n"
    keep(output, "growth", facts)
    about = machine()
    output.with_suffix(".md").write_text(
        f"{about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB; {about['date']}\n\n{table}"
    )
    console.print(table, markup=False, highlight=False, soft_wrap=True)
    console.print(f"figures in {output}")


def _numbers(words: str) -> list[int]:
    return [int(word) for word in words.split(",")]


# ---------------------------------------------------------------- chats


def _chats(
    folder: Path, models_dir: Path, spec: Any, loads: Sequence[Load], most: int, rounds: int, patience: float
) -> tuple[list[Point], list[str]]:
    """A point for each load, and a line for each that was left out."""
    from scripts.benchmarks import sides

    points, left = list[Point](), list[str]()
    tokenizer = (models_dir / spec.path).resolve()
    # As many as are asked for may wait, as long as they have to: by default a server sends them away sooner.
    side = sides.sagehold(
        folder / "data-chat",
        model=spec.name,
        models_dir=models_dir,
        configs=sides.configs_with(folder, spec, max_queue=max(load.streams for load in loads)),
        environment={"SAGEHOLD_AUTH": "off", "SAGEHOLD_QUEUE_TIMEOUT": "3600"},
    )
    with serving(side, folder) as server:
        drive(server, Load(2, 2, 64, 8), 1_000_000, tokenizer)
        for number, load in enumerate(loads):
            if load.requests * load.prompt_tokens > most:
                left.append(
                    f"Left out: {load.streams} streams of {load.prompt_tokens:,} tokens, "
                    f"{load.requests * load.prompt_tokens:,} in all (--most)."
                )
                continue
            wait_for_quiet([psutil.Process()], patience)
            try:
                points.append(_chat_point(server, load, rounds, 1000 * number, tokenizer))
            except ValueError as error:
                left.append(f"Failed: {load.streams} streams of {load.prompt_tokens:,} tokens: {error}")
                console.print(left[-1], markup=False)
                continue
            console.print(
                f"{load.streams} × {load.prompt_tokens:,} tokens: {points[-1].throughput:.1f} tok/s", highlight=False
            )
    return points, left


def _chat_point(server: Server, load: Load, rounds: int, seed: int, tokenizer: Path) -> Point:
    """Raises ValueError if a request failed."""
    from scripts.benchmarks.figures import from_harness

    results, walls, processor, peak = [], list[float](), list[float](), 0
    further = list[float]()
    for number in range(rounds):
        with memory_of(server) as seen:
            before = server.processor_seconds()
            result = drive(server, load, seed + number, tokenizer)
            processor.append(server.processor_seconds() - before)
        further.append(from_harness(result).itl / 1000)
        results.append(result)
        walls.append(float(result["duration"]))
        peak = max(peak, *seen)
    pairs = [pair for result in results for pair in zip(result["ttfts"], result["itls"], strict=True)]
    return Point(
        "chat",
        load.streams,
        # The first chunk names the role only, so the second has the first token.
        latencies=[ttft + sum(waits) for ttft, waits in pairs],
        firsts=[ttft + waits[0] for ttft, waits in pairs],
        further=median(further),
        walls=walls,
        processor=processor,
        done=load.requests * load.output_tokens,
        memory=peak,
        cores=os.cpu_count() or 1,
        prompt=load.prompt_tokens,
        answer=load.output_tokens,
    )


# ---------------------------------------------------------------- pictures and recordings


def _media(
    folder: Path, models: "Models", counts: dict[str, list[int]], rounds: int, patience: float
) -> tuple[list[Point], list[str]]:
    """A point for each load, and a line for each that failed."""
    from scripts.benchmarks.front_sides import this_tree
    from scripts.benchmarks.media_client import Answer, Client
    from scripts.benchmarks.media_sides import PROMPTS, server_side
    from scripts.benchmarks.media_sounds import TOGETHER, recordings

    most = max(counts.get("transcription", [0]))
    middle = [f"middle-{number}" for number in range(min(most, TOGETHER))]
    sounds = recordings(models.voice_file, folder / "sounds", middle)
    points, left = list[Point](), list[str]()
    with ExitStack() as stack:
        server = stack.enter_context(serving(server_side(this_tree(), "sagehold", models, folder), folder))
        client = Client(server.url, {kind: spec.name for kind, spec in models.by_kind.items()})
        stack.callback(client.close)

        def asks(kind: str, count: int) -> tuple[list[Callable[[float], Answer]], float]:
            """So many requests, and how much work that is: pictures, or seconds of sound."""
            if kind == "pictures":
                image = models.image
                draw = partial(client.draw, count=1, size=image.size, steps=image.steps)
                return [partial(draw, prompt=PROMPTS[n % len(PROMPTS)], seed=n) for n in range(count)], count
            heard = [sounds[middle[number % len(middle)]] for number in range(count)]
            hear = partial(client.hear, quality="low", stream=False)
            return [partial(hear, data=sound.data) for sound in heard], sum(sound.seconds for sound in heard)

        for kind, numbers in counts.items():
            client.all(asks(kind, 1)[0])
            for count in numbers:
                wait_for_quiet([psutil.Process()], patience)
                requests, work = asks(kind, count)
                try:
                    points.append(_media_point(server, client.all, kind, requests, work, rounds))
                except ValueError as error:
                    left.append(f"Failed: {count} × {kind}: {error}")
                    console.print(left[-1], markup=False)
                    continue
                console.print(f"{count} × {kind}: {points[-1].throughput:.2f} a second", highlight=False)
    return points, left


def _media_point(
    server: Server, send: Callable[[Any], Sequence[Any]], kind: str, requests: Sequence[Any], work: float, rounds: int
) -> Point:
    walls, processor, latencies, peak = list[float](), list[float](), list[float](), 0
    for _ in range(rounds):
        with memory_of(server) as seen:
            before, begun = server.processor_seconds(), time.perf_counter()
            answers = send(requests)
            walls.append(time.perf_counter() - begun)
            processor.append(server.processor_seconds() - before)
        latencies += [answer.seconds for answer in answers]
        peak = max(peak, *seen)
    return Point(kind, len(requests), latencies, walls, processor, work, peak, os.cpu_count() or 1)


@contextmanager
def memory_of(server: Server) -> Iterator[list[int]]:
    """Bytes that the server's processes have to themselves, looked at again and again for the length of the block."""
    seen, ended = [_memory(server)], threading.Event()

    def look() -> None:
        while not ended.wait(LOOK):
            seen.append(_memory(server))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        ended.set()
        looking.join()
        seen.append(_memory(server))


def _memory(server: Server) -> int:
    # Not by server.tree(), which another thread may be reading.
    root = psutil.Process(server.pid)
    total = 0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += int(process.memory_full_info().uss)
    return total
