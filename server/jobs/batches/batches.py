"""Batches for their owners: made, looked at, cancelled, paused and resumed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from anyio import to_thread
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.audit import AuditLog
from server.accounts.tables import AccountRow
from server.core import Caller
from server.errors import InvalidRequest, RateLimited
from server.jobs.batches.folder import BatchFolder, BatchFolders
from server.jobs.batches.records import OPEN, Batch, Reason, Status, is_id, new_id, no_such_batch, window_of
from server.jobs.batches.rows import batch_of
from server.jobs.files.records import StoredFile, no_such_file
from server.jobs.owners import one_by_one
from server.jobs.tables import BatchRow
from server.storage.clock import utc_now
from server.storage.database import Database

PAUSED_BY_OWNER = "Paused. It goes on when it is resumed."
ROOM_WAIT = 60
"""Seconds after which an account with too many batches may have fewer."""
CANCELLABLE = (Status.VALIDATING, Status.IN_PROGRESS)
PAUSABLE = CANCELLABLE


class OpenFiles(Protocol):
    """The part of files that the making of a batch needs; see `Files`."""

    async def open(self, account_id: str, file_id: str, *, param: str | None = "id") -> StoredFile: ...

    async def demand_room(self, account_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Overseen:
    """A batch as its owner has it, and who that is."""

    batch: Batch
    owner_name: str


class Batches:
    """What belongs to another account is as good as nothing: NotFound, word by word. An account of None is anybody's,
    for operators, whose acts stand in the audit log; actor is the key that acts.
    """

    def __init__(
        self,
        database: Database,
        files: OpenFiles,
        folders: BatchFolders,
        call: Callable[[str], None],
        *,
        most: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """call: is told the id of a batch at which there is something to do now. most: that an account may have which
        are not done."""
        self._database = database
        self._files = files
        self._folders = folders
        self._call = call
        self._most = most
        self._now = now

    async def create(
        self,
        caller: Caller,
        input_file_id: str,
        endpoint: str,
        completion_window: str,
        *,
        metadata: Mapping[str, str] | None = None,
        output_seconds: int | None = None,
        paid: bool = True,
    ) -> Batch:
        """output_seconds: that the files with its answers are kept; None is for ever. paid: whether the caller's key
        pays for it.

        Raises InvalidRequest, NotFound for the file, RateLimited for too many batches, StorageFull; PayloadTooLarge for
        an account that has no room for files: those with the answers are kept whether there is room or not.
        """
        window = window_of(completion_window)
        file = await self._files.open(caller.account_id, input_file_id, param="input_file_id")
        if file.purpose != "batch":
            raise InvalidRequest(
                f"The file {file.id} has the purpose '{file.purpose}'. Upload it with the purpose 'batch'.",
                param="input_file_id",
            )
        batch_id = new_id()
        now = self._now()
        row = BatchRow(
            id=batch_id,
            account_id=caller.account_id,
            key_id=caller.key_id if paid else None,
            endpoint=endpoint,
            input_file_id=file.id,
            completion_window=completion_window,
            status=Status.VALIDATING,
            details=None if metadata is None else json.dumps(dict(metadata)),
            output_seconds=output_seconds,
            created_at=now,
            expires_at=now + window,
            total=0,
            completed=0,
            failed=0,
            claims=0,
        )
        async with self._database.read() as session:
            await self._demand_room(session, caller.account_id)
        await self._files.demand_room(caller.account_id)
        try:
            folder = await to_thread.run_sync(partial(BatchFolder.make, self._folders.path(batch_id), file.path))
        except FileNotFoundError:
            raise no_such_file(input_file_id, "input_file_id") from None  # it was deleted meanwhile
        try:
            async with self._database.write() as session:
                await one_by_one(session, caller.account_id)
                await self._demand_room(session, caller.account_id)
                session.add(row)
        except BaseException:
            folder.remove()
            raise
        finally:
            folder.close()
        self._call(batch_id)
        return batch_of(row)

    async def find(self, account_id: str | None, batch_id: str) -> Batch:
        """Raises NotFound."""
        async with self._database.read() as session:
            return batch_of(await _row(session, account_id, batch_id))

    async def page(self, account_id: str, limit: int, after: str | None = None) -> Sequence[Batch]:
        """The newest first, those that come after the batch `after`. Raises NotFound for that."""
        query = select(BatchRow).where(BatchRow.account_id == account_id)
        async with self._database.read() as session:
            rows = await session.scalars(await _page(session, query, account_id, limit, after))
            return [batch_of(row) for row in rows]

    async def everybodys(
        self, limit: int, after: str | None = None, account_id: str | None = None, status: Status | None = None
    ) -> Sequence[Overseen]:
        """As `page`, for operators. account_id: only that one's. status: only those in it."""
        query = OVERSEEN.where(*_of(account_id))
        if status is not None:
            query = query.where(BatchRow.status == status)
        async with self._database.read() as session:
            rows = await session.execute(await _page(session, query, None, limit, after))
            return [Overseen(batch_of(row), name) for row, name in rows]

    async def overseen(self, batch_id: str) -> Overseen:
        """Anybody's, for operators. Raises NotFound."""
        if is_id(batch_id):
            async with self._database.read() as session:
                row = (await session.execute(OVERSEEN.where(BatchRow.id == batch_id))).first()
            if row is not None:
                return Overseen(batch_of(row[0]), row[1])
        raise no_such_batch(batch_id)

    # ------------------------------------------------------------ what is asked of one

    async def cancel(self, account_id: str | None, batch_id: str, *, actor: str | None = None) -> Batch:
        """What is done stays; what is under way ends. One that is being cancelled, or was, stays as it is.

        Raises NotFound; InvalidRequest for one that has ended.
        """
        values = {"status": Status.CANCELLING, "cancelling_at": self._now(), **UNPAUSED}
        keep = (Status.CANCELLING, Status.CANCELLED)
        return await self._change(account_id, batch_id, "cancel", CANCELLABLE, keep, values, actor)

    async def pause(self, account_id: str | None, batch_id: str, *, actor: str | None = None) -> Batch:
        """Nothing more of it is begun until it is resumed; what is under way goes on to its end.

        Raises NotFound; InvalidRequest for one that has ended, or is about to.
        """
        values = {"paused": Reason.USER, "pause_message": PAUSED_BY_OWNER, "paused_at": self._now()}
        return await self._change(account_id, batch_id, "pause", PAUSABLE, (), values, actor)

    async def resume(self, account_id: str | None, batch_id: str, *, actor: str | None = None) -> Batch:
        """It goes on now, whyever it was paused, if that is over. Raises as `pause`."""
        return await self._change(account_id, batch_id, "resume", PAUSABLE, (), UNPAUSED, actor)

    async def _change(
        self,
        account_id: str | None,
        batch_id: str,
        act: str,
        able: Sequence[Status],
        done: Sequence[Status],
        values: Mapping[str, Any],
        actor: str | None,
    ) -> Batch:
        """able: in which that may be done; done: in which there is nothing left to do."""
        async with self._database.write() as session:
            row = await _row(session, account_id, batch_id, lock=True)
            if row.status not in able and row.status not in done:
                raise InvalidRequest(f"Cannot {act} a batch with status '{row.status}'.")
            already = values["paused"] is not None and row.paused == values["paused"]  # it says since when
            if row.status in able and not already:
                for name, value in values.items():
                    setattr(row, name, value)
            if actor is not None:
                details = {"account_id": row.account_id}
                await AuditLog(session).add(self._now(), actor, f"batch.{act}", row.id, details)
            await session.flush()
            batch = batch_of(row)
        self._call(batch_id)
        return batch

    # ------------------------------------------------------------ how many there may be

    async def _demand_room(self, session: AsyncSession, account_id: str) -> None:
        count = select(func.count()).where(BatchRow.account_id == account_id, BatchRow.status.in_(OPEN))
        if (await session.execute(count)).scalar_one() >= self._most:
            raise RateLimited(
                f"This account has {self._most} batches that are not done, which is the most it may have.",
                headers={"Retry-After": str(ROOM_WAIT)},
            )


OVERSEEN = select(BatchRow, AccountRow.name).join(AccountRow, AccountRow.id == BatchRow.account_id)
UNPAUSED: Mapping[str, None] = {"paused": None, "pause_message": None, "paused_at": None}


async def _row(session: AsyncSession, account_id: str | None, batch_id: str, *, lock: bool = False) -> BatchRow:
    if is_id(batch_id):
        query = select(BatchRow).where(BatchRow.id == batch_id, *_of(account_id))
        row = await session.scalar(query.with_for_update() if lock else query)
        if row is not None:
            return row
    raise no_such_batch(batch_id)


async def _page(session: AsyncSession, query: Any, account_id: str | None, limit: int, after: str | None) -> Any:
    """query: of rows, which is narrowed."""
    if after is not None:
        query = query.where(BatchRow.number < (await _row(session, account_id, after)).number)
    return query.order_by(BatchRow.number.desc()).limit(limit)


def _of(account_id: str | None) -> Sequence[ColumnElement[bool]]:
    return () if account_id is None else (BatchRow.account_id == account_id,)
