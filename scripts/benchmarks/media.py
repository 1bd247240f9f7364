"""`scripts/bench media`: pictures, transcripts and voices by this server, and by direct calls of the same libraries.

Each side is loaded, in processes of its own, before anything is measured; while one works the others are frozen. In
each round every side does every work, and the order of the sides turns round by round. The client of the servers is
a part of this process and shares the cores with them; the libraries have none. A server of another checkout may take
part.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psutil
import typer
from rich.console import Console

if TYPE_CHECKING:
    from scripts.benchmarks.front_sides import Tree
    from scripts.benchmarks.media_figures import Sample
    from scripts.benchmarks.media_models import Models
    from scripts.benchmarks.media_sides import Doer, Done
    from scripts.benchmarks.media_sounds import Sound
    from scripts.benchmarks.media_works import Work

console = Console()


def media(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the figures are their median and range.")] = 5,
    only: Annotated[str, typer.Option(help="Works or kinds of work, comma-separated; --list names them.")] = "",
    beside: Annotated[
        Path | None, typer.Option(help="Folder of another checkout, whose server takes part.", exists=True)
    ] = None,
    same_openmp: Annotated[
        bool, typer.Option("--same-openmp", help="Call the libraries with our OpenMP settings, not with OpenMP's own.")
    ] = False,
    list_works: Annotated[bool, typer.Option("--list", help="Name the works, and measure nothing.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="One round of the short works: does it run at all?")] = False,
    patience: Annotated[
        float, typer.Option(help="Longest wait before each work, in seconds, for a quiet machine.")
    ] = 30,
    image_model: Annotated[str | None, typer.Option(help="Model that draws; the first that is installed.")] = None,
    transcriber: Annotated[str | None, typer.Option(help="Model that hears; the first that is installed.")] = None,
    voice: Annotated[str | None, typer.Option(help="Model that speaks; the first that is installed.")] = None,
    chat: Annotated[
        Path | None, typer.Option(help="Figures of `scripts/bench chat --same-openmp`, to be told too.", exists=True)
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="Figures of `scripts/bench start`, to be told too.", exists=True)
    ] = None,
    models_dir: Annotated[Path, typer.Option(help="Folder of the models' weights.")] = Path("models"),
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON; a table beside it.", dir_okay=False)] = (
        Path("data/bench/media.json")
    ),
) -> None:
    """Pictures, transcripts and voices: this server, direct calls of the same libraries, and another checkout's."""
    from scripts.benchmarks import media_others
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.media_figures import as_dicts, markdown, rows
    from scripts.benchmarks.media_goals import AIMS, goals_of
    from scripts.benchmarks.media_models import installed
    from scripts.benchmarks.media_sounds import Sound, recordings
    from scripts.benchmarks.media_works import WORKS, chosen
    from scripts.benchmarks.processes import StartError
    from scripts.benchmarks.report import keep, machine
    from scripts.benchmarks.sides import REPOSITORY
    from server.engines.devices.gpus import Driver

    if list_works:
        for work in WORKS:
            console.print(f"{work.name:24} {work.kind}", highlight=False)
        return
    gpu = bool(Driver().gpus())
    names = {"pictures": image_model, "transcription": transcriber, "speech": voice}
    try:
        works = [work for work in chosen(only) if work.quick or not quick or only]
        models = installed(models_dir.resolve(), names, gpu=gpu)
        trees = _trees(beside)
        others = media_others.table(*(json.loads(file.read_text()) if file else None for file in (chat, start)))
        goals = goals_of(REPOSITORY / "docs" / "gpu.md") if gpu else AIMS
    except LookupError as error:
        console.print(f"bench: {error}", markup=False)
        raise typer.Exit(2) from None
    begun = time.monotonic()
    samples: list[Sample] = []
    ended, sounds = "", dict[str, Sound]()
    with scratch() as folder, ExitStack() as stack:
        try:
            names_of_sounds = (name for work in works for name in work.sounds)
            sounds |= recordings(models.voice_file, folder / "sounds", names_of_sounds)
            sides = stack.enter_context(_sides(trees, works, models, sounds, same_openmp, folder))
            _measure(samples, sides, works, sounds, 1 if quick else rounds, 0 if quick else patience)
        except (KeyboardInterrupt, StartError, ValueError) as error:
            ended = str(error) or "cut off"
            console.print(f"bench: {ended}", markup=False)
            if not samples:
                raise typer.Exit(1) from None
    found = rows(samples, goals)
    here = machine()
    facts = {
        "sides": {name: tree.revision for name, tree in trees.items()},
        "models": [spec.name for spec in models.all],
        "sounds": {name: round(sound.seconds, 1) for name, sound in sounds.items()},
        "libraries": "with our OpenMP settings" if same_openmp else "with OpenMP's own settings",
        "rounds": 1 if quick else rounds,
        "seconds": round(time.monotonic() - begun),
        **({"ended before its time": ended} if ended else {}),
    }
    kept = {**facts, "rows": as_dicts(found), "samples": [asdict(sample) for sample in samples]}
    keep(output, "media", kept)
    told = {"machine": f"{here['processor']}, {here['cores']} cores, {here['memory_gib']} GiB", "date": here["date"]}
    table = "\n".join([markdown(found, samples, {**told, **facts}), *([others + "\n"] if others else [])])
    output.with_suffix(".md").write_text(table)
    console.print(table, markup=False, highlight=False, soft_wrap=True)
    console.print(f"figures in {output}")
    if ended:
        raise typer.Exit(1)


