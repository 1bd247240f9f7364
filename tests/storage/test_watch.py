"""A database that goes away under the running server: noticed, told, and back when it is."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import anyio
import asyncpg
import pytest
from sqlalchemy import text

from server.errors import DatabaseUnavailable
from server.storage import sqlite_file, watch
from server.storage.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests look by themselves, and a lock is not waited for."""
    monkeypatch.setattr(watch, "LOOK", 3600)
    monkeypatch.setattr(watch, "PATIENT_LOOK", 3600)
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.01)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    await opened.migrate()
    await write(opened)
    watching = asyncio.create_task(opened.watch.keep())
    await asyncio.sleep(0)
    yield opened
    watching.cancel()
    await asyncio.wait([watching])
    await opened.aclose()


def insert(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO installation VALUES (hex(randomblob(8)), 'x')")


async def write(database: Database) -> None:
    await database.run(insert)  # type: ignore[arg-type]


async def count(database: Database) -> int:
    async with database.read() as session:
        return int(await session.scalar(text("SELECT count(*) FROM installation WHERE value = 'x'")) or 0)


async def test_a_deleted_file_is_noticed_and_back_when_it_is_put_back(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.db").rename(tmp_path / "away.db")
    await database.watch.look()
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await write(database)
        with pytest.raises(DatabaseUnavailable):
            await count(database)
        with pytest.raises(DatabaseUnavailable):
            async with database.write():
                pytest.fail("nothing is written into a file that is gone")
        await database.watch.look()
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert f"the database {tmp_path}/a.db was deleted under the running server" in line
    (tmp_path / "away.db").rename(tmp_path / "a.db")
    await database.watch.look()
    await write(database)
    assert await count(database) == 2
    assert "the database answers again" in caplog.text


async def test_another_file_in_its_place_is_not_taken_for_it(database: Database, tmp_path: Path) -> None:
    content = (tmp_path / "a.db").read_bytes()
    (tmp_path / "a.db").rename(tmp_path / "away.db")
    (tmp_path / "a.db").write_bytes(content)
    await database.watch.look()
    assert "was replaced by another file" in (database.watch.trouble or "")
    with pytest.raises(DatabaseUnavailable):
        await write(database)
    assert (tmp_path / "a.db").read_bytes() == content


async def test_all_who_wait_for_a_lock_wait_once_and_reads_go_on(database: Database, tmp_path: Path) -> None:
    waits = 0
    file = database._file
    assert file is not None
    patiently = file._run_patiently

    def counted(work: object) -> object:
        nonlocal waits
        waits += 1
        return patiently(work)  # type: ignore[arg-type]

    file._run_patiently = counted  # type: ignore[method-assign, assignment]
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outcomes = await asyncio.gather(*(write(database) for _ in range(20)), return_exceptions=True)
        refused = [type(outcome) for outcome in outcomes]
        assert refused == [sqlite3.OperationalError] + 19 * [DatabaseUnavailable]
        assert waits <= 2  # the first request, and the watch, which it calls
        await database.watch.look()
        assert "is locked by another process" in (database.watch.trouble or "")
        assert await count(database) == 1
        other.execute("COMMIT")
    await database.watch.look()
    assert database.watch.trouble is None
    await write(database)
    assert await count(database) == 2


async def test_a_full_disk_is_an_outage_until_there_is_room(database: Database, tmp_path: Path) -> None:
    file = database._file
    assert file is not None
    assert file._connection is not None
    pages = file._connection.execute("PRAGMA page_count").fetchone()[0]
    file._connection.execute(f"PRAGMA max_page_count={pages}")

    def much(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO installation VALUES ('much', ?)", ("y" * 100_000,))

    with pytest.raises(sqlite3.OperationalError, match="full"):
        await database.run(much)  # type: ignore[arg-type]
    assert f"The disk that holds the database {tmp_path}/a.db is full" in (database.watch.trouble or "")
    with pytest.raises(DatabaseUnavailable):
        async with database.write():
            pytest.fail("the disk is full")
    assert await count(database) == 1
    await database.watch.look()  # a small write has room
    await write(database)
    assert await count(database) == 2


async def test_a_failure_makes_the_watch_look_at_once(database: Database) -> None:
    looks = 0
    looked = asyncio.Event()

    async def look() -> None:
        nonlocal looks
        looks += 1
        looked.set()

    database.watch.look = look  # type: ignore[method-assign]
    database.watch.failed(OSError("gone"))
    with anyio.fail_after(5):
        await looked.wait()
    assert looks == 1


async def test_a_process_that_does_not_watch_refuses_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'b.db'}")
    await database.migrate()
    database.watch.failed(OSError("gone"))
    await write(database)
    await database.aclose()


async def test_a_database_server_that_refuses_connections_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that is just starting; the driver's own error came through as a 500."""

    async def connect(*_: object, **__: object) -> None:
        raise asyncpg.CannotConnectNowError("the database system is starting up")

    monkeypatch.setattr(asyncpg, "connect", connect)
    database = Database("postgresql+asyncpg://a@h/x")
    watching = asyncio.create_task(database.watch.keep())
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable):
        await count(database)
    with pytest.raises(DatabaseUnavailable):
        async with database.write():
            pytest.fail("it is not there")
    await database.watch.look()
    assert "starting up" in (database.watch.trouble or "")
    assert not watching.done()
    watching.cancel()
    await asyncio.wait([watching])
    await database.aclose()


async def test_a_database_server_that_does_not_answer_is_an_outage_for_reads_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = Database("postgresql+asyncpg://a:secret-word@127.0.0.1:1/x")
    watching = asyncio.create_task(database.watch.keep())
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable):
        await count(database)
    await database.watch.look()
    assert database.watch.lost
    assert "does not answer" in (database.watch.trouble or "")
    assert "secret-word" not in caplog.text
    watching.cancel()
    await asyncio.wait([watching])
    await database.aclose()
