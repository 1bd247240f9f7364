"""`scripts/bench`: this server against vLLM's own, and our defaults against their alternatives.

Loads are vLLM's benchmark harness on the same machine. What is measured runs alone: the others are frozen meanwhile.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from scripts.benchmarks.accounts import accounts
from scripts.benchmarks.allocator import allocator
from scripts.benchmarks.batches import batches
from scripts.benchmarks.embeddings import embeddings
from scripts.benchmarks.fairness import fairness
from scripts.benchmarks.front import front
from scripts.benchmarks.gaps import gaps
from scripts.benchmarks.growth import growth
from scripts.benchmarks.ingestion import ingestion
from scripts.benchmarks.load import Load, Sample
from scripts.benchmarks.media import media
from scripts.benchmarks.processes import Side, StartError
from scripts.benchmarks.retrieval import retrieval
from scripts.benchmarks.steps import steps
from server.offline import go_offline

app = typer.Typer(
    help="Measure this server against vLLM's own, and its defaults against their alternatives.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()

Rounds = Annotated[int, typer.Option(min=1, help="Rounds; the figures are their median and range.")]
Quick = Annotated[bool, typer.Option("--quick", help="One short round: does it run at all?")]
Output = Annotated[Path, typer.Option(help="File for the figures, as JSON.", dir_okay=False)]
ModelsDir = Annotated[Path, typer.Option(help="Folder of the models' weights.")]
Configs = Annotated[Path | None, typer.Option("--model-configs", help="Folder of model configs other than our own.")]
Model = Annotated[str | None, typer.Option(help="Chat model to measure; the first that is installed if none.")]
Pause = Annotated[str, typer.Option(help="Ids of other processes to stop while a round is measured, comma-separated.")]
Patience = Annotated[float, typer.Option(help="Longest wait before each round, in seconds, for a quiet machine.")]
Streams = Annotated[str, typer.Option(help="Requests at a time, comma-separated.")]


@app.command()
def chat(
    rounds: Rounds = 5,
    streams: Streams = "1,16,64",
    same_openmp: Annotated[
        bool, typer.Option("--same-openmp", help="Also vLLM's server with our OpenMP settings: what is left is HTTP.")
    ] = False,
    quick: Quick = False,
    pause: Pause = "",
    patience: Patience = 30,
    model: Model = None,
    models_dir: ModelsDir = Path("models"),
    configs: Configs = None,
    per_stream: Annotated[int, typer.Option(min=1, help="Requests of each stream in a round.")] = 1,
    output: Output = Path("data/bench/chat.json"),
) -> None:
    """Throughput and latency of streamed chat: this server and `vllm.entrypoints.openai.api_server`, same engine."""
    from scripts.benchmarks import sides
    from scripts.benchmarks.compare import scratch

    spec = _spec(model, models_dir, configs)
    with scratch() as folder:
        ours = sides.sagehold(folder / "data", model=spec.name, models_dir=models_dir.resolve(), configs=configs)
        made = [ours, sides.vllm(spec, models_dir=models_dir.resolve())]
        if same_openmp:
            name = "vLLM, our OpenMP"
            made.append(sides.vllm(spec, models_dir=models_dir.resolve(), name=name, environment=sides.SAME_OPENMP))
        loads = _loads(streams, quick, per_stream)
        samples = _compare(made, loads, 1 if quick else rounds, folder, models_dir, spec, pause, patience)
    _tell(samples, made[-1].name, "chat", output, {})


@app.command()
def completions(
    rounds: Rounds = 5,
    streams: Streams = "1,16,64",
    quick: Quick = False,
    pause: Pause = "",
    patience: Patience = 30,
    model: Model = None,
    models_dir: ModelsDir = Path("models"),
    configs: Configs = None,
    per_stream: Annotated[int, typer.Option(min=1, help="Requests of each stream in a round.")] = 1,
    output: Output = Path("data/bench/completions.json"),
) -> None:
    """As `chat`, of raw prompts to /v1/completions."""
    from scripts.benchmarks import sides
    from scripts.benchmarks.compare import scratch

    spec = _spec(model, models_dir, configs)
    with scratch() as folder:
        ours = sides.sagehold(folder / "data", model=spec.name, models_dir=models_dir.resolve(), configs=configs)
        made = [ours, sides.vllm(spec, models_dir=models_dir.resolve())]
        loads = [replace(load, raw=True) for load in _loads(streams, quick, per_stream)]
        samples = _compare(made, loads, 1 if quick else rounds, folder, models_dir, spec, pause, patience)
    _tell(samples, made[-1].name, "completions", output, {})


@app.command()
def start(
    rounds: Rounds = 5,
    quick: Quick = False,
    model: Model = None,
    models_dir: ModelsDir = Path("models"),
    output: Output = Path("data/bench/start.json"),
) -> None:
    """Seconds from start to ready, second start: all starter models, chat only, and vLLM's own server."""
    from scripts.benchmarks import sides
    from scripts.benchmarks.compare import scratch, start_times
    from scripts.benchmarks.processes import serving
    from scripts.benchmarks.report import keep, show_starts

    spec, weights = _spec(model, models_dir), models_dir.resolve()
    with scratch() as folder:
        alone = sides.sagehold(folder / "data", model=spec.name, models_dir=weights, name="sagehold, chat only")
        whole = sides.sagehold(folder / "data", model=spec.name, models_dir=weights, name="sagehold", everything=True)
        theirs = sides.vllm(spec, models_dir=weights)
        if not quick:
            console.print("a first start, which makes the database and warms the file cache")
            for side in (whole, theirs):
                with serving(side, folder):
                    pass
        times = start_times([whole, alone, theirs], 1 if quick else rounds, folder, console.print)
    show_starts(times, "vLLM", console)
    keep(output, "start", {"seconds": times})
    console.print(f"figures in {output}")