def _trees(beside: Path | None) -> dict[str, "Tree"]:
    """The code of each server, by the name of its side. Raises LookupError."""
    from scripts.benchmarks.front_sides import Tree, git, this_tree
    from scripts.benchmarks.media_goals import BESIDE, OURS

    found = {OURS: this_tree()}
    if beside is not None:
        folder = beside.resolve()
        if not (folder / "server" / "__main__.py").is_file():
            raise LookupError(f"--beside {beside}: there is no server in it")
        revision = git("-C", str(folder), "rev-parse", "--short", "HEAD").decode().strip()
        found[BESIDE] = Tree(BESIDE, folder, revision)
    return found


# ---------------------------------------------------------------- the rounds


def _measure(
    samples: list["Sample"],
    sides: Sequence["Doer"],
    works: Sequence["Work"],
    sounds: Mapping[str, "Sound"],
    rounds: int,
    patience: float,
) -> None:
    """Put each measurement into `samples` as it comes. Raises ValueError where an answer was not what was asked for."""
    from scripts.benchmarks.load import wait_for_quiet
    from scripts.benchmarks.media_figures import Sample

    for work in works:
        if work.quick:
            for side in sides:
                if side.does(work):
                    with _alone(side):
                        side.do(work)
    for number in range(rounds):
        for work in works:
            if work.most is not None and number >= work.most:
                continue
            wait_for_quiet([psutil.Process()], patience)
            for side in sides if number % 2 == 0 else reversed(sides):
                if side.does(work):
                    done, others = _undisturbed(side, work, patience)
                    wrong = _wrong(work, done, sounds)
                    samples.append(Sample(work.name, side.name, number, done.seconds, others, wrong))
                    told = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in done.seconds.items())
                    console.print(f"round {number + 1}, {side.name}: {told}", highlight=False)


@contextmanager
def _sides(
    trees: Mapping[str, "Tree"],
    works: Sequence["Work"],
    models: "Models",
    sounds: Mapping[str, "Sound"],
    same_openmp: bool,
    folder: Path,
) -> Iterator[list["Doer"]]:
    """All of them, loaded and frozen, for the length of the block. Raises StartError."""
    from scripts.benchmarks.media_sides import Called, Doer, Library, Served, library, server_side
    from scripts.benchmarks.media_works import BATCHED, DIRECT
    from scripts.benchmarks.processes import serving
    from server.engines.openmp import LONG_SPINCOUNT, SPINCOUNT

    sides: list[Doer] = []
    with ExitStack() as stack:
        for name, tree in trees.items():
            server = stack.enter_context(serving(server_side(tree, name, models, folder), folder))
            console.print(f"{name} ({tree.revision}) was ready after {server.start_seconds:.1f} s", highlight=False)
            served = Served(name, server, models, sounds)
            stack.callback(served.close)
            served.freeze()
            sides.append(served)
        settings = models.settings()

        def variables(kind: str) -> Mapping[str, str]:
            return {"GOMP_SPINCOUNT": LONG_SPINCOUNT if kind == "pictures" else SPINCOUNT} if same_openmp else {}

        libraries: dict[str, Library] = {
            kind: stack.enter_context(library(kind, settings[kind], variables(kind)))
            for kind in sorted({work.kind for work in works})
        }
        for way in (DIRECT, BATCHED):
            called = Called(way, libraries, models, sounds)
            called.freeze()
            sides.append(called)
        yield sides


def _undisturbed(side: "Doer", work: "Work", patience: float) -> tuple["Done", float]:
    """What the side did, and the share of the machine that others took; done again where that was too much."""
    from scripts.benchmarks.compare import TRIES
    from scripts.benchmarks.load import DISTURBED, wait_for_quiet
    from scripts.benchmarks.media_sides import several

    for _ in range(TRIES):
        with _alone(side), _Watch(side) as watch:
            done = several(side, work)
        if watch.others <= DISTURBED:
            break
        wait_for_quiet([psutil.Process()], patience)
    return done, watch.others


class _Watch:
    """Who else uses the machine for the length of a block: `others`, a share of its processor time, 0–1."""

    others = 0.0

    def __init__(self, side: "Doer") -> None:
        self._side = side

    def __enter__(self) -> "_Watch":
        from scripts.benchmarks.load import busy_seconds

        self._begun, self._busy, self._used = time.monotonic(), busy_seconds(), self._ours()
        return self

    def __exit__(self, *_: object) -> None:
        from scripts.benchmarks.load import busy_seconds

        seconds = time.monotonic() - self._begun
        taken = busy_seconds() - self._busy - (self._ours() - self._used)
        self.others = max(0.0, taken / (seconds * (psutil.cpu_count() or 1)))

    def _ours(self) -> float:
        from scripts.benchmarks.processes import processor_seconds

        return self._side.processor_seconds() + processor_seconds(psutil.Process())


@contextmanager
def _alone(side: "Doer") -> Iterator[None]:
    side.thaw()
    try:
        yield
    finally:
        side.freeze()


def _wrong(work: "Work", done: "Done", sounds: Mapping[str, "Sound"]) -> float | None:
    """The word error rate over all that was heard; None where nothing was to be heard."""
    from server.english.word_errors.rate import word_error_rate

    if not done.heard:
        return None
    said = " ".join(sounds[ask["sound"]].text for ask in work.asks)
    return word_error_rate(said, " ".join(done.heard))
