"""Which server processes are at work on this database: the holds of one that has died must be given back.

A process says that it is at work by a beat, and is taken for dead after a silence. Nothing else counts. The number of a
process means nothing in another container, even where containers share the name of their host. Who asked the system for
it would give back the holds of a neighbour that works.
"""

import os
import platform
import secrets
from dataclasses import dataclass
from datetime import timedelta

import psutil
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.tables import InstanceRow
from server.storage.clock import DatabaseClock, database_time

BEAT = timedelta(seconds=15)
SILENCE = timedelta(seconds=90)
"""After so long without a beat a process is taken for dead. Six beats may be lost to a busy machine or database.

One that is taken for dead and is not gives its work away: it can't charge what was given back. If the database's clock
is set forward by more than this, that happens to every process but the first to beat after it.
"""


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its host, its number and the time it began: for people who look at the table.

    Nothing here decides by it. Servers of older versions that share the database do, so it has to be true.
    """

    host: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> "Process":
        return cls(platform.node(), os.getpid(), psutil.Process().create_time())


class Instance:
    """This process among those at work."""

    def __init__(self, time: DatabaseClock = database_time, process: Process | None = None) -> None:
        """time: one for all processes, since one compares it with what another has written."""
        self.id = f"inst_{secrets.token_hex(8)}"
        self._time = time
        self._process = process or Process.current()

    async def beat(self, session: AsyncSession) -> None:
        """Say that this process is at work, and strike those out that have been silent for SILENCE."""
        now = await self._time(session)
        known = await session.execute(update(InstanceRow).where(InstanceRow.id == self.id).values(seen_at=now))
        if known.rowcount == 0:  # type: ignore[attr-defined]
            process = self._process
            await session.execute(
                insert(InstanceRow).values(
                    id=self.id, host=process.host, pid=process.pid, started=process.started, seen_at=now
                )
            )
        # One statement, so that a process that beats at this very moment is not struck out for its beat before.
        silent = (InstanceRow.id != self.id) & (InstanceRow.seen_at <= now - SILENCE)
        await session.execute(delete(InstanceRow).where(silent))

    async def leave(self, session: AsyncSession) -> None:
        await session.execute(delete(InstanceRow).where(InstanceRow.id == self.id))
