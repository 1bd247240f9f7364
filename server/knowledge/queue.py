"""The rows of documents that are to be ingested: which wait, whose they are, and how far they have come."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import ColumnElement, Result, Select, and_, exists, func, insert, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import Caller
from server.errors import Conflict, DatasetNotFound
from server.knowledge.acts import Also, nothing
from server.knowledge.calls import LOCAL, Vectors
from server.knowledge.documents import document_of
from server.knowledge.records import Chunk, Dataset, Document, DocumentState
from server.knowledge.removal import DELETED, PIECE, REMOVAL_LOCK
from server.knowledge.search.index import Index
from server.knowledge.tables import ChunkRow, DatasetRow, DocumentRow
from server.storage.clock import DatabaseClock, database_time, utc_now
from server.storage.database import Database

SILENCE = timedelta(seconds=120)
"""After so long without a word a process has let go of its documents, even if it is there."""
FORGOTTEN = timedelta(hours=1)
"""After so long without anybody who has its file, a document has none."""
ASKED = 500
"""Ids that one query names: SQLite takes 32,766 parameters, PostgreSQL's driver 32,767."""
IDLE = (DocumentState.QUEUED, DocumentState.FAILED, DocumentState.CANCELLED)
OPEN = (DocumentState.QUEUED, DocumentState.READING, DocumentState.EMBEDDING)


class NotOurs(Exception):
    """The document was cancelled or deleted, or another process has it now. Nothing more is to be done of it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A document that somebody may ingest. attempts: how often one was begun; instance_id: who had it last."""

    number: int
    id: str
    dataset_number: int
    account_id: str
    key_id: str | None
    filename: str
    size: int
    attempts: int
    instance_id: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """waiting: documents of an account that are to be ingested. size: bytes of their files, and of those that failed or
    were cancelled, which may be tried again."""

    waiting: int
    size: int


