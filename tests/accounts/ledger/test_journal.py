"""What posting writes to SQLite by the driver alone, read back by SQLAlchemy."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from server.accounts.ledger.journal import journal_on
from server.accounts.tables import AuditRow
from server.storage.database import Database

pytestmark = pytest.mark.anyio

AT = datetime(2026, 11, 21, 23, 30, 0, 5, tzinfo=timezone(timedelta(hours=-3)))
ACT: dict[str, Any] = {"at": AT, "actor": "local", "action": "key.create", "target": "key_1", "details": "{}"}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{tmp_path / 'sage.db'}")
    await opened.migrate()
    yield opened
    await opened.aclose()


async def write(database: Database, *rows: dict[str, Any]) -> None:
    await database.run(lambda connection: journal_on(connection).write("audit", rows))


async def acts(database: Database) -> list[tuple[datetime, str, str]]:
    async with database.read() as session:
        return [
            (row.at, row.actor, row.target) for row in await session.scalars(select(AuditRow).order_by(AuditRow.id))
        ]


async def test_the_first_row_does_not_decide_which_columns_the_next_have(database: Database) -> None:
    with pytest.raises(KeyError):
        await write(database, {"at": AT, "actor": "local"})
    await write(database, ACT, dict(reversed(ACT.items())))
    assert await acts(database) == 2 * [(AT, "local", "key_1")]


async def test_an_instant_is_stored_as_sqlalchemy_stores_it(database: Database, tmp_path: Path) -> None:
    await write(database, ACT)
    async with database.write() as session:
        session.add(AuditRow(**ACT))
    with sqlite3.connect(tmp_path / "sage.db") as connection:
        stored = [at for (at,) in connection.execute("SELECT at FROM audit_log")]
    connection.close()
    assert stored == 2 * ["2026-11-22 02:30:00.000005"]
