"""Search in generated datasets of several sizes, on SQLite and on PostgreSQL: filling, asking, memory, deleting."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import numpy as np
import psutil
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

console = Console()
LIMIT = 50
"""Chunks that each order is asked for, as `Retrieval` does for 12 passages."""
REMOVED = 20_000
NOW = datetime(2026, 11, 26, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """Of one size on one database. Times in milliseconds, but for filled (chunks a second) and built (seconds);
    memory in bytes, of this process. removed, dropped: the longest unit of work, for which others who write wait, and
    all of them: of a document that has half of the chunks, and REMOVED at most, and of the dataset with what is left.
    """

    database: str
    chunks: int
    filled: float
    built: float
    bytes_on_disk: int
    first_dense: float
    keyword: tuple[float, float]
    dense: tuple[float, float]
    both: tuple[float, float]
    parallel: tuple[float, float]
    loop_pause: float
    memory: int
    recall: float
    removed: tuple[float, float]
    dropped: tuple[float, float]


def retrieval(
    sizes: Annotated[str, typer.Option(help="Chunks of the datasets, comma-separated.")] = "10000,100000",
    databases: Annotated[str, typer.Option(help="sqlite, postgresql, or both, comma-separated.")] = "sqlite,postgresql",
    questions: Annotated[int, typer.Option(min=10, help="Questions of each kind.")] = 200,
    memory: Annotated[int, typer.Option(help="SAGEHOLD_VECTOR_MEMORY, in MiB.")] = 512,
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON.", dir_okay=False)] = Path(
        "data/bench/retrieval.json"
    ),
) -> None:
    """How fast datasets are filled and searched, by their size."""
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.report import keep

    rows: list[Row] = []
    with scratch() as folder, ExitStack() as stack:
        for database in databases.split(","):
            url = _postgres(stack) if database == "postgresql" else f"sqlite+aiosqlite:///{folder / 'search.db'}"
            for size in sorted(map(int, sizes.split(","))):
                rows.append(asyncio.run(_measure(database, url, size, questions, memory * 2**20)))
                _show(rows)
    keep(output, "retrieval", {"rows": [asdict(row) for row in rows], "limit": LIMIT, "questions": questions})
    console.print(f"figures in {output}")


def _postgres(stack: ExitStack) -> str:
    from tests.postgres import serving

    return stack.enter_context(serving()).create("search")


async def _measure(kind: str, url: str, size: int, questions: int, memory: int) -> Row:
    from scripts.benchmarks.retrieval_texts import Language
    from server.knowledge.removal import PIECE
    from server.knowledge.search.retrieval import index_for
    from server.settings import Settings
    from server.storage.database import Database

    language = Language()
    database = Database(url)
    await database.migrate()
    index = index_for(database, Settings(vector_memory=memory))
    await index.prepare()
    dataset, number = await _dataset(database, index, size)
    filled, spent = size, 0.0
    vectors = np.empty((size, 384), np.float16)
    at, document = 0, 0
    for made in language.documents(size):
        vectors[at : at + len(made.chunks)] = made.vectors
        at += len(made.chunks)
        begun = time.perf_counter()
        document = await _add(database, index, number, made.chunks, made.vectors)
        spent += time.perf_counter() - begun
    built = await _built(database)
    before = psutil.Process().memory_info().rss
    asked = [language.question() for _ in range(questions)]
    begun = time.perf_counter()
    await index.dense(dataset, asked[0][1], LIMIT)
    first = 1000 * (time.perf_counter() - begun)
    for query, vector in asked[:5]:
        await index.keyword(dataset, query, LIMIT)
        await index.dense(dataset, vector, LIMIT)

    async def both(query: str, vector: NDArray[np.float32]) -> None:
        await asyncio.gather(index.keyword(dataset, query, LIMIT), index.dense(dataset, vector, LIMIT))

    keyword, dense, together = [], [], []
    for query, vector in asked:
        keyword.append(await _timed(lambda query=query: index.keyword(dataset, query, LIMIT)))  # type: ignore[misc]
        dense.append(await _timed(lambda vector=vector: index.dense(dataset, vector, LIMIT)))  # type: ignore[misc]
        together.append(await _timed(lambda query=query, vector=vector: both(query, vector)))  # type: ignore[misc]
    parallel: list[float] = []
    pauses: list[float] = []
    watching = asyncio.ensure_future(_watch(pauses))
    for begin in range(0, questions, 8):
        parallel.extend(
            await asyncio.gather(*(_timed(lambda one=one: both(*one)) for one in asked[begin : begin + 8]))  # type: ignore[misc]
        )
    watching.cancel()
    used = psutil.Process().memory_info().rss - before
    recall = await _recall(database, index, dataset, asked[:100], vectors)
    bytes_on_disk = await _bytes(database)
    await _in_unit(database, lambda session: _one_document(session, database.sqlite, number, document, size // 2))
    removed = await _pieces(database, lambda session: index.remove(session, number, document, PIECE))
    tidied = await _pieces(database, lambda session: index.tidy(session, number))
    removed = (max(removed[0], tidied[0]), removed[1] + tidied[1])
    dropped = await _pieces(database, lambda session: index.drop(session, number, PIECE))
    await _in_unit(database, lambda session: _forget(session, number))
    await index.aclose()
    await database.aclose()
    return Row(
        kind,
        size,
        filled / spent,
        built,
        bytes_on_disk,
        first,
        _percentiles(keyword),
        _percentiles(dense),
        _percentiles(together),
        _percentiles(parallel),
        1000 * max(pauses, default=0.0),
        used,
        recall,
        removed,
        dropped,
    )


async def _built(database: Any) -> float:
    """Seconds that PostgreSQL's approximate index takes; 0 where the size needs none."""
    from server.knowledge.search.hnsw import Builder

    begun = time.perf_counter()
    if database.sqlite or not await Builder(database).build():
        return 0.0
    return time.perf_counter() - begun


