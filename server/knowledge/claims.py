"""Documents under way: whatever is written of one, only as long as it is that process's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Result, and_, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import Conflict
from server.knowledge.calls import Vectors
from server.knowledge.records import Chunk, DocumentState
from server.knowledge.removal import DELETED, PIECE, REMOVAL_LOCK
from server.knowledge.search.index import Index
from server.knowledge.tables import DatasetRow, DocumentRow
from server.storage.clock import DatabaseClock, database_time, utc_now
from server.storage.database import Database

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


class Claims:
    """Invariant: whatever is written of a document under way is written only as long as the document is that of the
    process that claimed it, in the unit of work that makes sure of it. Whoever takes it over begins it anew.
    """

    def __init__(
        self,
        database: Database,
        index: Index,
        *,
        now: Callable[[], datetime] = utc_now,
        time: DatabaseClock = database_time,
    ) -> None:
        """time: the clock that all processes have in common."""
        self._database = database
        self._index = index
        self._now = now
        self._time = time

    async def beat(self, progress: Mapping[Claim, tuple[int, int]]) -> Sequence[Claim]:
        """Say that this process is at work, and how far it is; which documents are not its any more."""
        lost = []
        for claim, (done, total) in progress.items():
            # Each in a unit of work of its own: whoever publishes locks several rows too, in another order.
            async with self._database.write() as session:
                seen = await self._time(session)
                values = {"seen_at": seen, "done": done, "total": total, "updated_at": self._now()}
                if not written(await session.execute(update(DocumentRow).where(*claim.held()).values(values))):
                    lost.append(claim)
        return lost

    async def dataset_model(self, claim: Claim) -> str | None:
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

    async def embedding(self, claim: Claim, total: int) -> None:
        """It is read, and cut into so many chunks. Raises NotOurs."""
        async with self._database.write() as session:
            await self._demand(session, claim, state=DocumentState.EMBEDDING, done=0, total=total)

    async def store(self, claim: Claim, chunks: Sequence[Chunk], vectors: Vectors, done: int) -> None:
        """Chunks that nobody finds yet. Raises NotOurs."""
        async with self._database.write() as session:
            await self._demand(session, claim, done=done)
            document = claim.document
            await self._index.add(session, document.dataset_number, document.number, chunks, vectors)

    async def publish(self, claim: Claim, *, chunks: int, tokens: int, model: str, dimensions: int) -> bool:
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

    async def fail(self, claim: Claim, words: str) -> None:
        """words: for its owner."""
        async with self._database.write() as session:
            await self._demand(
                session, claim, state=DocumentState.FAILED, error=words, instance_id=None, seen_at=None, done=0, total=0
            )
        await self.clear(claim.document.dataset_number, claim.document.number)

    async def put_back(self, claim: Claim, *, counts: bool) -> None:
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

    async def clear(self, dataset_number: int, number: int, claim: Claim | None = None) -> None:
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

    async def _demand(self, session: AsyncSession, claim: Claim, **values: object) -> None:
        """Write something of a document under way. Raises NotOurs."""
        changed = await session.execute(
            update(DocumentRow).where(*claim.held(), dataset_is_there()).values(updated_at=self._now(), **values)
        )
        if not written(changed):
            raise NotOurs


def dataset_is_there() -> ColumnElement[bool]:
    """Of a document."""
    return exists(
        select(DatasetRow.number).where(
            DatasetRow.number == DocumentRow.dataset_number, DatasetRow.deleted_at.is_(None)
        )
    )


def written(result: Result[tuple[()]]) -> bool:
    """Whether a row was changed."""
    return bool(result.rowcount)  # type: ignore[attr-defined]
