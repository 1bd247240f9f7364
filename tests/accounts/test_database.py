"""Migrations and units of work on real files."""

import asyncio
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from server.accounts.database import Database, DatabaseError
from server.accounts.identity import Account
from server.accounts.repository import AccountRepository
from server.accounts.tables import Base

if TYPE_CHECKING:
    from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio


def url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


async def scalar(database: Database, query: str) -> object:
    async with database.read() as session:
        return await session.scalar(text(query))


async def test_an_empty_database_is_brought_to_the_tables_of_the_code(tmp_path: Path) -> None:
    database = Database(url(tmp_path / "new" / "sage.db"))
    await database.migrate()
    await database.migrate()
    async with database.read() as session:
        assert await (await session.connection()).run_sync(differences) == []
    assert await scalar(database, "PRAGMA journal_mode") == "wal"
    assert await scalar(database, "PRAGMA foreign_keys") == 1
    assert await scalar(database, "PRAGMA busy_timeout") == 30000
    assert stat.S_IMODE((tmp_path / "new" / "sage.db").stat().st_mode) == 0o600
    await database.aclose()


async def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = Database(url(tmp_path / "sage.db"))
    await database.migrate()
    async with database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"newer sagehold \(schema 9999"):
        await database.migrate()
    assert await scalar(database, "SELECT version_num FROM alembic_version") == "9999"
    await database.aclose()


async def test_starts_at_the_same_time_migrate_once(tmp_path: Path) -> None:
    databases = [Database(url(tmp_path / "sage.db")) for _ in range(6)]
    await asyncio.gather(*(database.migrate() for database in databases))
    assert await scalar(databases[0], "SELECT count(*) FROM alembic_version") == 1
    for database in databases:
        await database.aclose()


async def test_a_unit_of_work_is_kept_whole_or_not_at_all(tmp_path: Path, clock: "Clock") -> None:
    database = Database(url(tmp_path / "sage.db"))
    await database.migrate()

    async def fail() -> None:
        async with database.write() as session:
            await AccountRepository(session).add(Account("acct_1", "one", metered=True, created_at=clock()))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await fail()
    async with database.write() as session:
        await AccountRepository(session).add(Account("acct_2", "two", metered=True, created_at=clock()))
    async with database.read() as session:
        assert [account.name for account in await AccountRepository(session).all()] == ["two"]
    await database.aclose()


async def test_a_cancelled_request_does_not_tear_a_unit_of_work(tmp_path: Path, clock: "Clock") -> None:
    database = Database(url(tmp_path / "sage.db"))
    await database.migrate()
    entered = asyncio.Event()

    async def work() -> None:
        async with database.write() as session:
            entered.set()
            await AccountRepository(session).add(Account("acct_1", "one", metered=True, created_at=clock()))

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await entered.wait()
        group.cancel_scope.cancel()
    async with database.read() as session:
        assert [account.name for account in await AccountRepository(session).all()] == ["one"]
    await database.aclose()


async def test_writers_of_one_process_take_turns_without_an_error(tmp_path: Path, clock: "Clock") -> None:
    database = Database(url(tmp_path / "sage.db"))
    await database.migrate()

    async def add(number: int) -> None:
        async with database.write() as session:
            await AccountRepository(session).add(Account(f"acct_{number}", str(number), True, clock()))

    await asyncio.gather(*(add(number) for number in range(100)))
    assert await scalar(database, "SELECT count(*) FROM accounts") == 100
    await database.aclose()
