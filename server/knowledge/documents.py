"""The documents of datasets, and where their ingestion stands."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import Caller
from server.errors import DatasetNotFound, NotFound
from server.knowledge.access import accessible, find, find_by_id, readable_by
from server.knowledge.records import Chunk, Dataset, Document, DocumentState, Permission
from server.knowledge.removal import DELETED, Removal
from server.knowledge.tables import ChunkRow, DatasetRow, DocumentRow
from server.storage.clock import utc_now
from server.storage.columns import storable
from server.storage.database import Database

PAGE = 500
"""Documents of a list that are read in one go."""


class Documents:
    """Looks at documents, and takes them out. Raises what `Datasets.find` does."""

    def __init__(self, database: Database, removal: Removal, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._removal = removal
        self._now = now

    async def list(self, caller: Caller, dataset: str | None = None) -> Sequence[tuple[str, Document]]:
        """Each with its dataset's full name, newest first; None is all that the caller may read."""
        async with aclosing(self.pages(caller, dataset)) as pages:
            return [one async for page in pages for one in page]

    async def pages(
        self, caller: Caller, dataset: str | None = None
    ) -> AsyncGenerator[Sequence[tuple[str, Document]], None]:
        """The same, PAGE at a time: there may be a hundred thousand, and others have their turn between two."""
        async with self._database.read() as session:
            if dataset is None:
                known = await accessible(session, caller)
            else:
                known = [await find(session, caller, dataset)]
            datasets = {one.number: one.dataset for one in known}
            query = (
                select(*DocumentRow.__table__.c)
                .where(DocumentRow.dataset_number.in_(datasets), DocumentRow.state != DELETED)
                .order_by(DocumentRow.created_at.desc(), DocumentRow.number.desc())
            )
            rows = await session.stream(query.execution_options(yield_per=PAGE))
            async for page in rows.partitions():
                yield [
                    (datasets[row.dataset_number].full_name, document_of(row, datasets[row.dataset_number].id))
                    for row in page
                ]

    async def page(
        self,
        caller: Caller,
        dataset_id: str,
        limit: int,
        before: str | None = None,
        state: DocumentState | None = None,
    ) -> Sequence[Document]:
        """Of one dataset, by its id: at most `limit`, the newest first; those older than the document `before`, and in
        one state only, where these are given."""
        async with self._database.read() as session:
            known = await find_by_id(session, caller, dataset_id)
            return await page_of(session, known.number, dataset_id, limit, before, state)

    async def passages(
        self, caller: Caller, document_id: str, start: int, limit: int
    ) -> tuple[Document, Sequence[Chunk]]:
        """The document, and its chunks from the place `start` on, at most `limit`; none before it is ready.

        Raises NotFound.
        """
        query = (
            select(ChunkRow)
            .join(DocumentRow, DocumentRow.number == ChunkRow.document_number)
            .where(DocumentRow.id == document_id, DocumentRow.state == DocumentState.READY, ChunkRow.place >= start)
            .order_by(ChunkRow.place)
            .limit(limit)
        )
        async with self._database.read() as session:
            _, document = await find_document(session, caller, document_id)
            rows = await session.scalars(query)
            return document, [Chunk(row.place, row.text, row.heading, row.page, row.start, row.end) for row in rows]

    async def find(self, caller: Caller, document_id: str, need: Permission = Permission.READ) -> Document:
        """Raises NotFound, for somebody else's too; PermissionDenied."""
        async with self._database.read() as session:
            return (await find_document(session, caller, document_id, need))[1]

    async def delete(self, caller: Caller, dataset: str, filename: str) -> int:
        """All documents of that name, those under way too. How many there were; raises NotFound for none.

        When this returns, nobody finds them any more; `Removal` deletes what there is of them.
        """
        async with self._database.write() as session:
            known = await find(session, caller, dataset, Permission.EDIT)
            await changed(session, known.number)  # its row first: ingestion takes them in this order too
            count = 0
            if storable(filename):
                hidden = await session.scalars(
                    update(DocumentRow)
                    .where(
                        DocumentRow.dataset_number == known.number,
                        DocumentRow.filename == filename,
                        DocumentRow.state != DELETED,
                    )
                    .values(state=DELETED, updated_at=self._now())
                    .returning(DocumentRow.number)
                    .execution_options(synchronize_session=False)
                )
                count = len(hidden.all())
            if not count:
                raise NotFound(f"There is no document `{filename[:255]}` in that dataset.", param="filename")
        self._removal.call()
        return count

    async def remove(self, caller: Caller, document_id: str) -> None:
        """One document, by its id; one under way too. Raises NotFound, PermissionDenied."""
        async with self._database.write() as session:
            dataset, document = await find_document(session, caller, document_id, Permission.EDIT)
            await hide(session, dataset.id, document.id, self._now())
        self._removal.call()


