"""What was deleted goes: piece by piece, behind everybody's back, until nothing of it is left on the disk."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
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
            while rows := await self._next_documents():
                for dataset, number, _ in rows:
                    await self._remove(dataset, number)
                for dataset in dict.fromkeys(dataset for dataset, _, _ in rows):
                    await self._tidy(dataset)
                # The rows last: while they are there, the next start knows that something is left.
                await self._forget([(number, document_id) for _, number, document_id in rows])
                count += len(rows)
            if count:
                await self._empty_log()
            return count

    async def _next_dataset(self) -> int | None:
        async with self._database.read() as session:
            return await session.scalar(
                select(DatasetRow.number).where(DatasetRow.deleted_at.is_not(None)).order_by(DatasetRow.number).limit(1)
            )

    async def _next_documents(self) -> Sequence[tuple[int, int, str]]:
        """Of deleted ones some: the dataset's number, their own, and their id."""
        query = select(DocumentRow.dataset_number, DocumentRow.number, DocumentRow.id)
        async with self._database.read() as session:
            rows = await session.execute(query.where(DocumentRow.state == DELETED).limit(PIECE))
            return [(dataset, number, document_id) for dataset, number, document_id in rows]

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
            await self._forget([(number, document_id) for number, document_id in rows])
        async with self._database.write() as session:
            await session.execute(delete(DatasetRow).where(DatasetRow.number == number))

    async def _remove(self, dataset_number: int, number: int) -> None:
        gone = False
        while not gone:
            async with self._database.write() as session:
                await self._database.lock(session, REMOVAL_LOCK)
                # Not there: another process was faster, or has deleted the dataset with all that this would be done to.
                gone = not await _there(session, number) or await self._index.remove(
                    session, dataset_number, number, PIECE
                )

    async def _tidy(self, dataset_number: int) -> None:
        done = False
        while not done:
            async with self._database.write() as session:
                await self._database.lock(session, REMOVAL_LOCK)
                done = not await _kept(session, dataset_number) or await self._index.tidy(session, dataset_number)

    async def _forget(self, documents: Sequence[tuple[int, str]]) -> None:
        """Their files, and then their rows."""
        for _, document_id in documents:
            await anyio.Path(self._spool / document_id).unlink(missing_ok=True)
        async with self._database.write() as session:
            await session.execute(delete(DocumentRow).where(DocumentRow.number.in_([one for one, _ in documents])))

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
    """Whether a document is, and its dataset was not deleted."""
    query = (
        select(DocumentRow.number)
        .join(DatasetRow, DatasetRow.number == DocumentRow.dataset_number)
        .where(DocumentRow.number == number, DatasetRow.deleted_at.is_(None))
    )
    return await session.scalar(query) is not None


async def _kept(session: AsyncSession, dataset_number: int) -> bool:
    """Whether a dataset was not deleted."""
    query = select(DatasetRow.number).where(DatasetRow.number == dataset_number, DatasetRow.deleted_at.is_(None))
    return await session.scalar(query) is not None
