"""Batches under way: whatever is written of one, only as long as it is that process's."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.jobs.batches.records import OPEN, LineError, Pause, Reason, Status
from server.jobs.batches.retention import forget
from server.jobs.batches.rows import errors_text
from server.jobs.files.records import new_id as new_file_id
from server.jobs.tables import BatchRow
from server.storage.clock import DatabaseClock, database_time, utc_now
from server.storage.database import Database

FORGOTTEN = timedelta(days=1)
"""After so long without anybody who has its folder, a batch that is to end has none. A server may be away for hours."""


class NotOurs(Exception):
    """Another process has the batch now, or it has ended. Nothing more is to be done of it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch that somebody may work on. claims: how often one has taken it on."""

    number: int
    id: str
    account_id: str
    claims: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A batch that this process works on, as its row stood when it was taken on. number: of the claim, from 1.

    total: its requests; 0 before they are counted.
    """

    id: str
    account_id: str
    key_id: str | None
    endpoint: str
    instance_id: str
    number: int
    status: Status
    total: int
    expires_at: datetime
    output_seconds: int | None

    def held(self) -> tuple[ColumnElement[bool], ...]:
        return (
            BatchRow.id == self.id,
            BatchRow.instance_id == self.instance_id,
            BatchRow.claims == self.number,
            BatchRow.status.in_(OPEN),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """What others want of a batch. held: whether its owner has paused it."""

    status: Status
    held: bool
    resumed: bool
    expired: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """usage: as `BatchUsage.row` has it."""

    completed: int
    failed: int
    usage: Mapping[str, Any]
    pause: Pause | None


class Claims:
    """Invariant: whatever is written of a batch under way is written only as long as the batch is that of the process
    that claimed it. Which process may claim one, the lock on its folder says.
    """

    def __init__(
        self,
        database: Database,
        instance_id: str,
        *,
        now: Callable[[], datetime] = utc_now,
        time: DatabaseClock = database_time,
    ) -> None:
        """time: the clock that all processes have in common."""
        self._database = database
        self.instance_id = instance_id
        self._now = now
        self._time = time

    # ------------------------------------------------------------ what there is to do

    async def waiting(self, ours: Collection[str]) -> Sequence[Waiting]:
        """Batches at which there is something to do, oldest first, but for `ours`; others' too."""
        # One that its owner has paused needs nobody, until its time is over.
        rests = and_(
            BatchRow.paused == Reason.USER, BatchRow.status == Status.IN_PROGRESS, BatchRow.expires_at > self._now()
        )
        query = (
            select(BatchRow.number, BatchRow.id, BatchRow.account_id, BatchRow.claims)
            .where(BatchRow.status.in_(OPEN), or_(BatchRow.paused.is_(None), ~rests))
            .order_by(BatchRow.number)
        )
        async with self._database.read() as session:
            return [Waiting(*row) for row in await session.execute(query) if row.id not in ours]

    async def take(self, one: Waiting) -> Claim | None:
        """None where somebody else was faster. Its folder must be held."""
        async with self._database.write() as session:
            changed = update(BatchRow).where(
                BatchRow.id == one.id, BatchRow.claims == one.claims, BatchRow.status.in_(OPEN)
            )
            seen = await self._time(session)
            row = await session.scalar(
                changed.values(instance_id=self.instance_id, claims=one.claims + 1, seen_at=seen).returning(BatchRow)
            )
            if row is None:
                return None
            return Claim(
                row.id,
                row.account_id,
                row.key_id,
                row.endpoint,
                self.instance_id,
                row.claims,
                Status(row.status),
                row.total,
                row.expires_at,
                row.output_seconds,
            )

    async def open_ids(self, ids: Sequence[str]) -> set[str]:
        """Of some ids those of batches that are not done. What the others have may be deleted: their ends are on the
        disk."""
        async with self._database.read() as session:
            found = set(
                await session.scalars(select(BatchRow.id).where(BatchRow.id.in_(ids), BatchRow.status.in_(OPEN)))
            )
        if len(found) < len(ids):
            await self._database.on_disk()
        return found

    async def states(self) -> Mapping[str, int]:
        """How many batches there are in each status, of those that are not done."""
        query = select(BatchRow.status, func.count()).where(BatchRow.status.in_(OPEN)).group_by(BatchRow.status)
        async with self._database.read() as session:
            return {status: count for status, count in await session.execute(query)}  # noqa: C416 - rows are not pairs to mypy

    async def forgotten(self, *, alone: bool) -> Sequence[Waiting]:
        """Batches that may have no folder anywhere: of those that are to be cancelled, or whose time is over, for long,
        and which nobody has said anything of for as long; where all processes share one folder (`alone`), any."""
        async with self._database.read() as session:
            query = select(BatchRow.number, BatchRow.id, BatchRow.account_id, BatchRow.claims)
            query = query.where(BatchRow.status.in_(OPEN))
            if not alone:
                silent = func.coalesce(BatchRow.seen_at, BatchRow.created_at) <= await self._time(session) - FORGOTTEN
                # One that rested until now is silent too: whoever has its folder needs some time to end it.
                since = self._now() - FORGOTTEN
                over = or_(BatchRow.cancelling_at <= since, BatchRow.expires_at <= since)
                query = query.where(silent, over)
            return [Waiting(*row) for row in await session.execute(query)]

    async def forget(self) -> int:
        """Delete batches that ended long ago: see retention.py. How many. Raises OUTAGE."""
        return await forget(self._database, self._now())

    async def lose(self, one: Waiting) -> None:
        """End a batch whose folder is nowhere, if nobody has taken it on meanwhile."""
        async with self._database.write() as session:
            same = (BatchRow.id == one.id, BatchRow.claims == one.claims, BatchRow.status.in_(OPEN))
            row = await session.scalar(select(BatchRow).where(*same).with_for_update())
            if row is None:
                return
            status = Status.FAILED
            if row.status == Status.CANCELLING:
                status = Status.CANCELLED
            elif row.expires_at <= self._now():
                status = Status.EXPIRED
            values = self._ended(status, [LineError("files_lost", LOST)])
            values |= {"output_file_id": None, "error_file_id": None}
            await session.execute(update(BatchRow).where(*same).values(**values))

    # ------------------------------------------------------------ on the way

    async def begin(self, claim: Claim, total: int, model: str | None) -> Status:
        """Its file is in order, and has so many requests. model: the name that all of them have, if it is one.

        What its status is then: it may be being cancelled. Raises NotOurs.
        """
        async with self._database.write() as session:
            await self._demand(session, claim, total=total, model=model)
            which = (*claim.held(), BatchRow.status == Status.VALIDATING)
            values = {"status": Status.IN_PROGRESS, "in_progress_at": self._now()}
            await session.execute(update(BatchRow).where(*which).values(**values))
            return await self._status(session, claim)

    async def beat(self, claim: Claim, progress: Progress, shown: Pause | None) -> Standing:
        """Say that this process is at work, and how far it is; what others want of it. Raises NotOurs.

        shown: the pause that the last word was of; if nobody has taken it out of the row, it is replaced.
        """
        async with self._database.write() as session:
            row = await session.scalar(select(BatchRow).where(*claim.held()).with_for_update())
            if row is None:
                raise NotOurs
            values: dict[str, Any] = {
                "seen_at": await self._time(session),
                "completed": progress.completed,
                "failed": progress.failed,
                "usage": json.dumps(progress.usage),
            }
            held = row.paused == Reason.USER
            resumed = shown is not None and row.paused is None and progress.pause is not None
            if not held and not resumed:
                values |= self._paused(row, progress.pause)
            await session.execute(update(BatchRow).where(*claim.held()).values(**values))
            return Standing(Status(row.status), held, resumed, row.expires_at <= self._now())

    async def finalize(self, claim: Claim) -> tuple[str, str, Status]:
        """Nothing is run any more. The ids of the files that there may be, for output and errors, and its status.

        The same each time. Raises NotOurs.
        """
        async with self._database.write() as session:
            row = await session.scalar(select(BatchRow).where(*claim.held()).with_for_update())
            if row is None:
                raise NotOurs
            output, errors = row.output_file_id or new_file_id(), row.error_file_id or new_file_id()
            values: dict[str, Any] = {"output_file_id": output, "error_file_id": errors, **self._paused(row, None)}
            status = Status(row.status)
            if status is Status.IN_PROGRESS:
                status = Status.FINALIZING
                values |= {"status": status, "finalizing_at": self._now()}
            await session.execute(update(BatchRow).where(*claim.held()).values(**values))
            return output, errors, status

    # ------------------------------------------------------------ its end

    async def end(
        self,
        claim: Claim,
        status: Status,
        progress: Progress | None,
        *,
        output_file_id: str | None,
        error_file_id: str | None,
        errors: Sequence[LineError],
    ) -> Status:
        """What it ended as: one that was to be cancelled is cancelled, whatever became of it. Afterwards that survives
        a loss of power too, so that its folder may be deleted. Raises NotOurs."""
        async with self._database.write() as session:
            row = await session.scalar(select(BatchRow).where(*claim.held()).with_for_update())
            if row is None:
                raise NotOurs
            if row.status == Status.CANCELLING:
                status = Status.CANCELLED
            values = self._ended(status, errors)
            values |= {"output_file_id": output_file_id, "error_file_id": error_file_id}
            if progress is not None:
                values |= {
                    "completed": progress.completed,
                    "failed": progress.failed,
                    "usage": json.dumps(progress.usage),
                }
            await session.execute(update(BatchRow).where(*claim.held()).values(**values))
        await self._database.on_disk()
        return status

    async def put_back(self, claim: Claim, progress: Progress | None = None) -> None:
        """Somebody else may go on with it. Raises NotOurs."""
        values: dict[str, Any] = {"instance_id": None}
        if progress is not None:
            values |= {"completed": progress.completed, "failed": progress.failed}
        async with self._database.write() as session:
            await self._demand(session, claim, **values)

    def _ended(self, status: Status, errors: Sequence[LineError]) -> dict[str, Any]:
        return {
            "status": status,
            f"{status.value}_at": self._now(),
            "errors": errors_text(errors),
            "paused": None,
            "pause_message": None,
            "paused_at": None,
            "instance_id": None,
            "seen_at": None,
        }

    def _paused(self, row: BatchRow, pause: Pause | None) -> dict[str, Any]:
        if pause is None:
            return {"paused": None, "pause_message": None, "paused_at": None}
        since = row.paused_at if row.paused == pause.reason else None
        return {
            "paused": pause.reason,
            "pause_message": pause.message,
            "paused_at": since or self._now(),
        }

    async def _status(self, session: AsyncSession, claim: Claim) -> Status:
        return Status((await session.execute(select(BatchRow.status).where(*claim.held()))).scalar_one())

    async def _demand(self, session: AsyncSession, claim: Claim, **values: object) -> None:
        """Write something of a batch under way. Raises NotOurs."""
        changed = await session.execute(update(BatchRow).where(*claim.held()).values(**values))
        if not changed.rowcount:  # type: ignore[attr-defined]
            raise NotOurs


LOST = "The batch's files are not there any more. Please create it again."
