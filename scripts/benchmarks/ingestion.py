"""From added to found with the real embedding model: documents, chunks and bytes a second, by the kind of file."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from server.core import Caller
    from server.knowledge.knowledge import Knowledge
    from server.settings import Settings

console = Console()
STEPS = ("read", "chunk", "embed", "store", "publish")


@dataclass(frozen=True, slots=True)
class Row:
    """Of one kind: `documents` files of `size` bytes in all. steps: seconds of each, of all documents together."""

    kind: str
    documents: int
    size: int
    chunks: int
    tokens: int
    seconds: float
    steps: Mapping[str, float]


def ingestion(
    paragraphs: Annotated[int, typer.Option(min=20, help="Paragraphs of 36 words, or rows, of each file.")] = 1000,
    notes: Annotated[int, typer.Option(min=1, help="Small files, of one paragraph each.")] = 40,
    models_dir: Annotated[Path, typer.Option(help="Folder of the models' weights.")] = Path("models"),
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON.", dir_okay=False)] = Path(
        "data/bench/ingestion.json"
    ),
) -> None:
    """How fast files of each kind are taken into a dataset, on SQLite, by the embedding model that is installed."""
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.report import keep
    from server.settings import Settings

    with scratch() as folder:
        settings = Settings(data_dir=folder / "data", models_dir=models_dir.resolve())
        model, rows = asyncio.run(measured(settings, paragraphs, notes))
    table = Table("kind", "files", "bytes", "chunks", "files/s", "chunks/s", "tokens/s", "MB/s", *STEPS)
    for row in rows:
        rates = (row.documents, row.chunks, row.tokens, row.size / 1e6)
        shown = [f"{amount / row.seconds:.2f}" for amount in rates]
        steps = [f"{row.steps.get(step, 0.0):.2f} s" for step in STEPS]
        table.add_row(row.kind, str(row.documents), f"{row.size:,}", str(row.chunks), *shown, *steps)
    console.print(f"{model}, {paragraphs} paragraphs a file")
    console.print(table)
    keep(output, "ingestion", {"model": model, "paragraphs": paragraphs, "rows": [asdict(row) for row in rows]})
    console.print(f"figures in {output}")


async def measured(settings: "Settings", paragraphs: int, notes: int) -> tuple[str, list[Row]]:
    """The embedding model's name, and a row for each kind; the small files last."""
    from scripts.benchmarks.parsing import PARAGRAPH, documents
    from server.accounts.administration import Administration
    from server.core import Caller
    from server.knowledge.calls import LOCAL
    from server.services import knowledge_alone

    async with Administration.open(settings) as administration:
        account, _ = await administration.create_account("bench", metered=False)
        caller = Caller(key_id=LOCAL, account_id=account.id)
        async with knowledge_alone(settings, administration.accounts) as knowledge:
            await knowledge.datasets.create(caller, "bench")
            await _taken(knowledge, caller, "warm", [("warm.txt", PARAGRAPH.encode())])  # the model is loaded by it
            rows = [
                await _taken(knowledge, caller, name.partition(".")[2], [(name, data)])
                for name, data in documents(paragraphs)
            ]
            small = [(f"note-{number}.txt", f"Note {number}. {PARAGRAPH}".encode()) for number in range(notes)]
            rows.append(await _taken(knowledge, caller, "small txt", small))
            dataset = await knowledge.datasets.find(caller, "bench")
    return dataset.model or "", rows


async def _taken(knowledge: "Knowledge", caller: "Caller", kind: str, files: list[tuple[str, bytes]]) -> Row:
    """Add them all, and wait until the last can be found."""
    before, begun = dict(_steps(knowledge)), time.perf_counter()
    added = [await knowledge.ingestion.add(caller, "bench", name, data) for name, data in files]
    chunks = tokens = 0
    for one in added:
        ended = [document async for document in knowledge.ingestion.follow(one.id)][-1]
        if ended.error is not None:
            raise RuntimeError(f"{ended.filename}: {ended.error}")
        chunks, tokens = chunks + ended.chunks, tokens + ended.tokens
    seconds = time.perf_counter() - begun
    steps = {step: total - before.get(step, 0.0) for step, total in _steps(knowledge)}
    return Row(kind, len(files), sum(len(data) for _, data in files), chunks, tokens, seconds, steps)


def _steps(knowledge: "Knowledge") -> Iterator[tuple[str, float]]:
    """Seconds that each step has taken so far."""
    for metric in knowledge.ingestion.tools.counts.collect():
        for sample in metric.samples:
            if sample.name == "sagehold_ingestion_seconds_sum":
                yield sample.labels["step"], sample.value
