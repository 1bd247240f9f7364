"""The clocks that everything here is given, so that tests can give others."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

DatabaseClock = Callable[[AsyncSession], Awaitable[datetime]]


def utc_now() -> datetime:
    return datetime.now(UTC)


async def database_time(session: AsyncSession) -> datetime:
    """The time by the clock that all who share this database have in common.

    PostgreSQL has its own, so that machines whose clocks differ agree. SQLite's file is on this machine, whose clock
    containers share as well.
    """
    if session.get_bind().dialect.name == "sqlite":
        return utc_now()
    # Not now(), which stands still from the beginning of the transaction.
    time: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return time
