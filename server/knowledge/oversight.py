"""What an operator sees and does of everybody's datasets. Each act stands in the audit log, looking into one too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import Caller
from server.errors import DatasetNotFound, NotFound
from server.knowledge.access import ACCOUNTS, Known, find_by_id
from server.knowledge.acts import Also, note
from server.knowledge.datasets import hide as hide_dataset
from server.knowledge.documents import document_of, page_of
from server.knowledge.documents import hide as hide_document
from server.knowledge.ingestion import Ingestion
from server.knowledge.records import Dataset, Document, DocumentState, Passage, Permission, SearchTerms
from server.knowledge.removal import DELETED, Removal
from server.knowledge.search.retrieval import Retrieval
from server.knowledge.tables import AssignmentRow, DatasetRow, DocumentRow
from server.storage.clock import utc_now
from server.storage.columns import storable
from server.storage.database import Database


@dataclass(frozen=True, slots=True)
class Overseen:
    """A dataset as its owner has it. states: how many documents there are in each; shared_with: accounts."""

    dataset: Dataset
    owner_name: str
    states: Mapping[DocumentState, int]
    shared_with: int


class Oversight:
    """By ids, whoever the owner is. actor: the key that acts. Raises DatasetNotFound, and NotFound for a document.

    What an operator does costs nobody anything: search is by words alone, and a document that is begun again is paid by
    whoever added it.
    """

    def __init__(
        self,
        database: Database,
        ingestion: Ingestion,
        retrieval: Retrieval,
        removal: Removal,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._ingestion = ingestion
        self._retrieval = retrieval
        self._removal = removal
        self._now = now

    async def datasets(self, account_id: str | None = None) -> Sequence[Overseen]:
        """All of them, or one account's, by owner and name."""
        query = _datasets()
        if account_id is not None:
            query = query.where(DatasetRow.owner_id == account_id)
        async with self._database.read() as session:
            return await self._overseen(session, query)

    async def dataset(self, dataset_id: str) -> Overseen:
        async with self._database.read() as session:
            wanted = dataset_id if storable(dataset_id) else ""
            for one in await self._overseen(session, _datasets().where(DatasetRow.id == wanted)):
                return one
        raise DatasetNotFound.named(dataset_id)

    async def documents(
        self, dataset_id: str, limit: int, before: str | None = None, state: DocumentState | None = None
    ) -> Sequence[Document]:
        """See `Documents.page`."""
        owner = await self._owner(dataset_id)
        async with self._database.read() as session:
            known = await find_by_id(session, owner, dataset_id)
            return await page_of(session, known.number, dataset_id, limit, before, state)

    async def search(self, dataset_id: str, query: str, limit: int, *, actor: str) -> Sequence[Passage]:
        """The passages that have the query's words, best first."""
        owner = await self._owner(dataset_id)
        async with self._database.write() as session:
            dataset = (await find_by_id(session, owner, dataset_id)).dataset
            await note(session, self._now(), actor, "dataset.search", dataset_id, {"query": query})
        by_words = replace(dataset, terms=SearchTerms("keyword"))
        return await self._retrieval.search(owner, query, [by_words], limit)

    async def delete(self, dataset_id: str, *, actor: str) -> None:
        """See `Datasets.delete`."""
        owner = await self._owner(dataset_id)
        async with self._database.write() as session:
            known = await find_by_id(session, owner, dataset_id, Permission.OWNER)
            await hide_dataset(session, known, self._now())
            await note(session, self._now(), actor, "dataset.delete", dataset_id, _facts(known))
        self._removal.call()

    async def delete_document(self, document_id: str, *, actor: str) -> None:
        """See `Documents.remove`."""
        async with self._database.write() as session:
            document = await _document(session, document_id)
            await hide_document(session, document.dataset_id, document_id, self._now())
            await self._noted("document.delete", document, actor)(session)
        self._removal.call()

    async def retry(self, document_id: str, *, actor: str) -> Document:
        """See `Ingestion.retry`. Raises Conflict."""
        document = await self._looked_at(document_id)
        return await self._ingestion.begin_again(document_id, None, self._noted("document.retry", document, actor))

    async def cancel(self, document_id: str, *, actor: str) -> Document:
        """See `Ingestion.cancel`."""
        document = await self._looked_at(document_id)
        return await self._ingestion.break_off(document_id, self._noted("document.cancel", document, actor))

    async def _owner(self, dataset_id: str) -> Caller:
        """In whose place the operator looks."""
        return Caller(key_id="", account_id=(await self.dataset(dataset_id)).dataset.owner_id)

    async def _looked_at(self, document_id: str) -> Document:
        async with self._database.read() as session:
            return await _document(session, document_id)

    def _noted(self, action: str, document: Document, actor: str) -> Also:
        details = {"dataset": document.dataset_id, "filename": document.filename}

        async def write(session: AsyncSession) -> None:
            await note(session, self._now(), actor, action, document.id, details)

        return write

    async def _overseen(
        self, session: AsyncSession, query: Select[DatasetRow, int | None, str, int]
    ) -> Sequence[Overseen]:
        rows = (await session.execute(query)).all()
        counted: dict[int, dict[DocumentState, tuple[int, int]]] = {}
        states = (
            select(DocumentRow.dataset_number, DocumentRow.state, func.count(), func.sum(DocumentRow.chunks))
            .where(DocumentRow.state != DELETED)
            .group_by(DocumentRow.dataset_number, DocumentRow.state)
        )
        if len(rows) == 1:
            states = states.where(DocumentRow.dataset_number == rows[0][0].number)
        for number, state, count, chunks in await session.execute(states):
            counted.setdefault(number, {})[DocumentState(state)] = (count, int(chunks))
        return [
            Overseen(
                _dataset(row, owner_number, counted.get(row.number, {})),
                owner_name,
                {state: count for state, (count, _) in counted.get(row.number, {}).items()},
                shared_with,
            )
            for row, owner_number, owner_name, shared_with in rows
        ]


