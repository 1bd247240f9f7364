"""A shelf to put documents on: what store and ingestion do, in a line."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, insert, inspect, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.knowledge.calls import Vectors
from server.knowledge.records import Chunk, Dataset, Permission, SearchTerms
from server.knowledge.search.index import Found, Index
from server.knowledge.tables import AssignmentRow, ChunkRow, DatasetRow, DocumentRow
from server.storage.database import Database

NOW = datetime(2026, 11, 26, tzinfo=UTC)
DIMENSIONS = 16


def unit(*values: float) -> NDArray[np.float32]:
    """A row of length 1 that begins with these."""
    row = np.zeros(DIMENSIONS, np.float32)
    row[: len(values)] = values
    return row / np.linalg.norm(row)


def somewhere(rows: int, seed: int = 0) -> Vectors:
    """Random rows of length 1, as float16 has them."""
    made = np.random.default_rng(seed).standard_normal((rows, DIMENSIONS)).astype(np.float32)
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


@dataclass
class Shelf:
    database: Database
    index: Index
    counter: "count[int]" = field(default_factory=lambda: count(1))

    @classmethod
    async def open(cls, database: Database, index: Index) -> "Shelf":
        async with database.write() as session:
            await session.execute(
                text(
                    "INSERT INTO accounts (id, name, metered, created_at) VALUES ('owner', 'owner', :no, :now)"
                ).bindparams(no=False, now=NOW if not database.sqlite else NOW.isoformat(" "))
            )
        return cls(database, index)

    async def dataset(
        self, name: str = "handbook", *, model: str = "mini", terms: SearchTerms | None = None
    ) -> Dataset:
        made = Dataset(uuid4().hex, name, "owner", 1, Permission.OWNER, NOW, model=model, dimensions=DIMENSIONS)
        async with self.database.write() as session:
            await session.execute(
                insert(DatasetRow).values(id=made.id, owner_id="owner", name=name, model=model, created_at=NOW)
            )
            await self.index.create(session, await self.number(made, session))
        return replace(made, terms=terms or SearchTerms(), chunks=1)

    async def let_in(self, dataset: Dataset, account_id: str) -> None:
        """Make an account, and let it read the dataset."""
        async with self.database.write() as session:
            await session.execute(
                text("INSERT INTO accounts (id, name, metered, created_at) VALUES (:id, :id, :no, :now)").bindparams(
                    id=account_id, no=False, now=NOW if not self.database.sqlite else NOW.isoformat(" ")
                )
            )
            number = await self.number(dataset, session)
            await session.execute(
                insert(AssignmentRow).values(dataset_number=number, account_id=account_id, permission="read")
            )

    async def let_out(self, dataset: Dataset) -> None:
        """Whoever was let in."""
        async with self.database.write() as session:
            number = await self.number(dataset, session)
            await session.execute(delete(AssignmentRow).where(AssignmentRow.dataset_number == number))

    async def number(self, dataset: Dataset, session: AsyncSession) -> int:
        return await session.scalar(select(DatasetRow.number).where(DatasetRow.id == dataset.id))

    async def add(
        self,
        dataset: Dataset,
        texts: Sequence[str | Chunk],
        vectors: Vectors | None = None,
        *,
        ready: bool = True,
        filename: str = "a.txt",
    ) -> int:
        """A document of these chunks; its number."""
        if vectors is None:
            vectors = somewhere(len(texts), next(self.counter))
        chunks = [each if isinstance(each, Chunk) else Chunk(at, each) for at, each in enumerate(texts)]
        async with self.database.write() as session:
            number = await self.number(dataset, session)
            document = uuid4().hex
            await session.execute(
                insert(DocumentRow).values(
                    id=document,
                    dataset_number=number,
                    account_id="owner",
                    filename=filename,
                    context=f"about {filename}",
                    size=1,
                    state="embedding",
                    created_at=NOW,
                    updated_at=NOW,
                )
            )
            made = await session.scalar(select(DocumentRow.number).where(DocumentRow.id == document))
            await self.index.add(session, number, made, chunks, vectors)
        if ready:
            await self.publish(dataset, made)
        return made

    async def publish(self, dataset: Dataset, document: int) -> None:
        async with self.database.write() as session:
            await session.execute(update(DocumentRow).where(DocumentRow.number == document).values(state="ready"))
            await session.execute(
                update(DatasetRow).where(DatasetRow.id == dataset.id).values(revision=DatasetRow.revision + 1)
            )

    async def remove(self, dataset: Dataset, document: int) -> None:
        async with self.database.write() as session:
            assert await self.index.remove(session, await self.number(dataset, session), document, 10_000)
            await session.execute(delete(DocumentRow).where(DocumentRow.number == document))

    async def drop(self, dataset: Dataset) -> None:
        async with self.database.write() as session:
            number = await self.number(dataset, session)
            assert await self.index.drop(session, number, 10_000)
            await session.execute(delete(DatasetRow).where(DatasetRow.number == number))

    async def texts(self, found: Sequence[Found]) -> list[str]:
        """What was found, in that order."""
        async with self.database.read() as session:
            rows = dict((await session.execute(select(ChunkRow.number, ChunkRow.text))).all())
        return [rows[one.number] for one in found]

    async def by_words(self, dataset: Dataset, query: str, limit: int = 10) -> list[str]:
        return await self.texts(await self.index.keyword(dataset, query, limit))

    async def by_vector(self, dataset: Dataset, vector: Vectors, limit: int = 10) -> list[str]:
        return await self.texts(await self.index.dense(dataset, vector.reshape(1, -1), limit))

    async def tables(self) -> list[str]:
        """Those that datasets have of their own."""
        async with self.database.read() as session:
            connection = await session.connection()
            names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        return sorted(name for name in names if name.startswith("chunk_"))

    async def tables_of(self, dataset: Dataset) -> list[str]:
        async with self.database.read() as session:
            number = await self.number(dataset, session)
        return [name for name in await self.tables() if f"_{number}" in name]
