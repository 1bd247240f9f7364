"""The database: connections, units of work, migrations. SQLite by default, PostgreSQL by its URL."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import anyio
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from server.storage.sqlite_file import BUSY_TIMEOUT, PRAGMAS, SqliteFile, into_wal

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

# Any number will do, as long as every process uses the same one.
MIGRATION_LOCK = 0x5A6E_0001


NO_ANSWER = (OperationalError, InterfaceError, sqlite3.OperationalError, OSError)
"""What a unit of work raises when the database is locked, full or gone; refused connections are bare OSErrors."""
OUTAGE = (SQLAlchemyError, sqlite3.Error, OSError)
"""What a unit of work raises when the database can't do it, for these reasons or others."""


class DatabaseError(Exception):
    """The database can't be used. The message is for the operator."""


class Database:
    """One pool of connections. Units of work commit when their block ends well, and roll back otherwise.

    They are short and are not interrupted by the cancellation of a request: a connection that is abandoned in
    the middle of a statement would have to be thrown away.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self.sqlite = self._url.get_backend_name() == "sqlite"
        if self.sqlite:
            options: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT}, "pool_size": 4, "max_overflow": 4}
        else:
            options = {"pool_size": 8, "max_overflow": 8, "pool_pre_ping": True}
        self._engine = create_async_engine(self._url, **options)
        self._writer = self._engine.execution_options(sagehold_write=True)
        if self.sqlite:
            _listen_sqlite(self._engine.sync_engine)
        self._read = async_sessionmaker(self._engine, expire_on_commit=False)
        self._write = async_sessionmaker(self._writer, expire_on_commit=False)
        # SQLite has one writer at a time and others poll for their turn; inside one process they queue instead.
        self._turn = asyncio.Lock() if self.sqlite else None
        self._file = SqliteFile(self._url.database or "") if self.sqlite else None

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession, None]:
        """A session that sees one state of the database."""
        with anyio.CancelScope(shield=True):
            async with self._read() as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncSession, None]:
        """A unit of work: all of it is committed, or none. On SQLite no other write runs at the same time."""
        with anyio.CancelScope(shield=True):
            async with self._turn or nullcontext(), self._write.begin() as session:
                yield session

    async def run(self, work: Callable[[Connection | sqlite3.Connection], Result]) -> Result:
        """A short unit of work written as plain blocking code, on a bare connection where it is SQLite's."""
        if self._turn is not None and self._file is not None:
            # Not shielded here: in the event loop nothing waits, and where the file waits, it shields that itself.
            async with self._turn:
                return await self._file.run(work)
        with anyio.CancelScope(shield=True):
            async with self._writer.begin() as connection:
                result = await connection.run_sync(work)
        return result

    async def lock(self, session: AsyncSession, number: int) -> None:
        """Exclude other units of work that take the same lock, until this one ends."""
        if not self.sqlite:
            await session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})

    @property
    def engine(self) -> Engine:
        """For who watches statements and connections by SQLAlchemy's events."""
        return self._engine.sync_engine

    async def migrate(self, revision: str = "head") -> None:
        """Bring the database to `revision`, from empty or from any older one, in one transaction.

        Safe when several processes start at once. Raises DatabaseError if a newer sagehold wrote the database.
        """
        if self.sqlite:
            await anyio.to_thread.run_sync(self._create_file)
        async with self.write() as session:
            await self.lock(session, MIGRATION_LOCK)
            connection = await session.connection()
            await connection.run_sync(_upgrade, revision)

    async def aclose(self) -> None:
        if self._file is not None:
            await self._file.aclose()
        await self._engine.dispose()

    def _create_file(self) -> None:
        """Create the database's file for its owner's eyes only; SQLite gives its journals the same mode."""
        if self._url.database and self._url.database != ":memory:":
            path = Path(self._url.database)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            into_wal(path)


def _listen_sqlite(engine: Engine) -> None:
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, and only deferred ones; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns into a writing one fails at once when another has written meanwhile.
    write = connection.get_execution_options().get("sagehold_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "server.storage:migrations")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    present = set(MigrationContext.configure(connection).get_current_heads())
    if not present <= known:
        raise DatabaseError(
            f"The database was written by a newer sagehold (schema {', '.join(sorted(present - known))}; this one "
            f"knows up to {max(known)}). Start that version, or restore the backup made before the upgrade."
        )
    command.upgrade(config, revision)
    reached = set(MigrationContext.configure(connection).get_current_heads())
    if reached != present:
        logger.info("upgraded the database from %s to %s", _described(present), _described(reached))


def _described(revisions: set[str]) -> str:
    return f"schema {', '.join(sorted(revisions))}" if revisions else "empty"
