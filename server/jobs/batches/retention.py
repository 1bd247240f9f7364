"""Batches that have ended and are shown no longer: an account's oldest, and those of closed accounts."""

from sqlalchemy import Select, delete, func, select

from server.accounts.tables import AccountRow
from server.jobs.batches.records import OPEN
from server.jobs.tables import BatchRow
from server.storage.database import Database

MOST_KEPT = 10_000
"""Batches of an account that have ended. Each may hold a hundred errors, and costs nothing to make."""
PIECE = 500
"""Rows that are deleted in one unit of work."""


async def forget(database: Database) -> None:
    """Their files stay, but those of closed accounts, which go by themselves. Raises OUTAGE."""
    ended = BatchRow.status.not_in(OPEN)
    closed = select(AccountRow.id).where(AccountRow.closed_at.is_not(None))
    await _delete(database, select(BatchRow.number).where(ended, BatchRow.account_id.in_(closed)))
    counts = select(BatchRow.account_id).where(ended).group_by(BatchRow.account_id).having(func.count() > MOST_KEPT)
    async with database.read() as session:
        accounts = list(await session.scalars(counts))
    for account_id in accounts:
        theirs = select(BatchRow.number).where(ended, BatchRow.account_id == account_id)
        async with database.read() as session:
            newest = await session.scalar(theirs.order_by(BatchRow.number.desc()).offset(MOST_KEPT).limit(1))
        if newest is not None:
            await _delete(database, theirs.where(BatchRow.number <= newest))


async def _delete(database: Database, which: Select[int]) -> None:
    """Piece by piece: others write meanwhile."""
    while True:
        async with database.write() as session:
            numbers = list(await session.scalars(which.limit(PIECE)))
            if numbers:
                await session.execute(delete(BatchRow).where(BatchRow.number.in_(numbers)))
        if len(numbers) < PIECE:
            return