@app.command()
def openmp(
    rounds: Rounds = 5,
    streams: Streams = "16",
    quick: Quick = False,
    pause: Pause = "",
    patience: Patience = 30,
    model: Model = None,
    models_dir: ModelsDir = Path("models"),
    output: Output = Path("data/bench/openmp.json"),
) -> None:
    """How long OpenMP's threads should spin: alone, and beside a neighbour that keeps one core busy."""
    from scripts.benchmarks import sides
    from scripts.benchmarks.compare import scratch

    spec = _spec(model, models_dir)
    variants: dict[str, dict[str, str]] = {
        # libgomp spins this often where nothing is set: about 3 ms (GCC, libgomp/env.c).
        "libgomp's default": {"GOMP_SPINCOUNT": "300000"},
        "ours": {},
        # As long as ours spin alone, but whatever others want: one more, since ours would give way.
        "10,001 spins": {"GOMP_SPINCOUNT": "10001"},
        "1,000 spins": {"GOMP_SPINCOUNT": "1000"},
        "passive": {"OMP_WAIT_POLICY": "passive"},
        "one core less": {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) - 1))},
    }
    for busy in (False, True):
        with scratch() as folder:
            made = [
                sides.sagehold(
                    folder / f"data-{number}",
                    model=spec.name,
                    models_dir=models_dir.resolve(),
                    name=name,
                    environment=environment,
                )
                for number, (name, environment) in enumerate(variants.items())
            ]
            loads, count = _loads(streams, quick), 1 if quick else rounds
            samples = _compare(made, loads, count, folder, models_dir, spec, pause, patience, busy_neighbour=busy)
        where = "beside a busy neighbour" if busy else "alone"
        file = output.with_stem(f"{output.stem}-{'busy' if busy else 'alone'}")
        _tell(samples, "libgomp's default", f"OpenMP, {where}", file, {"busy_neighbour": busy})


@app.command()
def dtype(
    rounds: Rounds = 5,
    streams: Streams = "1,16",
    quick: Quick = False,
    pause: Pause = "",
    patience: Patience = 30,
    model: Model = None,
    models_dir: ModelsDir = Path("models"),
    output: Output = Path("data/bench/dtype.json"),
) -> None:
    """float32 against bfloat16 on this processor; the rule is in server/engines/vllm/hardware.py."""
    from scripts.benchmarks import sides
    from scripts.benchmarks.compare import scratch
    from server.engines.vllm.hardware import processor_dtype

    spec = _spec(model, models_dir)
    with scratch() as folder:
        made = [
            sides.sagehold(
                folder / f"data-{name}",
                model=spec.name,
                models_dir=models_dir.resolve(),
                name=name,
                configs=sides.configs_with(folder, spec, dtype=name),
            )
            for name in ("float32", "bfloat16")
        ]
        samples = _compare(
            made, _loads(streams, quick), 1 if quick else rounds, folder, models_dir, spec, pause, patience
        )
    _tell(samples, "float32", "dtype", output, {"rule": processor_dtype()})
    console.print(f"the rule in server/engines/vllm/hardware.py takes {processor_dtype()} here")


app.command()(accounts)
app.command()(allocator)
app.command()(embeddings)
app.command()(batches)
app.command()(fairness)
app.command()(front)
app.command()(gaps)
app.command()(growth)
app.command()(ingestion)
app.command()(media)
app.command()(retrieval)
app.command()(steps)


def _spec(model: str | None, models_dir: Path, configs: Path | None = None) -> Any:
    from scripts.benchmarks import sides

    try:
        return sides.chat_model(models_dir, model, configs)
    except LookupError as error:
        console.print(f"bench: {error}; scripts/models brings the starter models")
        raise typer.Exit(2) from None


def _loads(streams: str, quick: bool, per_stream: int = 1) -> list[Load]:
    """Enough requests a load that one round takes long beside its beginning and its end."""
    counts = [int(count) for count in streams.split(",")]
    if quick:
        return [Load(streams=count, requests=count, output_tokens=32) for count in counts]
    return [Load(streams=count, requests=max(2, count * per_stream)) for count in counts]


def _compare(
    made: list[Side],
    loads: list[Load],
    rounds: int,
    folder: Path,
    models_dir: Path,
    spec: Any,
    pause: str,
    patience: float,
    *,
    busy_neighbour: bool = False,
) -> list[Sample]:
    from scripts.benchmarks.compare import compare

    try:
        return compare(
            made,
            loads,
            rounds,
            folder,
            console.print,
            tokenizer=(models_dir / spec.path).resolve(),
            busy_neighbour=busy_neighbour,
            pause=[int(pid) for pid in pause.split(",") if pid],
            patience=patience,
        )
    except (StartError, ValueError) as error:
        console.print(f"bench: {error}", markup=False)
        raise typer.Exit(1) from None


def _tell(samples: list[Sample], base: str, title: str, output: Path, facts: dict[str, Any]) -> None:
    from scripts.benchmarks.report import keep, sample_dicts, show, summary

    show(samples, base, console, title)
    keep(output, title, {**facts, "summary": summary(samples, base), "samples": sample_dicts(samples)})
    console.print(f"figures in {output}")


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Ended as by Ctrl-C: every block is left, and with it every server.
    signal.signal(signal.SIGTERM, _terminated)
    go_offline()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # of the harness; servers get no such setting
    try:
        app(prog_name="scripts/bench", standalone_mode=True)
    except SystemExit as ended:
        # The harness leaves native libraries behind that complain at length when the interpreter ends.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)