async def _document(session: AsyncSession, document_id: str) -> Document:
    """Raises NotFound."""
    query = (
        select(DocumentRow, DatasetRow.id)
        .join(DatasetRow, DatasetRow.number == DocumentRow.dataset_number)
        .where(DocumentRow.id == document_id, DocumentRow.state != DELETED, DatasetRow.deleted_at.is_(None))
    )
    row = (await session.execute(query)).first() if storable(document_id) else None
    if row is None:
        raise NotFound(f"There is no document `{document_id[:64]}`.", param="document")
    return document_of(row[0], row[1])


def _datasets() -> Select[DatasetRow, int | None, str, int]:
    shared = (
        select(func.count()).select_from(AssignmentRow).where(AssignmentRow.dataset_number == DatasetRow.number)
    ).scalar_subquery()
    return (
        select(DatasetRow, ACCOUNTS.c.number, ACCOUNTS.c.name, shared)
        .join(ACCOUNTS, ACCOUNTS.c.id == DatasetRow.owner_id)
        .where(DatasetRow.deleted_at.is_(None))
        .order_by(ACCOUNTS.c.name, DatasetRow.name, DatasetRow.number)
        .execution_options(populate_existing=True)
    )


def _dataset(row: DatasetRow, owner_number: int | None, counted: Mapping[DocumentState, tuple[int, int]]) -> Dataset:
    documents, chunks = counted.get(DocumentState.READY, (0, 0))
    return Dataset(
        id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        owner_number=owner_number or 0,
        permission=Permission.OWNER,
        created_at=row.created_at,
        classification=row.classification,
        model=row.model,
        dimensions=row.dimensions,
        terms=SearchTerms(row.fusion, row.keyword_weight, row.dense_weight, row.rerank),  # type: ignore[arg-type]
        documents=documents,
        chunks=chunks,
    )


def _facts(known: Known) -> Mapping[str, Any]:
    dataset = known.dataset
    return {
        "name": dataset.name,
        "owner": dataset.owner_id,
        "documents": dataset.documents,
        "chunks": dataset.chunks,
    }
