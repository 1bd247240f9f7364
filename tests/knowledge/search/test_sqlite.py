"""What SQLite alone has: one writer that nothing may hold for long, threads that search, and perhaps no FTS5."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from server.errors import DatabaseUnavailable, KnowledgeUnavailable
from server.knowledge.search import sqlite as searching
from server.knowledge.search.sqlite import SqliteIndex
from server.knowledge.search.threads import SearchThreads, Stop
from server.storage.database import Database
from tests.knowledge.search.shelf import Shelf

pytestmark = pytest.mark.anyio
FOREVER = "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many) SELECT count(*) FROM many"


@pytest.fixture
async def database(migrated_file: Path, tmp_path: Path) -> AsyncIterator[Database]:
    shutil.copy(migrated_file, tmp_path / "sagehold.db")
    opened = Database(f"sqlite+aiosqlite:///{tmp_path / 'sagehold.db'}")
    yield opened
    await opened.aclose()


@pytest.fixture
async def index(database: Database) -> AsyncIterator[SqliteIndex]:
    made = SqliteIndex(database, 2**20)
    yield made
    await made.aclose()


async def test_a_dataset_is_dropped_in_pieces(shelf: Shelf) -> None:
    handbook, other = await shelf.dataset(), await shelf.dataset("other")
    await shelf.add(other, ["bread"])
    for part in range(20):
        await shelf.add(handbook, [f"{word}{part}" for word in ("one", "two", "three")])
    async with shelf.database.read() as session:
        number = await shelf.number(handbook, session)
    left, gone = await rows(shelf, number), False
    while not gone:
        async with shelf.database.write() as session:
            gone = await shelf.index.drop(session, number, 7)
        now = await rows(shelf, number) if not gone else [0, 0, 0]
        # At the end the table itself goes, with what every one has.
        assert all(before - after <= 7 + 3 * gone for before, after in zip(left, now, strict=True)), (left, now)
        left = now
    assert await shelf.tables() == await shelf.tables_of(other)
    assert await shelf.by_words(other, "bread") == ["bread"]


async def rows(shelf: Shelf, number: int) -> list[int]:
    async with shelf.database.read() as session:
        return [
            await session.scalar(text(f"SELECT count(*) FROM chunk_fts_{number}_{table}"))
            for table in ("data", "docsize", "idx")
        ]


async def test_a_sqlite_without_fts5_is_told(
    index: SqliteIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(searching, "HAS_FTS5", "SELECT no_fts5(NULL)")
    with pytest.raises(KnowledgeUnavailable):
        await index.prepare()
    assert "has no FTS5" in caplog.text


async def test_a_database_that_fails_is_not_taken_for_prepared(
    index: SqliteIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "HAS_FTS5", "SELECT 1 FROM nowhere")
    with pytest.raises(DatabaseUnavailable):
        await index.prepare()


async def test_a_cancelled_search_ends(database: Database) -> None:
    """Or clients that go away would keep all threads that search busy."""
    assert database.path is not None
    threads = SearchThreads(database.path)
    begun, ended = threading.Semaphore(0), threading.Semaphore(0)

    def between(connection: sqlite3.Connection, stop: Stop) -> None:
        begun.release()
        try:
            while not stop.asked:
                pass
            connection.execute(FOREVER).fetchone()
        finally:
            ended.release()

    def by_words(connection: sqlite3.Connection, _stop: Stop) -> None:
        begun.release()
        try:
            connection.execute(FOREVER).fetchone()
        finally:
            ended.release()

    def by_vectors(_connection: sqlite3.Connection, stop: Stop) -> None:
        begun.release()
        try:
            while True:
                stop.check()
        finally:
            ended.release()

    for work in (by_words, by_vectors, between):
        search = asyncio.create_task(threads.run(work))
        assert await asyncio.to_thread(begun.acquire, timeout=20)
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
        assert await asyncio.to_thread(ended.acquire, timeout=20)
    assert await threads.run(lambda connection, _: connection.execute("SELECT 1").fetchone()) == (1,)
    await threads.aclose()
