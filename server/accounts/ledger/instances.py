"""Which server processes are at work on this database: the holds of one that has died must be given back."""

import os
import platform
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psutil
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.tables import InstanceRow

# A process of another host that was not seen for so long is dead; one of this host is asked for directly.
SILENCE = timedelta(seconds=90)
BEAT = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its host, its number and the time it began, since numbers are used again."""

    host: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> "Process":
        return cls(platform.node(), os.getpid(), psutil.Process().create_time())

    def alive(self) -> bool:
        """Only meaningful on the process's own host."""
        try:
            process = psutil.Process(self.pid)
            return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - self.started) < 1
        except psutil.NoSuchProcess:
            return False


class Instance:
    """This process among those at work."""

    def __init__(self, now: Callable[[], datetime], process: Process | None = None) -> None:
        self.id = f"inst_{secrets.token_hex(8)}"
        self._now = now
        self._process = process or Process.current()

    async def beat(self, session: AsyncSession) -> None:
        """Tell the others that this one is alive."""
        now = self._now()
        known = await session.execute(update(InstanceRow).where(InstanceRow.id == self.id).values(seen_at=now))
        if known.rowcount == 0:  # type: ignore[attr-defined]
            process = self._process
            await session.execute(
                insert(InstanceRow).values(
                    id=self.id, host=process.host, pid=process.pid, started=process.started, seen_at=now
                )
            )

    async def others_alive(self, session: AsyncSession) -> Sequence[str]:
        """Ids of the instances at work, this one first."""
        rows = await session.scalars(select(InstanceRow).where(InstanceRow.id != self.id))
        return [self.id, *(row.id for row in rows if self._believed_alive(row))]

    async def leave(self, session: AsyncSession) -> None:
        await session.execute(delete(InstanceRow).where(InstanceRow.id == self.id))

    def _believed_alive(self, row: InstanceRow) -> bool:
        if row.host == self._process.host:
            return Process(row.host, row.pid, row.started).alive()
        return self._now() - row.seen_at < SILENCE