async def find_document(
    session: AsyncSession, caller: Caller, document_id: str, need: Permission = Permission.READ
) -> tuple[Dataset, Document]:
    """Raises NotFound where there is none or the caller may not know of it; PermissionDenied."""
    # What the caller may not read is left out by the statement: the work is the same as for what is not there.
    query = (
        select(DocumentRow, DatasetRow.id)
        .join(DatasetRow, DatasetRow.number == DocumentRow.dataset_number)
        .where(
            DocumentRow.id == (document_id if storable(document_id) else ""),
            DocumentRow.state != DELETED,
            DatasetRow.deleted_at.is_(None),
            readable_by(caller.account_id),
        )
        .execution_options(populate_existing=True)
    )
    found = (await session.execute(query)).first()
    if found is not None:
        row, dataset_id = found
        with suppress(DatasetNotFound):  # deleted, or not the caller's to read any more, since the statement before
            known = await find_by_id(session, caller, dataset_id, need)
            return known.dataset, document_of(row, dataset_id)
    raise NotFound(f"There is no document `{document_id[:64]}`.", param="document")


async def page_of(
    session: AsyncSession,
    dataset_number: int,
    dataset_id: str,
    limit: int,
    before: str | None = None,
    state: DocumentState | None = None,
) -> Sequence[Document]:
    """See `Documents.page`. Raises NotFound for a `before` that is not of the dataset any more."""
    query = select(DocumentRow).where(DocumentRow.dataset_number == dataset_number, DocumentRow.state != DELETED)
    if before is not None:
        last = select(DocumentRow.number).where(DocumentRow.dataset_number == dataset_number)
        number = await session.scalar(last.where(DocumentRow.id == before)) if storable(before) else None
        if number is None:
            raise NotFound("There is no such document in that dataset: begin with the newest ones.", param="before")
        query = query.where(DocumentRow.number < number)
    if state is not None:
        query = query.where(DocumentRow.state == state)
    rows = await session.scalars(query.order_by(DocumentRow.number.desc()).limit(limit))
    return [document_of(row, dataset_id) for row in rows]


async def hide(session: AsyncSession, dataset_id: str, document_id: str, now: datetime) -> None:
    """From this unit of work on nobody finds the document."""
    # The dataset's row first: ingestion takes them in this order too.
    await session.execute(
        update(DatasetRow).where(DatasetRow.id == dataset_id).values(revision=DatasetRow.revision + 1)
    )
    await session.execute(
        update(DocumentRow)
        .where(DocumentRow.id == document_id, DocumentRow.state != DELETED)
        .values(state=DELETED, updated_at=now)
    )


async def changed(session: AsyncSession, dataset_number: int) -> None:
    """What can be found in a dataset changes with this unit of work: what others keep of it in memory is old."""
    await session.execute(
        update(DatasetRow).where(DatasetRow.number == dataset_number).values(revision=DatasetRow.revision + 1)
    )


def document_of(row: DocumentRow | Row[Any], dataset_id: str) -> Document:
    """row: or its columns alone."""
    return Document(
        id=row.id,
        dataset_id=dataset_id,
        filename=row.filename,
        state=DocumentState(row.state),
        size=row.size,
        created_at=row.created_at,
        updated_at=row.updated_at,
        context=row.context,
        done=row.done,
        total=row.total,
        chunks=row.chunks,
        tokens=row.tokens,
        attempts=row.attempts,
        error=row.error,
    )
