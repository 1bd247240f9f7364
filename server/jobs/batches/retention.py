"""Batches that have ended and are shown no longer: old ones, too many of an account, and those of closed accounts."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, func, or_, select

from server.accounts.tables import AccountRow
from server.jobs.batches.records import OPEN
from server.jobs.tables import BatchRow, FileRow
from server.storage.database import Database

KEPT = timedelta(days=30)
"""An ended batch is shown for so long at least, and for as long as one of its files is there."""
MOST_KEPT = 10_000
"""But no more than so many of an account: each may hold a hundred errors, and costs nothing to make."""
PIECE = 500
"""Rows that are deleted in one unit of work."""


async def forget(database: Database, now: datetime) -> int:
    """How many were deleted. Their files stay. Raises OUTAGE."""
    ended = BatchRow.status.not_in(OPEN)
    at = func.coalesce(
        BatchRow.completed_at, BatchRow.failed_at, BatchRow.expired_at, BatchRow.cancelled_at, BatchRow.created_at
    )
    closed = select(AccountRow.id).where(AccountRow.closed_at.is_not(None))
    file = exists().where(or_(FileRow.id == BatchRow.output_file_id, FileRow.id == BatchRow.error_file_id))
    over = ((at <= now - KEPT) & ~file.correlate(BatchRow)) | BatchRow.account_id.in_(closed)
    count = await _delete(database, ended & over)
    counts = select(BatchRow.account_id).where(ended).group_by(BatchRow.account_id).having(func.count() > MOST_KEPT)
    async with database.read() as session:
        accounts = list(await session.scalars(counts))
    for account_id in accounts:
        theirs = ended & (BatchRow.account_id == account_id)
        newest = select(BatchRow.number).where(theirs).order_by(BatchRow.number.desc()).offset(MOST_KEPT).limit(1)
        async with database.read() as session:
            last = await session.scalar(newest)
        if last is not None:
            count += await _delete(database, theirs & (BatchRow.number <= last))
    return count


async def _delete(database: Database, which: ColumnElement[bool]) -> int:
    """Piece by piece: others write meanwhile."""
    some = select(BatchRow.number).where(which).limit(PIECE)
    count = 0
    while True:
        async with database.write() as session:
            gone = delete(BatchRow).where(BatchRow.number.in_(some)).returning(BatchRow.id)
            found = len(list(await session.scalars(gone)))
        count += found
        if found < PIECE:
            return count
