"""The one connection through which requests write to SQLite: in the event loop, as long as that takes no time.

Why not in a thread: docs/decisions/004-sqlite-in-the-loop.md.
"""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import anyio

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

BUSY_TIMEOUT = 3.0
"""Seconds to wait while another process writes. Whoever waits longer is answered 503, and all who wait with it."""
START_TIMEOUT = 30.0
"""The same at a start, where another server may be upgrading the database."""
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # In WAL mode a commit survives the death of the process; a power cut may cost the last moments, never more.
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
)
SLOW, SLOW_RUN = 0.05, 3
"""A disk on which SLOW_RUN units of work, one after the other, took SLOW seconds each is taken for a slow one. A single
one may as well have waited for a processor.
"""
PATIENCE = 10.0
"""Seconds for which a slow disk is written to by the thread."""
CHECKPOINT_EVERY = 500
"""Commits between two checkpoints, which sync the disk and therefore always run in the thread."""


def into_wal(path: Path, pause: Callable[[float], None] = time.sleep) -> None:
    """Put the database into WAL mode, which lasts; from then on, `PRAGMA journal_mode=WAL` only looks.

    Two connections that change a new file at once may each hold what the other waits for. SQLite then refuses one of
    them as locked, without waiting (sqlite3_busy_handler: "could result in a deadlock"): of two servers that
    start together one would end. Raises sqlite3.OperationalError when it is locked for longer than START_TIMEOUT.
    """
    until = time.monotonic() + START_TIMEOUT
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        while not _in_wal(connection):
            if time.monotonic() > until:
                raise sqlite3.OperationalError("database is locked: it could not be put into WAL mode")
            pause(0.01)


def _in_wal(connection: sqlite3.Connection) -> bool:
    """Ask for WAL mode; whether it is that. Where another has the file, SQLite refuses or answers with the old mode."""
    try:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise
        return False
    return bool(mode == "wal")


def is_busy(error: BaseException | None) -> bool:
    """Whether SQLite raised it because another connection has the file."""
    # Of the kinds of being busy, each has the basic code in its low byte (sqlite.org/rescode.html).
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def existing(path: str | Path) -> str:
    """The URI of a database's file that is opened only if it is there (sqlite.org/uri.html).

    A connection would make an empty one where there is none: in place of a database that was deleted under the server,
    which the next start would take for a new one.
    """
    return f"{Path(path).resolve().as_uri()}?mode=rw"


def empty_log(path: Path) -> bool:
    """See `Database.empty_log`."""
    with closing(sqlite3.connect(existing(path), uri=True, timeout=0, isolation_level=None)) as connection:
        # The first does the work beside writers; the second keeps them out, for what was left. Neither waits for them.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def sync_log(path: Path) -> None:
    """Let what SQLite's log holds be on the disk; what it holds no more, a checkpoint has brought there.

    Raises OSError.
    """
    try:
        # A lock of SQLite's would be lost with any descriptor that this process closes: none lies on the log.
        log = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fdatasync(log)
    finally:
        os.close(log)


class SqliteFile:
    """Runs one unit of work at a time; the caller sees to it that no two come at once.

    In the event loop a commit is a write to the page cache, some 100 µs. What may take long goes to a thread: waiting
    for another process that writes, a disk that was slow just now, and checkpoints.
    """

    def __init__(
        self, path: str, clock: Callable[[], float] = time.monotonic, checkpoint_every: int = CHECKPOINT_EVERY
    ) -> None:
        """clock: seconds. checkpoint_every: in commits."""
        self._path = path
        self._clock = clock
        self._checkpoint_every = checkpoint_every
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "accounts")
        self._slow_run = 0
        self._slow_until = 0.0
        self._commits = 0

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Commits if `work` returns, and rolls back if it raises."""
        loop = asyncio.get_running_loop()
        begun = self._clock()
        if self._connection is not None and begun >= self._slow_until and self._begin():
            result = self._finish(work)
            self._slow_run = self._slow_run + 1 if self._clock() - begun > SLOW else 0
            if self._slow_run == SLOW_RUN:
                self._slow_run = 0
                self._slow_until = self._clock() + PATIENCE
                logger.warning("the accounts database is slow: for %g s it is written to by a thread", PATIENCE)
        else:
            # Who is cancelled must not leave the connection to the next before the thread has. The scope keeps anyio's
            # cancellation off, which comes again and again; the wait keeps a task's own off.
            with anyio.CancelScope(shield=True):
                done = loop.run_in_executor(self._thread, self._run_patiently, work)
                try:
                    result = await asyncio.shield(done)
                finally:
                    await asyncio.wait([done])
        self._commits += 1
        if self._commits % self._checkpoint_every == 0:
            loop.run_in_executor(self._thread, self._checkpoint)
        return result

    async def aclose(self) -> None:
        self._thread.submit(self._close)
        await anyio.to_thread.run_sync(self._thread.shutdown)

    def _begin(self) -> bool:
        """Begin at once, or not at all: False where another process writes."""
        assert self._connection is not None
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_busy(error):
                return False
            raise
        return True

    def _finish(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        assert self._connection is not None
        try:
            result = work(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return result

    # ------------------------------------------------------------ in the thread

    def _run_patiently(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT * 1000)}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            return self._finish(work)
        finally:
            self._connection.execute("PRAGMA busy_timeout=0")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            existing(self._path),
            uri=True,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        for pragma in PRAGMAS:
            connection.execute(pragma)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        return connection

    def _checkpoint(self) -> None:
        """Move what the log holds into the database, beside writers and readers."""
        try:
            connection = sqlite3.connect(existing(self._path), uri=True, timeout=0)
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                connection.close()
        except sqlite3.Error as error:
            logger.warning("the accounts database's log could not be checkpointed: %s", error)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
