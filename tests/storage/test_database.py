"""Migrations and units of work, on SQLite and on PostgreSQL."""

import asyncio
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from server.accounts.keys.identity import Account
from server.accounts.keys.repository import AccountRepository
from server.jobs import tables as _jobs_tables  # noqa: F401 - they are part of the metadata
from server.knowledge import tables as _knowledge_tables  # noqa: F401
from server.storage.database import OUTAGE, Database, DatabaseError
from server.storage.tables import Base

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.aclose()


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


async def scalar(database: Database, query: str) -> object:
    async with database.read() as session:
        return await session.scalar(text(query))


async def run(database: Database, *statements: str) -> None:
    async with database.write() as session:
        for statement in statements:
            await session.execute(text(statement))


async def add_account(database: Database, name: str) -> None:
    async with database.write() as session:
        await AccountRepository(session).add(Account(f"acct_{name}", name, metered=True, created_at=NOON))


async def names(database: Database) -> list[str]:
    async with database.read() as session:
        return [account.name for account in await AccountRepository(session).all()]


async def test_an_empty_database_is_brought_to_the_tables_of_the_code(database: Database) -> None:
    await database.migrate()
    await database.migrate()
    async with database.read() as session:
        assert await (await session.connection()).run_sync(differences) == []


async def test_sqlite_is_set_up_for_many_readers_and_one_writer(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'new' / 'sage.db'}")
    await database.migrate()
    assert await scalar(database, "PRAGMA journal_mode") == "wal"
    assert await scalar(database, "PRAGMA foreign_keys") == 1
    assert await scalar(database, "PRAGMA busy_timeout") == 3000
    assert stat.S_IMODE((tmp_path / "new" / "sage.db").stat().st_mode) == 0o600
    await database.aclose()


async def test_a_file_that_was_deleted_is_not_made_again_by_a_new_connection(tmp_path: Path) -> None:
    """The next start would take an empty file for a new database, and forget that there was another."""
    path = tmp_path / "a.db"
    database = Database(f"sqlite+aiosqlite:///{path}")
    await database.migrate()
    for file in (path, *tmp_path.glob("a.db-*")):
        file.unlink()
    outcomes = await asyncio.gather(*(names(database) for _ in range(6)), return_exceptions=True)
    assert any(isinstance(outcome, OUTAGE) for outcome in outcomes)
    assert database._file is not None
    database._file._checkpoint()
    assert not path.exists()
    await database.aclose()


async def test_an_older_database_is_upgraded_and_keeps_what_it_holds(database: Database) -> None:
    await database.migrate("0001")
    await run(
        database,
        "INSERT INTO accounts (id, name, metered, created_at) VALUES ('acct_1', 'old', TRUE, '2026-01-01 00:00:00')",
    )
    await database.migrate()
    assert await names(database) == ["old"]
    assert await scalar(database, "SELECT available FROM balances WHERE account_id = 'acct_1'") == 0
    async with database.read() as session:
        assert await (await session.connection()).run_sync(differences) == []


async def test_a_newer_database_is_refused_and_left_alone(database: Database) -> None:
    await database.migrate()
    await run(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseError, match=r"newer sagehold \(schema 9999"):
        await database.migrate()
    assert await scalar(database, "SELECT version_num FROM alembic_version") == "9999"


async def test_starts_at_the_same_time_migrate_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    await asyncio.gather(*(database.migrate() for database in databases))
    assert await scalar(databases[0], "SELECT count(*) FROM alembic_version") == 1
    for database in databases:
        await database.aclose()


async def test_a_unit_of_work_is_kept_whole_or_not_at_all(database: Database) -> None:
    await database.migrate()

    async def fail() -> None:
        async with database.write() as session:
            await AccountRepository(session).add(Account("acct_1", "one", metered=True, created_at=NOON))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await fail()
    await add_account(database, "two")
    assert await names(database) == ["two"]


async def test_a_cancelled_request_does_not_tear_a_unit_of_work(database: Database) -> None:
    await database.migrate()
    entered = asyncio.Event()

    async def work() -> None:
        async with database.write() as session:
            entered.set()
            await AccountRepository(session).add(Account("acct_1", "one", metered=True, created_at=NOON))

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await entered.wait()
        group.cancel_scope.cancel()
    assert await names(database) == ["one"]


async def test_many_writers_take_turns_without_an_error(database: Database) -> None:
    await database.migrate()
    await asyncio.gather(*(add_account(database, str(number)) for number in range(60)))
    assert len(await names(database)) == 60


@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id + 1", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["ledger_entries", "audit_log"])
async def test_what_was_written_down_stays(database: Database, table: str, statement: str) -> None:
    await database.migrate()
    await add_account(database, "one")
    await run(
        database,
        "INSERT INTO audit_log (at, actor, action, target, details) "
        "VALUES ('2026-01-01 00:00:00', 'local', 'key.create', 'key_1', '{}')",
        "INSERT INTO ledger_entries (account_id, reference, kind, line, amount, note, created_at) "
        "VALUES ('acct_one', 'r', 'grant', 0, 1, '', '2026-01-01 00:00:00')",
    )
    with pytest.raises(DBAPIError, match=f"{table} is append-only"):
        await run(database, statement.format(table))
    assert await scalar(database, f"SELECT count(*) FROM {table}") == 1


async def test_the_database_itself_refuses_a_balance_below_zero(database: Database) -> None:
    await database.migrate()
    await add_account(database, "one")
    with pytest.raises(DBAPIError, match="not_overspent"):
        await run(database, "UPDATE balances SET available = -1")
