"""SQLite's writes: in the event loop while they take no time, in a thread when they do."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from server.storage.sqlite_file import PATIENCE, SLOW, SqliteFile, into_wal

pytestmark = pytest.mark.anyio


class Watch:
    """A clock that work moves on."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE numbers (n INTEGER UNIQUE)")
    connection.close()
    return tmp_path / "a.db"


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def file(path: Path, watch: Watch) -> AsyncIterator[SqliteFile]:
    opened = SqliteFile(str(path), watch)
    assert await opened.run(adding(0)) != threading.get_ident()  # the first opens the file, which may take long
    yield opened
    await opened.aclose()


def adding(n: int) -> Callable[[sqlite3.Connection], int]:
    """A unit of work that adds a number and returns its thread."""

    def add(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO numbers VALUES (?)", (n,))
        return threading.get_ident()

    return add


def numbers(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    found = [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n")]
    connection.close()
    return found


async def test_what_takes_no_time_needs_no_thread(file: SqliteFile, path: Path) -> None:
    assert await file.run(adding(1)) == threading.get_ident()
    assert numbers(path) == [0, 1]


async def test_what_raises_is_rolled_back(file: SqliteFile, path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        adding(1)(connection)
        adding(0)(connection)

    with pytest.raises(sqlite3.IntegrityError):
        await file.run(fail)
    await file.run(adding(2))
    assert numbers(path) == [0, 2]


async def test_it_waits_for_another_process_without_stopping_the_loop(file: SqliteFile, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(file.run(adding(1)))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    assert await waiting != threading.get_ident()
    assert await file.run(adding(2)) == threading.get_ident()
    assert numbers(path) == [0, 1, 2]


async def test_who_is_cancelled_while_it_waits_leaves_no_transaction_behind(file: SqliteFile, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(file.run(adding(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await file.run(adding(2))
    assert numbers(path) == [0, 1, 2]


async def test_a_scope_that_is_cancelled_while_it_waits_lets_the_work_end(file: SqliteFile, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with anyio.create_task_group() as group:
        group.start_soon(file.run, adding(1))
        await asyncio.sleep(0)
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            for _ in range(10):  # anyio cancels anew each time
                await asyncio.sleep(0)
            other.execute("COMMIT")
    other.close()
    await file.run(adding(2))
    assert numbers(path) == [0, 1, 2]


async def test_a_slow_disk_is_left_to_the_thread_for_a_while(file: SqliteFile, watch: Watch) -> None:
    def slow(connection: sqlite3.Connection) -> int:
        watch.time += SLOW + 0.01
        return threading.get_ident()

    for once in (slow, slow, adding(1), slow, slow, adding(2), slow, slow, slow):
        assert await file.run(once) == threading.get_ident()
    watch.time += PATIENCE - 0.1
    assert await file.run(adding(3)) != threading.get_ident()
    watch.time += 0.1
    assert await file.run(adding(4)) == threading.get_ident()


async def test_the_log_is_moved_into_the_database(path: Path, tmp_path: Path) -> None:
    file = SqliteFile(str(path), checkpoint_every=3)
    for n in (0, 1, 2):
        await file.run(adding(n))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    behind = asyncio.create_task(file.run(adding(3)))  # in the thread, behind the checkpoint
    await asyncio.sleep(0)
    other.execute("COMMIT")
    other.close()
    await behind
    shutil.copy(path, tmp_path / "without-log.db")
    assert numbers(tmp_path / "without-log.db") == [0, 1, 2]
    await file.aclose()


def test_who_comes_to_a_new_file_while_another_reads_it_waits(path: Path) -> None:
    """Of two first starts at once, SQLite refused one as locked."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM numbers").fetchall()
    waits = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        other.execute("COMMIT")

    into_wal(path, pause)
    other.close()
    assert waits == [0.01]
    later = sqlite3.connect(path)
    assert later.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    later.close()
