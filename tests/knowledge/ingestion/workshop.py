"""Ingestion over a real database, with an index, a reader and models that a test steers."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select, text

from server.core import Caller
from server.errors import UnreadableDocument
from server.knowledge.calls import Measure, Vectors
from server.knowledge.claims import Claim, Claims, Waiting
from server.knowledge.datasets import Datasets
from server.knowledge.documents import Documents
from server.knowledge.gauges import IngestionCounts
from server.knowledge.ingestion import Ingestion
from server.knowledge.parsing.parsed import Block
from server.knowledge.queue import Queue
from server.knowledge.records import Chunk, Document
from server.knowledge.removal import Removal
from server.knowledge.tables import ChunkRow, DocumentRow
from server.knowledge.work import Work
from server.settings import Settings
from server.storage.database import Database
from server.testing.seats import seat
from tests.knowledge.store.plain_index import PlainIndex

ANNA = Caller(key_id="key_anna", account_id="acct_anna")
BERT = Caller(key_id="key_bert", account_id="acct_bert")


@dataclass
class FakeModels:
    """embed: waits for `gate`, then raises what `failures` has next, if anything."""

    embedding: str | None = "tiny"
    served: set[str] = field(default_factory=lambda: {"tiny"})
    reranking: str | None = None
    transcribes: bool = True
    dimensions: int = 4
    failures: list[BaseException | None] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[Caller, Sequence[str]]] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def installed(self, model: str) -> bool:
        return model in self.served

    async def measure(self, model: str) -> Measure:
        return Measure(16, lambda text: len(text.split()))

    async def embed(
        self, caller: Caller, model: str, texts: Sequence[str], *, background: bool = False, query: bool = False
    ) -> Vectors:
        assert background
        self.begun.set()
        await self.gate.wait()
        self.asked.append((caller, texts))
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        return np.full((len(texts), self.dimensions), 0.5, np.float32)

    async def rerank(self, caller: Caller, query: str, texts: Sequence[str]) -> Sequence[float]:
        raise NotImplementedError

    async def transcribe(self, caller: Caller, sound: bytes, filename: str) -> Sequence[tuple[float, float, str]]:
        return [(0.0, 1.5, "good morning"), (1.5, 2.0, "and good night")]


@dataclass
class FakePayers:
    keys: dict[str, Caller] = field(default_factory=lambda: {one.key_id: one for one in (ANNA, BERT)})

    async def caller(self, key_id: str) -> Caller | None:
        return self.keys.get(key_id)


@dataclass
class FakeReader:
    """A block for each paragraph. A file that has `bad` in it can't be read. Waits for `gate`."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: int = 0
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    async def __call__(
        self,
        path: Path,
        filename: str,
        *,
        timeout: float,
        memory: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> Sequence[Block]:
        self.names.append(filename)
        self.begun.set()
        assert progress is not None
        progress(1, 2)
        try:
            await self.gate.wait()
        finally:
            self.ended += 1
        text = path.read_text()
        if "bad" in text:
            raise UnreadableDocument("It is bad.")
        return [Block(one) for one in text.split("\n\n") if one.strip()]


@dataclass
class Workshop:
    settings: Settings
    database: Database
    models: FakeModels
    payers: FakePayers
    reader: FakeReader
    index: PlainIndex
    removal: Removal
    datasets: Datasets
    documents: Documents
    ingestion: Ingestion
    counts: IngestionCounts

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None, None]:
        """Ingestion in the background, for the length of the block."""
        task = asyncio.create_task(self.ingestion.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def another(self) -> "Workshop":
        """The like in another process, which shares the database and the data folder."""
        return workshop(self.settings, self.database, self.reader)

    async def ended(self, document: Document) -> Document:
        """It, once it has ended."""
        async with asyncio.timeout(20):
            return [document, *[one async for one in self.ingestion.follow(document.id)]][-1]

    async def texts(self, *, ready: bool = True) -> list[str]:
        """Of the chunks that are found, or of all that are stored, in order."""
        query = select(ChunkRow.text).join(DocumentRow, DocumentRow.number == ChunkRow.document_number)
        if ready:
            query = query.where(DocumentRow.state == "ready")
        async with self.database.read() as session:
            return list(await session.scalars(query.order_by(ChunkRow.document_number, ChunkRow.place)))

    async def rows(self, *columns: Any) -> list[Any]:
        """Of all documents, deleted ones too."""
        async with self.database.read() as session:
            return [tuple(row) for row in await session.execute(select(*columns).order_by(DocumentRow.number))]

    async def dataset_rows(self, *columns: Any) -> list[Any]:
        async with self.database.read() as session:
            return [tuple(row) for row in await session.execute(select(*columns))]

    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        """Of /metrics."""
        return [(one.name, one.labels, one.value) for metric in self.counts.collect() for one in metric.samples]

    async def blocked(self, count: int) -> None:
        """Return once so many units of work wait for a lock of PostgreSQL's."""
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(20):
            while True:
                async with self.database.read() as session:
                    if await session.scalar(waiting) == count:
                        return

    @property
    def queue(self) -> Queue:
        return self.ingestion.background.queue

    @property
    def claims(self) -> Claims:
        return self.ingestion.tools.claims

    async def waiting(self) -> Sequence[Waiting]:
        return await self.queue.waiting(await self.ingestion.tools.spool.ids(), ())

    def work(self, claim: Claim) -> Work:
        return Work(claim, self.ingestion.tools)

    async def store(self, claim: Claim, text: str) -> None:
        await self.claims.store(claim, [Chunk(0, text)], np.full((1, 4), 0.5, np.float32), 1)

    async def idle(self) -> None:
        """Return once nothing is under way in this process."""
        async with asyncio.timeout(20):
            while self.ingestion.under_way:
                await asyncio.wait([task for _, task in self.ingestion.under_way.values()])
                await asyncio.sleep(0)

    def files(self) -> list[str]:
        folder = self.settings.data_dir / "documents"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def workshop(settings: Settings, database: Database, reader: FakeReader) -> Workshop:
    """reader: in place of the one that there is, see the fixture `shop`."""
    index, models, payers, counts = PlainIndex(), FakeModels(), FakePayers(), IngestionCounts()
    removal = Removal(database, index, settings.data_dir / "documents")
    datasets, documents = Datasets(database, index, removal), Documents(database, removal)
    ingestion = Ingestion(settings, database, index, datasets, documents, removal, models, payers, counts)
    return Workshop(settings, database, models, payers, reader, index, removal, datasets, documents, ingestion, counts)


async def fill(database: Database) -> None:
    await seat(database, [ANNA, BERT])
