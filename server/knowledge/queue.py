"""The documents that are to be ingested: which wait, whose they are, and what a crash has left of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, and_, exists, func, not_, or_, select, update

from server.knowledge.claims import IDLE, OPEN, Claim, Claims, Waiting, dataset_is_there, written
from server.knowledge.records import DocumentState
from server.knowledge.removal import DELETED
from server.knowledge.tables import ChunkRow, DatasetRow, DocumentRow
from server.storage.clock import DatabaseClock, database_time, utc_now
from server.storage.database import Database

SILENCE = timedelta(seconds=120)
"""After so long without a word a process has let go of its documents, even if it is there."""
FORGOTTEN = timedelta(hours=1)
"""After so long without anybody who has its file, a document has none."""
ASKED = 500
"""Ids that one query names: SQLite takes 32,766 parameters, PostgreSQL's driver 32,767."""


class Queue:
    """For one process, `instance_id`. What it takes on is a `Claim`, and what is written of that is `Claims`'."""

    def __init__(
        self,
        database: Database,
        claims: Claims,
        instance_id: str,
        *,
        now: Callable[[], datetime] = utc_now,
        time: DatabaseClock = database_time,
    ) -> None:
        """time: the clock that all processes have in common."""
        self._database = database
        self._claims = claims
        self.instance_id = instance_id
        self._now = now
        self._time = time

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

    async def changes(self, ids: Collection[str]) -> Mapping[str, object]:
        """For each of some documents something that is another after each change; None for one that is not there."""
        found: dict[str, object] = dict.fromkeys(ids)
        asked = list(ids)
        query = (
            select(DocumentRow.id, DocumentRow.state, DocumentRow.updated_at)
            .join(DatasetRow, DatasetRow.number == DocumentRow.dataset_number)
            .where(DatasetRow.deleted_at.is_(None))
        )
        for start in range(0, len(asked), ASKED):
            async with self._database.read() as session:
                rows = await session.execute(query.where(DocumentRow.id.in_(asked[start : start + ASKED])))
                found.update({document_id: (state, at) for document_id, state, at in rows})
        return found

    async def claim(self, one: Waiting) -> Claim | None:
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
                    dataset_is_there(),
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
            if not written(taken):
                return None
        await self._claims.clear(one.dataset_number, one.number, mine)
        return mine

    # ------------------------------------------------------------ what is left

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
            if not written(changed):
                return False
        await self._claims.clear(one.dataset_number, one.number)
        return True

    async def sweep(self) -> int:
        """Delete chunks of documents that nobody works on, which a process left behind when it died just before that.

        How many documents it was.
        """
        stored = exists(select(ChunkRow.number).where(ChunkRow.document_number == DocumentRow.number))
        async with self._database.read() as session:
            query = select(DocumentRow.dataset_number, DocumentRow.number).where(DocumentRow.state.in_(IDLE), stored)
            rows = (await session.execute(query)).all()
        for dataset_number, number in rows:
            await self._claims.clear(dataset_number, number)
        return len(rows)

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

    async def states(self) -> Mapping[str, int]:
        """How many documents of all there are in each state."""
        query = select(DocumentRow.state, func.count()).where(DocumentRow.state != DELETED).group_by(DocumentRow.state)
        async with self._database.read() as session:
            return {state: count for state, count in await session.execute(query)}  # noqa: C416 - rows are not pairs to mypy


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
