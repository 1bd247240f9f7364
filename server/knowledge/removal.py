"""What was deleted goes: piece by piece, behind everybody's back, until nothing of it is left on the disk."""

import asyncio
import logging
import sqlite3
from pathlib import Path

import anyio
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.knowledge.search.index import Index
from server.knowledge.tables import DatasetRow, DocumentRow
from server.storage.database import OUTAGE, Database

logger = logging.getLogger(__name__)

DELETED = "deleted"
"""The state of a document that nobody sees any more. It is none of `DocumentState`'s: it has no way back."""
REMOVAL_LOCK = 0x5A6E_0005
PIECE = 500
"""Most chunks that one unit of work deletes. SQLite has one writer, and requests' books are written between two."""
LOOK = 30.0
"""Seconds between two looks for what other processes have left."""
LOG_TRIES, LOG_WAIT = 120, 0.5
"""How often SQLite's log is tried to be emptied, and the seconds between: each reader is in its way for a moment."""


class Removal:
    """Deletes for good what `Datasets` and `Documents` have hidden. A process that dies leaves the rest to the next.

    Several processes may do it at once: a piece that another one has taken is not there any more.
    """

    def __init__(self, database: Database, index: Index, spool: Path) -> None:
        """spool: the folder of documents that wait for their ingestion, each under its id."""
        self._database = database
        self._index = index
        self._spool = spool
        self._called = asyncio.Event()
        self._at_work = asyncio.Lock()

    def call(self) -> None:
        """Something was hidden: whoever runs `run` goes to work at once."""
        self._called.set()

    async def run(self) -> None:
        """Do it whenever there is something, forever. A server runs it in the background."""
        while True:
            self._called.clear()
            try:
                await self.finish()
            except OUTAGE as error:
                logger.warning("what was deleted is still on the disk, and is tried again: %s", error)
            try:
                async with asyncio.timeout(LOOK):
                    await self._called.wait()
            except TimeoutError:
                pass

    async def finish(self) -> int:
        """Delete all that is hidden now, from SQLite's log too; how many datasets and documents it was.

        Raises DatabaseUnavailable, and what drivers raise.
        """
        async with self._at_work:
            count = 0
            while (number := await self._next_dataset()) is not None:
                await self._remove_dataset(number)
                count += 1
            while (found := await self._next_document()) is not None:
                await self._remove_document(*found)
                count += 1
            if count:
                await self._empty_log()
            return count

    async def _next_dataset(self) -> int | None:
        async with self._database.read() as session:
            return await session.scalar(
                select(DatasetRow.number).where(DatasetRow.deleted_at.is_not(None)).order_by(DatasetRow.number).limit(1)
            )

    async def _next_document(self) -> tuple[int, int, str] | None:
        query = select(DocumentRow.dataset_number, DocumentRow.number, DocumentRow.id)
        async with self._database.read() as session:
            row = (await session.execute(query.where(DocumentRow.state == DELETED).limit(1))).first()
        return None if row is None else (row[0], row[1], row[2])

    async def _remove_dataset(self, number: int) -> None:
        gone = False
        while not gone:
            async with self._database.write() as session:
                await self._database.lock(session, REMOVAL_LOCK)
                gone = await self._index.drop(session, number, PIECE)
        documents = select(DocumentRow.number, DocumentRow.id).where(DocumentRow.dataset_number == number).limit(PIECE)
        while True:
            async with self._database.read() as session:
                rows = (await session.execute(documents)).all()
            if not rows:
                break
            for _, document_id in rows:
                await self._unlink(document_id)
            async with self._database.write() as session:
                await session.execute(delete(DocumentRow).where(DocumentRow.number.in_([row[0] for row in rows])))
        async with self._database.write() as session:
            await session.execute(delete(DatasetRow).where(DatasetRow.number == number))

    async def _remove_document(self, dataset_number: int, number: int, document_id: str) -> None:
        gone = False
        while not gone:
            async with self._database.write() as session:
                await self._database.lock(session, REMOVAL_LOCK)
                if not await _there(session, number):  # another process was faster
                    return
                gone = await self._index.remove(session, dataset_number, number, PIECE)
        await self._unlink(document_id)
        # The row last: while it is there, the next start knows that something is left.
        async with self._database.write() as session:
            await session.execute(delete(DocumentRow).where(DocumentRow.number == number))

    async def _unlink(self, document_id: str) -> None:
        await anyio.Path(self._spool / document_id).unlink(missing_ok=True)

    async def _empty_log(self) -> None:
        for _ in range(LOG_TRIES):
            try:
                if await self._database.empty_log():
                    return
            except sqlite3.Error as error:
                logger.warning("the database's log could not be emptied: %s", error)
                return
            await asyncio.sleep(LOG_WAIT)
        logger.warning("the database's log could not be emptied: something reads without an end")


async def _there(session: AsyncSession, number: int) -> bool:
    return await session.scalar(select(DocumentRow.number).where(DocumentRow.number == number)) is not None
