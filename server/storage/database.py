"""The database: connections, units of work, migrations. SQLite by default, PostgreSQL by its URL."""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, inspect, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker, create_async_engine

from server.errors import DatabaseUnavailable
from server.storage.opening import DatabaseError, check_ours, check_whole, in_words, look_at
from server.storage.sqlite_file import (
    BUSY_TIMEOUT,
    PRAGMAS,
    START_TIMEOUT,
    SqliteFile,
    empty_log,
    existing,
    into_wal,
    is_busy,
    sync_log,
)
from server.storage.units import unit
from server.storage.watch import Watch

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

# Any number will do, as long as every process uses the same one.
MIGRATION_LOCK = 0x5A6E_0001


NO_ANSWER = (DatabaseUnavailable, OperationalError, InterfaceError, sqlite3.OperationalError, OSError)
"""What a unit of work raises when the database is locked, full or gone; refused connections are bare OSErrors."""
OUTAGE = (DatabaseUnavailable, SQLAlchemyError, sqlite3.Error, OSError)
"""What a unit of work raises when the database can't do it, for these reasons or others."""
SERVER_WAIT = 5.0
"""Seconds that a database server may take: to connect, to answer a look-up, to write a step, to grant a lock."""


class Database:
    """One pool of connections. Units of work commit when their block ends well, and roll back otherwise.

    They are short and are not interrupted by the cancellation of a request: a connection that is abandoned in
    the middle of a statement would have to be thrown away. Background work is ended by `units.end` for the same reason.

    While `watch` has found that the database does not answer, units of work raise DatabaseUnavailable at once.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self.sqlite = self._url.get_backend_name() == "sqlite"
        if self.sqlite:
            options: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT}, "pool_size": 4, "max_overflow": 4}
        else:
            options = {
                "connect_args": {
                    "async_creator_fn": _connect,
                    "timeout": SERVER_WAIT,
                    "server_settings": {"lock_timeout": str(int(SERVER_WAIT * 1000))},
                },
                "pool_size": 8,
                "max_overflow": 8,
                "pool_pre_ping": True,
                "pool_timeout": SERVER_WAIT,
            }
        self._engine = create_async_engine(self._url, **options)
        self._writer = self._engine.execution_options(sagehold_write=True)
        if self.sqlite:
            _listen_sqlite(self._engine.sync_engine, on_disk=self._url.database not in (None, "", ":memory:"))
        self._read = async_sessionmaker(self._engine, expire_on_commit=False)
        self._write = async_sessionmaker(self._writer, expire_on_commit=False)
        # SQLite has one writer at a time and others poll for their turn; inside one process they queue instead.
        self._turn = asyncio.Lock() if self.sqlite else None
        self._file = SqliteFile(self._url.database or "") if self.sqlite else None
        on_disk = self.sqlite and self._url.database not in (None, "", ":memory:")
        self.path = Path(self._url.database or "").resolve() if on_disk else None
        """Of SQLite's file."""
        self.watch = Watch(self.path, self._try)

    @asynccontextmanager
    async def read(self, within: float | None = None) -> AsyncGenerator[AsyncSession, None]:
        """A session that sees one state of the database.

        within: seconds that a database server has for it; None is without limit, for long reports. Raises
        DatabaseUnavailable where the database does not answer.
        """
        if self.watch.lost:
            raise DatabaseUnavailable
        limit = None if self.sqlite else within
        try:
            async with asyncio.timeout(limit):
                with unit(), anyio.CancelScope(shield=True):
                    async with self._read() as session:
                        yield session
        except NO_ANSWER as error:
            raise self._unavailable(error) from error

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncSession, None]:
        """A unit of work: all of it is committed, or none. On SQLite no other write runs at the same time.

        Raises DatabaseUnavailable where the database does not answer.
        """
        try:
            async with self._writing() as session:
                yield session
        except NO_ANSWER as error:
            raise self._unavailable(error) from error

    async def run(self, work: Callable[[Connection | sqlite3.Connection], Result]) -> Result:
        """A short unit of work written as plain blocking code, on a bare connection where it is SQLite's.

        Raises what the driver raises.
        """
        try:
            return await self._run(work)
        except NO_ANSWER as error:
            self._unavailable(error)
            raise

    async def _run(self, work: Callable[[Connection | sqlite3.Connection], Result]) -> Result:
        self._refuse_if_down()
        if self._turn is not None and self._file is not None:
            # Not shielded here: in the event loop nothing waits, and where the file waits, it shields that itself.
            async with self._turn:
                self._refuse_if_down()  # who waited behind one that found out does not wait for as long again
                return await self._file.run(work)
        # Whether a step was written that took too long is unknown. Steps may be repeated: each counts once.
        async with asyncio.timeout(SERVER_WAIT):
            with anyio.CancelScope(shield=True):
                async with self._writer.begin() as connection:
                    result = await connection.run_sync(work)
        return result

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncSession, None]:
        self._refuse_if_down()
        with unit(), anyio.CancelScope(shield=True):
            async with self._turn or nullcontext():
                self._refuse_if_down()
                async with self._write.begin() as session:
                    yield session

    def _refuse_if_down(self) -> None:
        if self.watch.trouble is not None:
            raise DatabaseUnavailable

    def _unavailable(self, error: BaseException) -> DatabaseUnavailable:
        if isinstance(error, DatabaseUnavailable):
            return error
        self.watch.failed(error)
        return DatabaseUnavailable()

    async def _try(self) -> None:
        """Ask the database whether it does its work. Raises what the driver raises."""
        if self._turn is not None and self._file is not None:
            async with self._turn:
                await self._file.run(_write_something)
            return
        async with asyncio.timeout(SERVER_WAIT), self._engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def lock(self, session: AsyncSession, number: int) -> None:
        """Exclude other units of work that take the same lock, until this one ends."""
        if not self.sqlite:
            await session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[AsyncConnection, None]:
        """A connection to a database server that is outside of any transaction, for one statement after another that
        each may take long: no lock is waited for in vain, and a cancellation ends what runs. It is closed afterwards,
        with the locks and the settings of its session. Raises DatabaseUnavailable, and what the driver raises.
        """
        if self.watch.lost:
            raise DatabaseUnavailable
        try:
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                try:
                    await connection.execute(text("SET lock_timeout = 0"))
                    await connection.execute(text("SET statement_timeout = 0"))
                    yield connection
                finally:
                    await connection.invalidate()
        except NO_ANSWER as error:
            raise self._unavailable(error) from error

    async def empty_log(self) -> bool:
        """Move all that SQLite's log holds into the database and cut it to nothing, so that no older text stays there.

        False where a reader or a writer is in the way at this moment. Raises sqlite3.Error.
        """
        return self.path is None or await anyio.to_thread.run_sync(empty_log, self.path)

    async def on_disk(self) -> None:
        """Return once all that was committed by now survives a loss of power too. SQLite's commits alone may be lost by
        one (see PRAGMAS): call it before files are deleted that are needed no more only because of a commit.

        Raises OSError.
        """
        if self.path is not None:
            await anyio.to_thread.run_sync(sync_log, self.path)

    @property
    def engine(self) -> Engine:
        """For who watches statements and connections by SQLAlchemy's events."""
        return self._engine.sync_engine

    async def migrate(
        self, revision: str = "head", *, create: bool = True, check: bool = False, used_before: bool = False
    ) -> None:
        """Bring the database to `revision`, from empty or from any older one, in one transaction.

        create: whether a missing database is made. check: whether SQLite's file is checked for damage first.
        used_before: whether an empty database is one that was lost. Safe when several processes start at once. Raises
        DatabaseError, worded for the operator, for a database that is damaged, foreign, newer or can't be reached.
        """
        with in_words(self._url):
            if self.path is not None:
                await anyio.to_thread.run_sync(partial(self._prepare_file, self.path, create, check, used_before))
            until = time.monotonic() + START_TIMEOUT
            while not await self._migrate(revision, create):
                if time.monotonic() > until:
                    raise TimeoutError("it is locked by another process")

    async def _migrate(self, revision: str, create: bool) -> bool:
        """False where another process has the database."""
        try:
            with anyio.CancelScope(shield=True):
                async with self._turn or nullcontext(), self._write.begin() as session:
                    if not self.sqlite:
                        # Another server may upgrade for longer than a request waits.
                        await session.execute(text(f"SET LOCAL lock_timeout = '{int(START_TIMEOUT)}s'"))
                    await self.lock(session, MIGRATION_LOCK)
                    connection = await session.connection()
                    change = await connection.run_sync(partial(_upgrade, revision=revision, create=create))
        except OperationalError as error:
            if is_busy(error.orig):
                return False
            raise
        if change:
            logger.info("upgraded the database %s", change)
        return True

    async def aclose(self) -> None:
        if self._file is not None:
            await self._file.aclose()
        await self._engine.dispose()

    def _prepare_file(self, path: Path, create: bool, check: bool, used_before: bool) -> None:
        """Look at the database's file, and create a missing one for its owner's eyes only.

        SQLite gives its journals the same mode.
        """
        look_at(path, create=create, used_before=used_before)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        into_wal(path)
        if check and not check_whole(path):
            logger.warning("the database is too big to be checked for damage as a whole at a start")


