"""Threads that search SQLite: beside the event loop, and beside the connections that requests read and write with."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from server.errors import DatabaseUnavailable

Result = TypeVar("Result")

THREADS = 3
"""More would not be faster on most machines, and each has a page cache of its own."""
PRAGMAS = ("PRAGMA query_only=ON", "PRAGMA cache_size=-16000")


class Stop:
    """Tells a search that nobody waits for it any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self.asked = False

    def ask(self) -> None:
        """From any thread."""
        with self._lock:
            self.asked = True
            if self._connection is not None:
                self._connection.interrupt()

    def check(self) -> None:
        """Raises Stopped once it was asked."""
        if self.asked:
            raise Stopped

    def uses(self, connection: sqlite3.Connection | None) -> None:
        with self._lock:
            self._connection = connection


class Stopped(Exception):
    """Nobody sees it: whoever waited was cancelled."""


class SearchThreads:
    """Each has a connection that only reads; a search sees one state of the database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(THREADS, "search")
        self._own = threading.local()
        self._opened: list[sqlite3.Connection] = []

    async def run(self, work: Callable[[sqlite3.Connection, Stop], Result]) -> Result:
        """Raises DatabaseUnavailable where the database does not answer. A cancelled search ends soon after."""
        stop = Stop()
        done = asyncio.get_running_loop().run_in_executor(self._pool, self._run, work, stop)
        try:
            return await done
        except asyncio.CancelledError:
            stop.ask()
            raise
        except sqlite3.Error as error:
            raise DatabaseUnavailable from error

    async def aclose(self) -> None:
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
        for connection in self._opened:
            connection.close()
        self._opened.clear()

    def _run(self, work: Callable[[sqlite3.Connection, Stop], Result], stop: Stop) -> Result:
        stop.check()
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._connect()
        stop.uses(connection)
        held: sqlite3.Cursor | None = None
        try:
            connection.execute("BEGIN")
            # SQLite forgets an interruption while no statement is under way: so that none is lost between two, this is.
            held = connection.execute("VALUES (1), (2), (3)")
            stop.check()
            return work(connection, stop)
        finally:
            stop.uses(None)
            if held is not None:
                held.close()
            with suppress(sqlite3.Error):
                connection.rollback()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._opened.append(connection)
        for pragma in PRAGMAS:
            connection.execute(pragma)
        return connection
