"""The files that clients keep here: taken in, listed, opened, deleted, and forgotten when their time is over."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import anyio
from anyio import to_thread
from sqlalchemy import ColumnElement, delete, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.tables import AccountRow
from server.errors import NotFound, PayloadTooLarge
from server.jobs.files.incoming import Incoming, Tally, no_room, too_large, too_many
from server.jobs.files.linking import linked
from server.jobs.files.names import shown_name
from server.jobs.files.places import Places
from server.jobs.files.records import BATCH_OUTPUT, UPLOADED, StoredFile, is_id, new_id, no_such_file
from server.jobs.owners import one_by_one
from server.jobs.tables import FileRow
from server.storage import orphans
from server.storage.clock import utc_now
from server.storage.database import OUTAGE, Database
from server.storage.held_files import make_folder

log = logging.getLogger(__name__)

SWEEP = 60.0
"""Seconds between two looks for what is to be forgotten."""
MOST_FILES = 100_000
"""Of an account: each takes a block of the disk and a row, however small it is."""
_AT_ONCE = 500


class Files:
    """Invariants: a file that a row names is whole and on the disk; a file that no row names, and that no process has
    locked, is nobody's, and `sweep` deletes it. What belongs to another account is as good as nothing.

    Several processes may share a folder. File work runs in threads.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        max_file: int,
        max_account_files: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """max_file: bytes of one file that a client sends. max_account_files: of all that an account keeps."""
        self.database = database
        self._folder = folder
        self._max_file = max_file
        self._max_account_files = max_account_files
        self.now = now
        self._tally = Tally()
        self._arriving = Places()

    async def start(self) -> None:
        """Make the folder, and delete what a crash or an earlier run has left."""
        await to_thread.run_sync(make_folder, self._folder)
        try:
            await self.sweep()
        except OUTAGE as error:
            log.warning("files are not swept: %s", error)

    @asynccontextmanager
    async def receive(self, account_id: str, announced: int = 0) -> AsyncGenerator[Incoming, None]:
        """A file on its way in, which `keep` keeps; without that, nothing is left of it after the block.

        announced: bytes that it will have at least, as far as the client has said. Raises PayloadTooLarge where there
        is no room for them; RateLimited and Overloaded where too many come at once.
        """
        if announced > self._max_file:
            raise too_large(self._max_file, announced)
        async with self.database.read() as session:
            room = await self._room(session, account_id)
        if announced + self._tally.of(account_id) > room:
            raise no_room()
        incoming = Incoming(self._folder, new_id(), account_id, self._tally, most=self._max_file, room=room)
        self._arriving.take(account_id)
        try:
            await to_thread.run_sync(incoming.open)
            yield incoming
        finally:
            # The thread goes on even where whoever waits for it is cancelled.
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(incoming.close)
            self._arriving.give_back(account_id)

    async def keep(self, incoming: Incoming, filename: str, purpose: str, lifetime: int | None = None) -> StoredFile:
        """Write the row of a file that has come. lifetime: seconds; None is for ever.

        Raises PayloadTooLarge where the account's files would be too many bytes (of two that come at once, for the
        second), StorageFull.
        """
        keeping = asyncio.create_task(self._keep(incoming, filename, purpose, lifetime))
        try:
            return await asyncio.shield(keeping)
        except asyncio.CancelledError:
            await asyncio.wait([keeping])  # its end says whether there is a row
            keeping.exception()  # nobody is there to be told
            raise

    async def _keep(self, incoming: Incoming, filename: str, purpose: str, lifetime: int | None) -> StoredFile:
        await to_thread.run_sync(incoming.finish)
        created_at = self.now()
        expires_at = None if lifetime is None else created_at + timedelta(seconds=lifetime)
        async with self.database.write() as session:
            await one_by_one(session, incoming.account_id)
            if incoming.size > await self._room(session, incoming.account_id):
                raise no_room()
            row = _row(incoming.id, incoming.account_id, filename, purpose, incoming.size, created_at, expires_at)
            session.add(row)
        incoming.entered()
        return self._stored(row)

    async def adopt(
        self,
        account_id: str,
        path: Path,
        filename: str,
        purpose: str,
        expires_after: timedelta | None,
        *,
        file_id: str | None = None,
    ) -> StoredFile:
        """Make a file of what lies in the data folder, which stays where it is too: both names are of the same bytes.

        expires_after: from when it is made. It is kept however much the account keeps already: finished work is never
        lost. file_id: chosen by whoever may do this twice, as after a crash; the second time changes nothing. Raises
        StorageFull.
        """
        if file_id is not None:
            with suppress(NotFound):
                return await self.open(account_id, file_id)
        file_id = file_id or new_id()
        held, size = await to_thread.run_sync(linked, path, self._folder / file_id)
        try:
            now = self.now()
            expires_at = None if expires_after is None else now + expires_after
            row = _row(file_id, account_id, filename, purpose, size, now, expires_at)
            async with self.database.write() as session:
                session.add(row)
        finally:
            held.close()  # and with it the lock: without a row, a sweep takes it
        return self._stored(row)

    async def demand_room(self, account_id: str) -> None:
        """Raises PayloadTooLarge, of no field, for an account that may keep nothing more."""
        try:
            async with self.database.read() as session:
                if await self._room(session, account_id) <= 0:
                    raise no_room()
        except PayloadTooLarge as error:
            error.param = None
            raise

    async def open(self, account_id: str, file_id: str, *, param: str | None = "id") -> StoredFile:
        """param: the field that names the file, for the error. Raises NotFound."""
        if is_id(file_id):
            async with self.database.read() as session:
                query = select(FileRow).where(FileRow.id == file_id, FileRow.account_id == account_id, self._alive())
                row = await session.scalar(query)
            if row is not None:
                return self._stored(row)
        raise no_such_file(file_id, param)

    async def page(
        self,
        account_id: str | None,
        *,
        after: str | None = None,
        limit: int = 10_000,
        ascending: bool = False,
        purpose: str | None = None,
    ) -> Sequence[StoredFile]:
        """At most `limit` of the account's files, or of everybody's, that come after the file `after`.

        Raises NotFound where that is none of them.
        """
        theirs = true() if account_id is None else FileRow.account_id == account_id
        query = select(FileRow).where(theirs, self._alive())
        if purpose not in (None, *UPLOADED, BATCH_OUTPUT):
            return []
        if purpose is not None:
            query = query.where(FileRow.purpose == purpose)
        async with self.database.read() as session:
            if after is not None:
                own = select(FileRow.number).where(FileRow.id == after, theirs)
                number = await session.scalar(own) if is_id(after) else None
                if number is None:
                    raise no_such_file(after, "after")
                query = query.where(FileRow.number > number if ascending else FileRow.number < number)
            query = query.order_by(FileRow.number.asc() if ascending else FileRow.number.desc()).limit(limit)
            return [self._stored(row) for row in await session.scalars(query)]

    async def delete(
        self,
        account_id: str | None,
        file_id: str,
        also: Callable[[AsyncSession, StoredFile], Awaitable[None]] | None = None,
    ) -> None:
        """One of the account's, or anybody's. Whoever reads it reads it to the end. Raises NotFound.

        also: what is written in the same unit of work.
        """
        if not is_id(file_id):
            raise no_such_file(file_id)
        theirs = true() if account_id is None else FileRow.account_id == account_id
        async with self.database.write() as session:
            row = await session.scalar(
                delete(FileRow).where(FileRow.id == file_id, theirs, self._alive()).returning(FileRow)
            )
            if row is None:
                raise no_such_file(file_id)
            if also is not None:
                await also(session, self._stored(row))
        await to_thread.run_sync(self._unlink, [file_id])

    async def sweep(self) -> None:
        """Delete files whose time is over or whose account is closed, and what a crash has left on the disk.

        Raises OUTAGE.
        """
        closed = select(AccountRow.id).where(AccountRow.closed_at.is_not(None))
        over = or_(~self._alive(), FileRow.account_id.in_(closed))
        while True:
            async with self.database.write() as session:
                some = select(FileRow.number).where(over).limit(_AT_ONCE)
                gone = list(
                    await session.scalars(delete(FileRow).where(FileRow.number.in_(some)).returning(FileRow.id))
                )
            await to_thread.run_sync(self._unlink, gone)
            if len(gone) < _AT_ONCE:
                break
        await orphans.sweep(self._folder, self._named)

    async def keep_swept(self) -> None:
        """Sweep for ever, each minute."""
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self.sweep()
            except OUTAGE as error:
                log.warning("files are not swept: %s", error)

    async def _named(self, ids: Sequence[str]) -> set[str]:
        async with self.database.read() as session:
            return set(await session.scalars(select(FileRow.id).where(FileRow.id.in_(ids))))

    async def _room(self, session: AsyncSession, account_id: str) -> int:
        """Bytes that the account may still keep. Raises PayloadTooLarge where it has as many files as it may."""
        query = select(func.count(), func.coalesce(func.sum(FileRow.size), 0))
        count, size = (await session.execute(query.where(FileRow.account_id == account_id, self._alive()))).one()
        if count >= MOST_FILES:
            raise too_many(MOST_FILES)
        return self._max_account_files - int(size)

    def _alive(self) -> ColumnElement[bool]:
        return or_(FileRow.expires_at.is_(None), FileRow.expires_at > self.now())

    def _stored(self, row: FileRow) -> StoredFile:
        return StoredFile(
            id=row.id,
            account_id=row.account_id,
            path=self._folder / row.id,
            filename=row.filename,
            purpose=row.purpose,
            size=row.size,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )

    def _unlink(self, ids: Sequence[str]) -> None:
        for one in ids:
            (self._folder / one).unlink(missing_ok=True)


def _row(
    file_id: str,
    account_id: str,
    filename: str,
    purpose: str,
    size: int,
    created_at: datetime,
    expires_at: datetime | None,
) -> FileRow:
    return FileRow(
        id=file_id,
        account_id=account_id,
        filename=shown_name(filename),
        purpose=purpose,
        size=size,
        created_at=created_at,
        expires_at=expires_at,
    )