class Queue:
    """For one process, `instance_id`.

    Invariant: whatever is written of a document under way is written only as long as the document is this process's,
    in the unit of work that makes sure of it. Whoever takes it over begins it anew.
    """

    def __init__(
        self,
        database: Database,
        index: Index,
        instance_id: str,
        *,
        now: Callable[[], datetime] = utc_now,
        time: DatabaseClock = database_time,
    ) -> None:
        """time: the clock that all processes have in common."""
        self._database = database
        self._index = index
        self.instance_id = instance_id
        self._now = now
        self._time = time

    # ------------------------------------------------------------ before it is begun

    async def kept(self, account_id: str) -> "Kept":
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
        check: "Callable[[Kept], None]" = lambda _: None,
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

    async def waiting(self, ids: Collection[str], ours: Collection[str]) -> Sequence[Waiting]:
        """Of some documents those that are to be ingested, oldest first; those under way in another process too.

        ours: those under way in this one, which are left out.
        """
        query = _waiting().where(DocumentRow.state.in_(OPEN), DatasetRow.deleted_at.is_(None))
        asked = [one for one in ids if one not in ours]
        found: list[Waiting] = []
        async with self._database.read() as session:
            for start in range(0, len(asked), ASKED):
                rows = await session.execute(query.where(DocumentRow.id.in_(asked[start : start + ASKED])))
                found += [Waiting(*row) for row in rows]
        return sorted(found, key=lambda one: one.number)

    async def keep(self, ids: Collection[str]) -> None:
        """Say that the files of some documents that wait are there."""
        asked = list(ids)
        for start in range(0, len(asked), ASKED):
            async with self._database.write() as session:
                which = (DocumentRow.id.in_(asked[start : start + ASKED]), DocumentRow.state == DocumentState.QUEUED)
                await session.execute(update(DocumentRow).where(*which).values(seen_at=await self._time(session)))

    async def forgotten(self, since: timedelta) -> Sequence[Waiting]:
        """Documents that are to be ingested, and of which nobody who has the file has said anything for so long."""
        async with self._database.read() as session:
            now = await self._time(session)
            held, waits = max(since, SILENCE), DocumentRow.instance_id.is_(None)
            seen = func.coalesce(DocumentRow.seen_at, DocumentRow.updated_at)
            query = _waiting().where(
                DocumentRow.state.in_(OPEN),
                or_(and_(waits, seen <= now - since), and_(not_(waits), seen <= now - held)),
            )
            return [Waiting(*row) for row in await session.execute(query)]

    async def lose(self, one: Waiting, words: str) -> bool:
        """A document whose file is nowhere has failed. words: for its owner. False if it is not as it was any more."""
        async with self._database.write() as session:
            changed = await session.execute(
                update(DocumentRow)
                .where(
                    DocumentRow.id == one.id,
                    DocumentRow.state.in_(OPEN),
                    DocumentRow.attempts == one.attempts,
                    DocumentRow.instance_id.is_not_distinct_from(one.instance_id),
                )
                .values(
                    state=DocumentState.FAILED,
                    error=words,
                    instance_id=None,
                    seen_at=None,
                    done=0,
                    total=0,
                    updated_at=self._now(),
                )
            )
            if not _changed(changed):
                return False
        await self.clear(one.dataset_number, one.number)
        return True

    async def silent(self, ids: Collection[str]) -> set[str]:
        """Of some documents those whose process has said nothing for long."""
        if not ids:
            return set()
        async with self._database.read() as session:
            since = await self._time(session) - SILENCE
            found = await session.scalars(
                select(DocumentRow.id).where(DocumentRow.id.in_(ids), DocumentRow.seen_at < since)
            )
            return set(found)

    async def claim(self, one: Waiting) -> "Claim | None":
        """Take a document on; None if it is not as it was any more. What an earlier attempt has stored is deleted."""
        mine = Claim(one, self.instance_id, one.attempts + 1)
        async with self._database.write() as session:
            taken = await session.execute(
                update(DocumentRow)
                .where(
                    DocumentRow.id == one.id,
                    DocumentRow.state.in_(OPEN),
                    DocumentRow.attempts == one.attempts,
                    DocumentRow.instance_id.is_not_distinct_from(one.instance_id),
                    _dataset_is_there(),
                )
                .values(
                    state=DocumentState.READING,
                    instance_id=self.instance_id,
                    attempts=mine.attempt,
                    seen_at=await self._time(session),
                    updated_at=self._now(),
                    done=0,
                    total=0,
                    error=None,
                )
            )
            if not _changed(taken):
                return None
        await self.clear(one.dataset_number, one.number, mine)
        return mine

    # ------------------------------------------------------------ under way

    async def beat(self, progress: "Mapping[Claim, tuple[int, int]]") -> "Sequence[Claim]":
        """Say that this process is at work, and how far it is; which documents are not its any more."""
        lost = []
        for claim, (done, total) in progress.items():
            # Each in a unit of work of its own: whoever publishes locks several rows too, in another order.
            async with self._database.write() as session:
                seen = await self._time(session)
                values = {"seen_at": seen, "done": done, "total": total, "updated_at": self._now()}
                if not _changed(await session.execute(update(DocumentRow).where(*claim.held()).values(values))):
                    lost.append(claim)
        return lost

    async def dataset_model(self, claim: "Claim") -> str | None:
        """The embedding model that the dataset was made with. Raises NotOurs."""
        async with self._database.read() as session:
            query = select(DatasetRow.model).where(
                DatasetRow.number == claim.document.dataset_number, DatasetRow.deleted_at.is_(None)
            )
            row = (await session.execute(query)).first()
        if row is None:
            raise NotOurs
        model: str | None = row[0]
        return model

    async def embedding(self, claim: "Claim", total: int) -> None:
        """It is read, and cut into so many chunks. Raises NotOurs."""
        async with self._database.write() as session:
            await self._demand(session, claim, state=DocumentState.EMBEDDING, done=0, total=total)

    async def store(self, claim: "Claim", chunks: Sequence[Chunk], vectors: Vectors, done: int) -> None:
        """Chunks that nobody finds yet. Raises NotOurs."""
        async with self._database.write() as session:
            await self._demand(session, claim, done=done)
            document = claim.document
            await self._index.add(session, document.dataset_number, document.number, chunks, vectors)

    async def publish(self, claim: "Claim", *, chunks: int, tokens: int, model: str, dimensions: int) -> bool:
        """From now on it is found, and older ones of its name are not. False where a newer one of its name is there: it
        then goes itself.

        Raises NotOurs, and Conflict if the dataset was made with another model meanwhile.
        """
        document = claim.document
        async with self._database.write() as session:
            dataset = and_(DatasetRow.number == document.dataset_number, DatasetRow.deleted_at.is_(None))
            # First, and so in the order in which whoever deletes a dataset locks. The key is left free: whoever stores
            # chunks of an older document of this name, which this will wait for, refers to the dataset by it.
            query = select(DatasetRow.model, DatasetRow.dimensions).where(dataset).with_for_update(key_share=True)
            row = (await session.execute(query)).first()
            if row is None:
                raise NotOurs
            if row.model is not None and (row.model, row.dimensions) != (model, dimensions):
                raise Conflict("The dataset was made with another embedding model meanwhile. Please try again.")
            await self._demand(
                session,
                claim,
                state=DocumentState.READY,
                chunks=chunks,
                tokens=tokens,
                done=chunks,
                total=chunks,
                instance_id=None,
                seen_at=None,
            )
            named = and_(
                DocumentRow.dataset_number == document.dataset_number,
                DocumentRow.filename == document.filename,
                DocumentRow.state != DELETED,
            )
            newer = await session.scalar(
                select(DocumentRow.number).where(
                    named, DocumentRow.number > document.number, DocumentRow.state == DocumentState.READY
                )
            )
            gone = DocumentRow.number == document.number if newer is not None else DocumentRow.number < document.number
            await session.execute(update(DocumentRow).where(named, gone).values(state=DELETED, updated_at=self._now()))
            await session.execute(
                update(DatasetRow)
                .where(dataset)
                .values(model=model, dimensions=dimensions, revision=DatasetRow.revision + 1)
            )
        return newer is None

    # ------------------------------------------------------------ its end

    async def fail(self, claim: "Claim", words: str) -> None:
        """words: for its owner."""
        async with self._database.write() as session:
            await self._demand(
                session, claim, state=DocumentState.FAILED, error=words, instance_id=None, seen_at=None, done=0, total=0
            )
        await self.clear(claim.document.dataset_number, claim.document.number)

    async def put_back(self, claim: "Claim", *, counts: bool) -> None:
        """It waits again. counts: whether the attempt was one."""
        async with self._database.write() as session:
            await self._demand(
                session,
                claim,
                state=DocumentState.QUEUED,
                attempts=claim.attempt if counts else claim.attempt - 1,
                instance_id=None,
                seen_at=None,
                done=0,
                total=0,
            )
        await self.clear(claim.document.dataset_number, claim.document.number)

    async def clear(self, dataset_number: int, number: int, claim: "Claim | None" = None) -> None:
        """Delete what is stored of a document that is not ready, piece by piece, as `Removal` does.

        claim: whose document it is; None for one that nobody works on. If that changes, the rest is somebody else's.
        """
        if claim is None:
            whose: tuple[ColumnElement[bool], ...] = (DocumentRow.number == number, DocumentRow.state.in_(IDLE))
        else:
            whose = claim.held()
        kept = (DatasetRow.number == dataset_number, DatasetRow.deleted_at.is_(None))
        gone = False
        while not gone:
            async with self._database.write() as session:
                await self._database.lock(session, REMOVAL_LOCK)
                # In the order in which `publish` locks them. `Removal` deletes what a deleted dataset has.
                dataset = await session.scalar(select(DatasetRow.number).where(*kept).with_for_update(key_share=True))
                document = await session.scalar(select(DocumentRow.number).where(*whose).with_for_update())
                gone = (
                    dataset is None
                    or document is None
                    or await self._index.remove(session, dataset_number, number, PIECE)
                )

    async def sweep(self) -> int:
        """Delete chunks of documents that nobody works on, which a process left behind when it died just before that.

        How many documents it was.
        """
        stored = exists(select(ChunkRow.number).where(ChunkRow.document_number == DocumentRow.number))
        async with self._database.read() as session:
            query = select(DocumentRow.dataset_number, DocumentRow.number).where(DocumentRow.state.in_(IDLE), stored)
            rows = (await session.execute(query)).all()
        for dataset_number, number in rows:
            await self.clear(dataset_number, number)
        return len(rows)

    async def states(self) -> Mapping[str, int]:
        """How many documents of all there are in each state."""
        query = select(DocumentRow.state, func.count()).where(DocumentRow.state != DELETED).group_by(DocumentRow.state)
        async with self._database.read() as session:
            return {state: count for state, count in await session.execute(query)}  # noqa: C416 - rows are not pairs to mypy

    async def need_files(self, ids: Sequence[str]) -> set[str]:
        """Of some ids those of documents that are to be ingested, or may be once more."""
        found: set[str] = set()
        async with self._database.read() as session:
            for start in range(0, len(ids), ASKED):
                query = select(DocumentRow.id).where(
                    DocumentRow.id.in_(ids[start : start + ASKED]), DocumentRow.state != DocumentState.READY
                )
                found.update(await session.scalars(query))
        return found

    # ------------------------------------------------------------ by its owner

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
            if row is None or not _changed(done):
                return False
            await also(session)
        await self.clear(*row)
        return True

    async def withdraw(self, document_id: str) -> bool:
        """Hide one that has not become ready; `Removal` does the rest. Whether there was one."""
        async with self._database.write() as session:
            done = await session.execute(
                update(DocumentRow)
                .where(DocumentRow.id == document_id, DocumentRow.state.not_in((DocumentState.READY, DELETED)))
                .values(state=DELETED, instance_id=None, seen_at=None, updated_at=self._now())
            )
            return _changed(done)

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
            if _changed(done):
                await also(session)
            return _changed(done)

    async def _demand(self, session: AsyncSession, claim: "Claim", **values: object) -> None:
        """Write something of a document under way. Raises NotOurs."""
        changed = await session.execute(
            update(DocumentRow).where(*claim.held(), _dataset_is_there()).values(updated_at=self._now(), **values)
        )
        if not _changed(changed):
            raise NotOurs


