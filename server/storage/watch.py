"""Does the database still answer, and is its file still there? Looked at beside the requests, so that none has to."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from server.storage.opening import of_file

logger = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks: one `stat` of SQLite's file, or `SELECT 1` for a database server."""
PATIENT_LOOK = 5.0
"""The same for a database server that answers."""
Identity = tuple[int, int]


class Watch:
    """One for a database. Before `keep` runs, and where nobody runs it, there is never any trouble.

    trouble: what is wrong, for the operator; None while all is well. With it, writes are refused at once rather than
    each waiting for the same outage. lost: whether reads are refused too, because the file is gone or the server does
    not answer.

    A file that was deleted or replaced stays open in this process, which would go on billing into nothing. Only the
    very same file, put back, ends that: what this process knows belongs to it, and another one needs a restart.
    """

    def __init__(self, file: Path | None, attempt: Callable[[], Awaitable[None]]) -> None:
        """file: SQLite's. attempt: a unit of work; raises what the driver raises."""
        self._file = file
        self._attempt = attempt
        self._known: Identity | None = None
        self._kept = False
        self._called = asyncio.Event()
        self.trouble: str | None = None
        self.lost = False

    def failed(self, error: BaseException) -> None:
        """A unit of work found that the database does not answer: refuse the next, and look whether it is so."""
        if self._kept and self.trouble is None:
            self._set(self._words(error), lost=False)
            self._called.set()

    async def keep(self) -> None:
        """Look, for as long as the server runs."""
        self._known = _identity(self._file)
        self._kept = True
        try:
            while True:
                wait = PATIENT_LOOK if self._file is None and self.trouble is None else LOOK
                try:
                    async with asyncio.timeout(wait):
                        await self._called.wait()
                except TimeoutError:
                    pass
                self._called.clear()
                await self.look()
        finally:
            self._kept, self.trouble, self.lost = False, None, False

    async def look(self) -> None:
        """One look. Raises nothing."""
        found = _identity(self._file)
        if found != self._known:
            act = "deleted" if found is None else "replaced by another file"
            self._set(
                f"the database {self._file} was {act} under the running server: nothing is written any more, and "
                "everything that needs a key is refused. Put the very same file back, or stop the server, restore a "
                "backup (`sagehold restore`) and start it again",
                lost=True,
            )
            return
        if self._file is not None and self.trouble is None:
            return
        try:
            await self._attempt()
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            self._set(self._words(error), lost=self._file is None)
        else:
            self._clear()

    def _set(self, trouble: str, *, lost: bool) -> None:
        if self.trouble is None or lost != self.lost:
            logger.error("%s", trouble)
        self.trouble, self.lost = trouble, lost

    def _clear(self) -> None:
        if self.trouble is not None:
            logger.warning("the database answers again")
        self.trouble, self.lost = None, False

    def _words(self, error: BaseException) -> str:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        if self._file is not None:
            return of_file(cause, self._file)
        return f"the database server does not answer: {' '.join(str(cause).split()) or type(cause).__name__}"


def _identity(file: Path | None) -> Identity | None:
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