async def _timed(work: Callable[[], Coroutine[Any, Any, Any]]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    await work()
    return 1000 * (time.perf_counter() - begun)


async def _watch(pauses: list[float]) -> None:
    """How late the event loop is, again and again."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(0.002)
        pauses.append(time.perf_counter() - begun - 0.002)


async def _in_unit(database: Any, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    async with database.write() as session:
        return await work(session)


async def _pieces(database: Any, work: Callable[[Any], Coroutine[Any, Any, bool]]) -> tuple[float, float]:
    """The longest of the units of work in which something is removed, and all of them."""
    longest, whole, done = 0.0, 0.0, False
    while not done:
        begun = time.perf_counter()
        done = await _in_unit(database, work)
        spent = 1000 * (time.perf_counter() - begun)
        longest, whole = max(longest, spent), whole + spent
    return longest, whole


async def _one_document(session: Any, sqlite: bool, number: int, document: int, chunks: int) -> None:
    """Make so many chunks of the dataset one document's, and REMOVED at most."""
    from sqlalchemy import text

    values = {"number": number, "document": document, "chunks": min(chunks, REMOVED)}
    first = "(SELECT min(number) FROM chunks WHERE dataset_number = :number) + :chunks"
    which = "SET document_number = :document WHERE dataset_number = :number AND"
    await session.execute(text(f"UPDATE chunks {which} number < {first}"), values)
    if sqlite:
        await session.execute(text(f"UPDATE vector_blocks {which} first < {first}"), values)


async def _dataset(database: Any, index: Any, size: int) -> tuple[Any, int]:
    from sqlalchemy import insert, select, text

    from server.knowledge.records import Dataset, Permission
    from server.knowledge.tables import DatasetRow

    made = Dataset(
        uuid4().hex, f"of {size}", "owner", 1, Permission.OWNER, NOW, model="generated", dimensions=384, chunks=1
    )
    async with database.write() as session:
        at = NOW.isoformat(" ") if database.sqlite else NOW
        if not await session.scalar(text("SELECT 1 FROM accounts WHERE id = 'owner'")):
            await session.execute(
                text("INSERT INTO accounts (id, name, metered, created_at) VALUES ('owner', 'owner', :no, :at)"),
                {"no": False, "at": at},
            )
        await session.execute(
            insert(DatasetRow).values(
                id=made.id,
                owner_id="owner",
                name=made.name,
                model="generated",
                dimensions=made.dimensions,
                created_at=NOW,
            )
        )
        number = await session.scalar(select(DatasetRow.number).where(DatasetRow.id == made.id))
        await index.create(session, number)
    return made, number


async def _add(database: Any, index: Any, number: int, chunks: Any, vectors: Any) -> int:
    from sqlalchemy import insert, select, update

    from server.knowledge.tables import DatasetRow, DocumentRow

    name = uuid4().hex
    async with database.write() as session:
        values = {"filename": name, "size": 1, "state": "ready", "created_at": NOW, "updated_at": NOW}
        values["chunks"] = len(chunks)
        await session.execute(insert(DocumentRow).values(id=name, dataset_number=number, account_id="owner", **values))
        document: int = await session.scalar(select(DocumentRow.number).where(DocumentRow.id == name))
        await index.add(session, number, document, chunks, vectors)
        await session.execute(
            update(DatasetRow).where(DatasetRow.number == number).values(revision=DatasetRow.revision + 1)
        )
    return document


async def _forget(session: Any, number: int) -> None:
    from sqlalchemy import delete

    from server.knowledge.tables import DatasetRow

    await session.execute(delete(DatasetRow).where(DatasetRow.number == number))


async def _recall(
    database: Any,
    index: Any,
    dataset: Any,
    asked: Sequence[tuple[str, NDArray[np.float32]]],
    vectors: NDArray[np.float16],
) -> float:
    """The share of the ten nearest, by brute force, that are among the first ten found. Numbers grow with the order."""
    from sqlalchemy import func, select

    from server.knowledge.tables import ChunkRow, DatasetRow

    async with database.read() as session:
        first = await session.scalar(
            select(func.min(ChunkRow.number))
            .join(DatasetRow, DatasetRow.number == ChunkRow.dataset_number)
            .where(DatasetRow.id == dataset.id)
        )
    hits = 0
    for _, vector in asked:
        scores = np.concatenate(
            [part.astype(np.float32) @ vector[0] for part in np.array_split(vectors, max(1, len(vectors) // 50_000))]
        )
        nearest = set((np.argsort(-scores)[:10] + first).tolist())
        hits += len(nearest & {one.number for one in (await index.dense(dataset, vector, LIMIT))[:10]})
    return hits / (10 * len(asked))


async def _bytes(database: Any) -> int:
    from sqlalchemy import text

    async with database.read() as session:
        if database.sqlite:
            pages = await session.scalar(text("PRAGMA page_count"))
            free = await session.scalar(text("PRAGMA freelist_count"))
            return int((pages - free) * await session.scalar(text("PRAGMA page_size")))
        return int(await session.scalar(text("SELECT pg_database_size(current_database())")))


def _percentiles(times: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))


def _show(rows: Sequence[Row]) -> None:
    table = Table(title="Times in ms: median / 99%. In parallel: eight at a time.", title_justify="left")
    for name in (
        "",
        "chunks",
        "added/s",
        "HNSW s",
        "MB",
        "first",
        "words",
        "vectors",
        "both",
        "parallel",
        "loop",
        "RSS",
        "recall",
        "remove",
        "drop",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        pairs = [f"{one:.1f} / {other:.1f}" for one, other in (row.keyword, row.dense, row.both, row.parallel)]
        table.add_row(
            row.database,
            f"{row.chunks:,}",
            f"{row.filled:,.0f}",
            f"{row.built:.0f}",
            f"{row.bytes_on_disk / 1e6:,.0f}",
            f"{row.first_dense:.0f}",
            *pairs,
            f"{row.loop_pause:.0f}",
            f"{row.memory / 1e6:,.0f}",
            f"{row.recall:.3f}",
            f"{row.removed[0]:.0f} of {row.removed[1]:,.0f}",
            f"{row.dropped[0]:.0f} of {row.dropped[1]:,.0f}",
        )
    console.print(table)
