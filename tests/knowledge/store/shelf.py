"""Datasets in a real database, documents in them that nobody had to ingest, and what is left of all that."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from sqlalchemy import insert, select, text

from server.core import Caller
from server.knowledge.datasets import Datasets
from server.knowledge.documents import Documents
from server.knowledge.records import Chunk, DocumentState
from server.knowledge.removal import Removal
from server.knowledge.search.index import Index
from server.knowledge.tables import DatasetRow, DocumentRow
from server.storage.clock import utc_now
from server.storage.database import Database

numbers = count(1)


@dataclass
class Shelf:
    database: Database
    index: Index
    spool: Path
    removal: Removal
    datasets: Datasets
    documents: Documents
    tables_begin: tuple[str, ...] = ("words_",)
    vector = np.array([[0.5, 0.5, 0.5, 0.5]], np.float32)
    """Of every chunk."""

    async def put(
        self,
        caller: Caller,
        name: str,
        filename: str,
        texts: Sequence[str] = ("a text",),
        state: DocumentState = DocumentState.READY,
    ) -> str:
        """A document in the dataset that `caller` calls `name`, and what waits of it in the spool; its id."""
        dataset = await self.datasets.find(caller, name)
        document_id = f"doc_{next(numbers)}"
        now = utc_now()
        async with self.database.write() as session:
            number = await session.scalar(select(DatasetRow.number).where(DatasetRow.id == dataset.id))
            assert number is not None
            document = await session.scalar(
                insert(DocumentRow)
                .values(
                    id=document_id,
                    dataset_number=number,
                    account_id=caller.account_id,
                    filename=filename,
                    size=sum(map(len, texts)),
                    state=state.value,
                    chunks=len(texts) if state is DocumentState.READY else 0,
                    created_at=now,
                    updated_at=now,
                )
                .returning(DocumentRow.number)
            )
            assert document is not None
            chunks = [Chunk(place, words, start=0, end=len(words)) for place, words in enumerate(texts)]
            await self.index.add(session, number, document, chunks, np.repeat(self.vector, len(texts), axis=0))
        if not state.ended:
            self.spool.mkdir(parents=True, exist_ok=True)
            (self.spool / document_id).write_text(" ".join(texts))
        return document_id

    async def rows(self, table: str) -> int:
        async with self.database.read() as session:
            return await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0

    async def tables(self) -> set[str]:
        """Those that single datasets have."""
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            if self.database.sqlite
            else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        async with self.database.read() as session:
            return {name for name in await session.scalars(text(query)) if name.startswith(self.tables_begin)}

    async def left(self) -> dict[str, int]:
        """What there is of datasets, all of them together."""
        rows = {name: await self.rows(name) for name in ("datasets", "dataset_assignments", "documents", "chunks")}
        files = len(list(self.spool.iterdir())) if self.spool.is_dir() else 0
        return {
            name: number
            for name, number in {**rows, "tables": len(await self.tables()), "files": files}.items()
            if number
        }