async def _connect(*arguments: Any, **options: Any) -> Any:
    """asyncpg's, whose errors SQLAlchemy passes on as they are: here each is one of NO_ANSWER.

    A server that is just starting refuses connections by one of its own. What the URL's parameters mean is found out
    here too: one that there isn't is a TypeError, a port beyond 65535 an OverflowError.
    """
    import asyncpg

    try:
        return await asyncpg.connect(*arguments, **options)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, TypeError, ValueError, OverflowError) as error:
        raise ConnectionError(str(error)) from error


def _write_something(connection: sqlite3.Connection) -> None:
    # A value that changes: SQLite leaves out a write that would change nothing.
    connection.execute(
        "INSERT INTO installation (name, value) VALUES ('tried', :now) ON CONFLICT (name) DO UPDATE SET value = :now",
        {"now": str(time.time())},
    )


def _listen_sqlite(engine: Engine, *, on_disk: bool) -> None:
    if on_disk:
        event.listen(engine, "do_connect", _only_existing)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)


def _only_existing(_dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]) -> None:
    # `migrate` has made the file before the first connection.
    arguments[0] = existing(arguments[0])
    named["uri"] = True


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, and only deferred ones; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (*PRAGMAS, "PRAGMA secure_delete=ON"):  # a deleted document's text must not stay in free pages
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns into a writing one fails at once when another has written meanwhile.
    write = connection.get_execution_options().get("sagehold_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def known_revisions() -> frozenset[str]:
    """The schemas that this sagehold knows."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "server.storage:migrations")
    return config


def _upgrade(connection: Connection, revision: str, create: bool) -> str:
    """From what to what; empty where there was nothing to do."""
    url = connection.engine.url
    tables = set(inspect(connection).get_table_names())
    what = str(Path(url.database).resolve()) if url.get_backend_name() == "sqlite" and url.database else url.database
    check_ours(tables, what or "")
    if not tables and not create:
        raise DatabaseError(f"The database {what} is empty: start the server on it first (`sagehold serve`).")
    config = _config()
    config.attributes["connection"] = connection
    known = known_revisions()
    present = set(MigrationContext.configure(connection).get_current_heads())
    if not present <= known:
        raise DatabaseError(
            f"The database was written by a newer sagehold (schema {', '.join(sorted(present - known))}; this one "
            f"knows up to {max(known)}). Start that version, or restore the backup made before the upgrade."
        )
    command.upgrade(config, revision)
    reached = set(MigrationContext.configure(connection).get_current_heads())
    return "" if reached == present else f"from {_described(present)} to {_described(reached)}"


def _described(revisions: set[str]) -> str:
    return f"schema {', '.join(sorted(revisions))}" if revisions else "empty"