@dataclass(frozen=True, slots=True)
class Claim:
    """A document that this process ingests, at its attempt `attempt`, from 1."""

    document: Waiting
    instance_id: str
    attempt: int

    def held(self) -> tuple[ColumnElement[bool], ...]:
        return (
            DocumentRow.id == self.document.id,
            DocumentRow.instance_id == self.instance_id,
            DocumentRow.attempts == self.attempt,
            DocumentRow.state.in_((DocumentState.READING, DocumentState.EMBEDDING)),
        )


def _waiting() -> Select[int, str, int, str, str | None, str, int, int, str | None]:
    return select(
        DocumentRow.number,
        DocumentRow.id,
        DocumentRow.dataset_number,
        DocumentRow.account_id,
        DocumentRow.key_id,
        DocumentRow.filename,
        DocumentRow.size,
        DocumentRow.attempts,
        DocumentRow.instance_id,
    ).join(DatasetRow, DatasetRow.number == DocumentRow.dataset_number)


async def _kept(session: AsyncSession, account_id: str) -> Kept:
    ended = (DocumentState.FAILED, DocumentState.CANCELLED)
    waiting = func.count().filter(DocumentRow.state.in_(OPEN))
    query = select(waiting, func.coalesce(func.sum(DocumentRow.size), 0)).where(
        DocumentRow.account_id == account_id, DocumentRow.state.in_((*OPEN, *ended))
    )
    count, size = (await session.execute(query)).one()
    return Kept(count, int(size))


def _dataset_is_there() -> ColumnElement[bool]:
    return exists(
        select(DatasetRow.number).where(
            DatasetRow.number == DocumentRow.dataset_number, DatasetRow.deleted_at.is_(None)
        )
    )


def _changed(result: Result[tuple[()]]) -> bool:
    return bool(result.rowcount)  # type: ignore[attr-defined]
