"""`scripts/eval_quality`: what low, medium, high and ultra are worth on the starter models, and what they cost."""

import asyncio
import importlib
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scripts.quality.frame import MODES, Item, Measure, Row
from server.offline import go_offline

app = typer.Typer(
    help="Measure what the quality modes are worth on the starter models, with confidence intervals, and their cost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()

ALL_MODES = ",".join(MODES)
MEASURES = ("chat", "transcription", "speech", "images")
SEEDS = "7001"
"""Modes were tuned on others."""

Size = Annotated[int | None, typer.Option(min=2, help="Items of each seed; each measure has its own default.")]
Seeds = Annotated[
    str,
    typer.Option("--seeds", help="Seeds of the items, comma-separated; the figures are those of all seeds together."),
]
Modes = Annotated[str, typer.Option(help="Modes to compare with the first of them, comma-separated.")]
ModelsDir = Annotated[Path, typer.Option(help="Folder of the models' weights.", exists=True, file_okay=False)]
Configs = Annotated[Path, typer.Option("--model-configs", help="Folder of model configs.", exists=True)]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown too.")]
Folder = Annotated[Path, typer.Option(help="Folder for the figures, as JSON.", file_okay=False)]


def _measure(
    name: str,
    size: int | None,
    seeds: Sequence[int],
    modes: str,
    models_dir: Path,
    configs: Path,
    to_markdown: bool,
    output: Path,
) -> None:
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.processes import StartError
    from scripts.quality.frame import items_of
    from scripts.quality.report import keep_all, markdown, show
    from scripts.quality.server import measured
    from starter.installer import StarterError

    chosen = [mode.strip() for mode in modes.split(",")]
    if unknown := [mode for mode in chosen if mode not in MODES]:
        raise typer.BadParameter(f"{', '.join(unknown)}: expected some of {', '.join(MODES)}", param_hint="--modes")
    measure: Measure[Any] = importlib.import_module(f"scripts.quality.{name}")
    try:
        measure.prepare()
    except StarterError as error:
        console.print(f"eval_quality: {error}", markup=False)
        raise typer.Exit(1) from None
    items = items_of(measure, size or measure.SIZE, seeds)
    said = ", ".join(map(str, seeds))
    console.print(f"{name}: {len(items)} items × {len(chosen)} modes, seeds {said}; starting a server")
    try:
        with scratch() as folder, measured(measure.MODELS, models_dir, configs, folder) as server:
            console.print(f"ready after {server.server.start_seconds:.1f} s")
            rows = asyncio.run(_rows(measure, server, items, chosen))
    except StartError as error:
        console.print(f"eval_quality: {error}", markup=False)
        raise typer.Exit(1) from None
    show(measure, rows, chosen, console)
    if to_markdown:
        console.print(markdown(measure, rows, chosen), markup=False, highlight=False, soft_wrap=True)
    file = output / f"{name}.json"
    keep_all(file, measure, rows, chosen, {"seeds": list(seeds), "modes": chosen})
    console.print(f"figures in {file}")


async def _rows(measure: Measure[Any], server: Any, items: Sequence[Item], modes: Sequence[str]) -> list[Row]:
    from scripts.quality.frame import run

    bars = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*bars, console=console) as progress:
        bar = progress.add_task(measure.NAME, total=len(items) * len(modes))
        async with server.client() as client:
            return await run(measure, client, items, modes, lambda _: progress.advance(bar))


def seeds_of(said: str) -> list[int]:
    """`7001,7002` as numbers. Raises BadParameter for what is none, and for one that comes twice."""
    try:
        seeds = [int(seed) for seed in said.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{said}: expected whole numbers with commas", param_hint="--seeds") from None
    if len(set(seeds)) < len(seeds):
        raise typer.BadParameter(f"{said}: a seed comes twice", param_hint="--seeds")
    return seeds


def _command(name: str, description: str) -> None:
    def command(
        size: Size = None,
        seeds: Seeds = SEEDS,
        modes: Modes = ALL_MODES,
        models_dir: ModelsDir = Path("models"),
        model_configs: Configs = Path("model_configs"),
        markdown: Markdown = False,
        output: Folder = Path("data/quality"),
    ) -> None:
        for one in MEASURES if name == "all" else (name,):
            _measure(one, size, seeds_of(seeds), modes, models_dir, model_configs, markdown, output)

    app.command(name, help=description)(command)


_command("chat", "Arithmetic, extraction and format following: the share of right answers.")
_command("transcription", "Noisy, fast and accented speech: the word error rate.")
_command("speech", "Hard sentences, read back: the word error rate.")
_command("images", "The starter image model: the share of right pictures.")
_command("all", "All four, one after the other.")


@app.command()
def drafts(
    drafts: Annotated[int, typer.Option(min=2, max=16, help="Drafts at once.")] = 5,
    tokens: Annotated[int, typer.Option(min=8, help="Tokens of each draft.")] = 96,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the figures are their median and range.")] = 7,
    models_dir: ModelsDir = Path("models"),
    output: Folder = Path("data/quality"),
) -> None:
    """Seconds of several drafts at once against one, with one request in flight."""
    from scripts.benchmarks.processes import StartError
    from scripts.quality.drafts import run_drafts

    try:
        run_drafts(drafts, tokens, rounds, models_dir, output, console)
    except (LookupError, StartError) as error:
        console.print(f"eval_quality: {error}", markup=False)
        raise typer.Exit(1) from None


@app.command()
def fallback(
    clips: Annotated[int, typer.Option(min=0, help="Short clips, of which what each temperature won is told.")] = 100,
    seconds: Annotated[float, typer.Option(min=0, help="Length of each recording; 0: none.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the clips and recordings.")] = int(SEEDS),
    whole: Annotated[bool, typer.Option("--whole", help="Whisper's own ladder of temperatures, unbounded.")] = False,
    models_dir: ModelsDir = Path("models"),
    output: Folder = Path("data/quality"),
) -> None:
    """Transcription: how often each temperature is used, what it wins, and the seconds of high beside those of low."""
    from scripts.quality.fallback import run_fallback

    run_fallback(clips, seconds, seed, whole=whole, models_dir=models_dir, output=output, console=console)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Ended as by Ctrl-C: every block is left, and with it the server.
    signal.signal(signal.SIGTERM, _terminated)
    go_offline()
    app(prog_name="scripts/eval_quality")
