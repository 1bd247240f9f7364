"""What the owners of documents do with their ingestion: hand one in, look at it, end it, have it tried again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import Caller
from server.errors import DatasetNotFound
from server.knowledge.acts import Also, nothing
from server.knowledge.calls import LOCAL, Vectors
from server.knowledge.claims import OPEN, Claims, written
from server.knowledge.documents import document_of
from server.knowledge.records import Dataset, Document, DocumentState
from server.knowledge.removal import DELETED
from server.knowledge.search.index import Index
from server.knowledge.tables import DatasetRow, DocumentRow
from server.storage.clock import utc_now
from server.storage.database import Database


@dataclass(frozen=True, slots=True)
class Kept:
    """waiting: documents of an account that are to be ingested. size: bytes of their files, and of those that failed or
    were cancelled, which may be tried again."""

    waiting: int
    size: int


class Submissions:
    """Their rows only, by id: who may do what is for whoever calls."""

    def __init__(self, database: Database, index: Index, claims: Claims, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._index = index
        self._claims = claims
        self._now = now

    async def kept(self, account_id: str) -> Kept:
        """What is kept of an account's documents that are not ready."""
        async with self._database.read() as session:
            return await _kept(session, account_id)

    async def add(
        self,
        caller: Caller,
        document_id: str,
        dataset: Dataset,
        filename: str,
        context: str,
        size: int,
        check: Callable[[Kept], None] = lambda _: None,
    ) -> None:
        """check: raises where what the account has waiting leaves no room. Raises DatasetNotFound if the dataset was
        deleted meanwhile."""
        now = self._now()
        async with self._database.write() as session:
            check(await _kept(session, caller.account_id))
            # Locked on PostgreSQL, so that it is not deleted between the two.
            query = select(DatasetRow.number).where(DatasetRow.id == dataset.id, DatasetRow.deleted_at.is_(None))
            number = await session.scalar(query.with_for_update(read=True))
            if number is None:
                raise DatasetNotFound.named(dataset.name)
            await session.execute(
                insert(DocumentRow).values(
                    id=document_id,
                    dataset_number=number,
                    account_id=caller.account_id,
                    key_id=None if caller.key_id in (LOCAL, "none") else caller.key_id,
                    filename=filename,
                    context=context,
                    size=size,
                    state=DocumentState.QUEUED,
                    created_at=now,
                    updated_at=now,
                )
            )

    async def look(self, document_id: str) -> Document | None:
        """As it is now; None if it was deleted."""
        query = (
            select(DocumentRow, DatasetRow.id)
            .join(DatasetRow, DatasetRow.number == DocumentRow.dataset_number)
            .where(DocumentRow.id == document_id, DocumentRow.state != DELETED, DatasetRow.deleted_at.is_(None))
        )
        async with self._database.read() as session:
            row = (await session.execute(query)).first()
        return None if row is None else document_of(row[0], row[1])

    async def vectors(self, document_id: str, most: int) -> Vectors:
        """Of the first `most` chunks of a document that is ready; none of another."""
        query = (
            select(DocumentRow.dataset_number, DocumentRow.number)
            .join(DatasetRow, DatasetRow.number == DocumentRow.dataset_number)
            .where(
                DocumentRow.id == document_id,
                DocumentRow.state == DocumentState.READY,
                DatasetRow.deleted_at.is_(None),
            )
        )
        async with self._database.read() as session:
            row = (await session.execute(query)).first()
            return np.empty((0, 0), np.float32) if row is None else await self._index.vectors(session, *row, most)

    async def cancel(self, document_id: str, also: Also = nothing) -> bool:
        """Whether it had not ended. also: is done with it, if so."""
        query = select(DocumentRow.dataset_number, DocumentRow.number).where(DocumentRow.id == document_id)
        async with self._database.write() as session:
            row = (await session.execute(query)).first()
            done = await session.execute(
                update(DocumentRow)
                .where(DocumentRow.id == document_id, DocumentRow.state.in_(OPEN))
                .values(
                    state=DocumentState.CANCELLED,
                    instance_id=None,
                    seen_at=None,
                    done=0,
                    total=0,
                    updated_at=self._now(),
                )
            )
            if row is None or not written(done):
                return False
            await also(session)
        await self._claims.clear(*row)
        return True

    async def withdraw(self, document_id: str) -> bool:
        """Hide one that has not become ready; `Removal` does the rest. Whether there was one."""
        async with self._database.write() as session:
            done = await session.execute(
                update(DocumentRow)
                .where(DocumentRow.id == document_id, DocumentRow.state.not_in((DocumentState.READY, DELETED)))
                .values(state=DELETED, instance_id=None, seen_at=None, updated_at=self._now())
            )
            return written(done)

    async def retry(self, document_id: str, payer: Caller | None, also: Also = nothing) -> bool:
        """Whether it had ended, and not well. payer: None for whoever was to pay so far. also: is done with it then."""
        pays: dict[str, object] = {}
        if payer is not None:
            key_id = None if payer.key_id in (LOCAL, "none") else payer.key_id
            pays = {"account_id": payer.account_id, "key_id": key_id}
        async with self._database.write() as session:
            done = await session.execute(
                update(DocumentRow)
                .where(
                    DocumentRow.id == document_id,
                    DocumentRow.state.in_((DocumentState.FAILED, DocumentState.CANCELLED)),
                )
                .values(state=DocumentState.QUEUED, attempts=0, error=None, updated_at=self._now(), **pays)
            )
            if written(done):
                await also(session)
            return written(done)


async def _kept(session: AsyncSession, account_id: str) -> Kept:
    ended = (DocumentState.FAILED, DocumentState.CANCELLED)
    waiting = func.count().filter(DocumentRow.state.in_(OPEN))
    query = select(waiting, func.coalesce(func.sum(DocumentRow.size), 0)).where(
        DocumentRow.account_id == account_id, DocumentRow.state.in_((*OPEN, *ended))
    )
    count, size = (await session.execute(query)).one()
    return Kept(count, int(size))
