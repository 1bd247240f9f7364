"""What can be wrong with a database at the start, looked for before it is used and said in one line.

Decided here, applied by `Database.migrate`.
"""

import shlex
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from server.storage.sqlite_file import is_busy

QUICK_CHECK = 10.0
"""Seconds that SQLite's own check of the file may take at a start: 1.6 s for 1 GB in the page cache (by hand, SQLite
3.40). What is not checked until then is not: a bigger database starts with a line in the log.
"""
HEADER = b"SQLite format 3\0"
OURS = {"alembic_version", "accounts", "api_keys"}
"""Tables that every database of ours has, of any version."""
DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error)
RESTORE = "Restore a backup (`sagehold restore`)"


class DatabaseError(Exception):
    """The database can't be used. The message is for the operator."""


def look_at(path: Path, *, create: bool, used_before: bool) -> None:
    """Look whether `path` may be a database of ours. Raises DatabaseError, sqlite3.Error, and changes nothing.

    create: whether a missing file is to be made. used_before: whether the folder shows that a database was here.
    """
    if path.is_dir():
        raise DatabaseError(f"{path} is a folder; the database is a file. Move the folder away.")
    size = path.stat().st_size if path.exists() else None
    if size:
        with path.open("rb") as file:
            if file.read(len(HEADER)) != HEADER:
                raise DatabaseError(
                    f"{path} is not an SQLite database: it is damaged, or another program's. {RESTORE}, "
                    "or move the file away."
                )
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        check_ours({name for (name,) in tables}, str(path))
        return
    if not create:
        raise DatabaseError(no_server(f"database {path}"))
    if used_before:
        raise DatabaseError(
            f"The database {path} is {'gone' if size is None else 'empty (0 bytes)'}, and keys.secret shows that there "
            f"was one. {RESTORE}; to begin anew without its keys and credits, remove keys.secret."
        )


def no_server(what: str) -> str:
    """For a command that is given a place where no server is set up. what: that which is not there, by its path."""
    return (
        f"There is no {what}, and nothing was made. Name the server's own; a new server makes it at its first start "
        "(`sagehold serve`)."
    )


def check_whole(path: Path, limit: float = QUICK_CHECK) -> bool:
    """SQLite's quick_check: False where `limit` seconds did not suffice for it. Raises DatabaseError, sqlite3.Error."""
    with closing(sqlite3.connect(path, timeout=1)) as connection:
        alarm = threading.Timer(limit, connection.interrupt)
        alarm.daemon = True
        alarm.start()
        try:
            (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return False
            raise
        finally:
            alarm.cancel()
    if finding != "ok":
        raise DatabaseError(damaged(path, str(finding)))
    return True


def check_ours(tables: set[str], what: str) -> None:
    """Raises DatabaseError for a database that holds tables and is not one of ours. what: its name, for the message."""
    if tables and not tables >= OURS:
        raise DatabaseError(f"{what} is another program's database. Move it away, or name another one.")


def damaged(path: Path, finding: str) -> str:
    return f"The database {path} is damaged ({' '.join(finding.split())[:120]}). {RESTORE}."


@contextmanager
def in_words(url: URL) -> Iterator[None]:
    """Whatever a driver raises while a database is opened becomes a DatabaseError of one line."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        raise DatabaseError(words(error, url)) from error


def words(error: BaseException, url: URL) -> str:
    """What a driver's error means, for the operator."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if url.get_backend_name() == "sqlite":
        return of_file(cause, Path(url.database or "").resolve())
    return _of_server(cause, url)


def explained(error: BaseException, url: str) -> str:
    """What is wrong with the database at `url`, of an error that a driver's stands behind."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, (*DRIVER_ERRORS, OSError)):
        link = link.__cause__ or link.__context__
    return words(link or error, make_url(url))


def of_file(error: BaseException, path: Path) -> str:
    """What is wrong with an SQLite database, for the operator."""
    if not isinstance(error, sqlite3.Error):
        reason = getattr(error, "strerror", None) or str(error)
        return f"The database {path} can't be opened: {reason}."
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return f"The disk that holds the database {path} is full. Free some space there."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"The database {path} can't be written: make it and its folder writable for the server's user."
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return damaged(path, str(error))
        case _ if is_busy(error):
            finder = f"fuser {shlex.quote(str(path))}"
            return f"The database {path} is locked by another process. Find it (`{finder}`) and end it."
        case _:
            return f"The database {path} can't be used: {error}."


def _of_server(error: BaseException, url: URL) -> str:
    """What is wrong with a database server, without the password."""
    where = f"SAGEHOLD_DATABASE_URL: the database {url.database} on {url.host or url.query.get('host') or 'localhost'}"
    # SQLAlchemy's wrapper of asyncpg's errors keeps the original as the cause.
    text = " ".join((str(error.__cause__ or error) or type(error).__name__).split())
    if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
        text = "no answer in time"
    return f"{where} can't be used: {text.rstrip('.')}. Check the URL, and that PostgreSQL runs."
