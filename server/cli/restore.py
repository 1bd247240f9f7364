"""`sagehold restore`: a backup becomes the data folder of a server that does not run."""

import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from server.cli.backup import CONTENTS, DATABASE, SECRET, STATE, database_of, facts, refuse_foreign, settings_for
from server.cli.fail import fail
from server.settings import Settings


def command(
    file: Annotated[Path, typer.Argument(help="A backup that `sagehold backup` made.", dir_okay=False)],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what the data folder holds; that is kept in a folder beside it.")
    ] = False,
) -> None:
    """Put a backup into the data folder. Nothing is touched before all of the backup has been checked.

    Stop the server first. Without --force the folder must hold no database and no secret.
    """
    from server.accounts.keys.secret import SecretError
    from server.storage.archive import ArchiveError
    from server.storage.opening import DatabaseError

    settings = settings_for("restored", "pg_restore")
    try:
        aside = put_back(settings, file.resolve(), force)
    except (DatabaseError, SecretError) as error:
        fail(f"nothing was restored: {error}")
    except ArchiveError as error:
        fail(f"nothing was restored from {file.resolve()}: {error}")
    except OSError as error:
        fail(f"nothing was restored: {error.filename or file.resolve()}: {error.strerror or error}")
    typer.echo(f"Restored {database_of(settings)} and {settings.data_dir.resolve() / SECRET}.")
    if aside is not None:
        typer.echo(f"What was there before is in {aside}.")


def put_back(settings: Settings, backup: Path, force: bool) -> Path | None:
    """The folder that what was there went to. Raises ArchiveError, DatabaseError, SecretError, OSError."""
    from server.storage import archive
    from server.storage.folder import FolderLock

    folder, database = settings.data_dir.resolve(), database_of(settings)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=_nearest(folder)) as checked:
        archive.read(backup, CONTENTS, Path(checked))
        _check(Path(checked))
        lock = FolderLock(folder)
        lock.claim()
        try:
            journals = [database.with_name(database.name + ending) for ending in ("-wal", "-shm")]
            old = [path for path in (database, *journals, folder / SECRET, folder / STATE) if path.exists()]
            if old and not force:
                raise archive.ArchiveError(f"{old[0]} is there already; --force puts it aside")
            aside = None
            if old:
                aside = folder / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
                aside.mkdir(mode=0o700)
                # The secret last: a database without its secret does not start, and says why.
                for path in old:
                    path.rename(aside / path.name)
            database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, place in ((DATABASE, database), (SECRET, folder / SECRET), (STATE, folder / STATE)):
                if (Path(checked) / name).exists():
                    _move(Path(checked) / name, place)
            archive.sync_folder(folder)
            archive.sync_folder(database.parent)
        finally:
            lock.release()
    return aside


def _check(folder: Path) -> None:
    """Is the database in `folder` whole, of a version that this sagehold knows, and the secret its own?"""
    from server.accounts.keys.secret import read_secret
    from server.storage.archive import ArchiveError
    from server.storage.database import known_revisions
    from server.storage.opening import check_whole, of_file

    path = folder / DATABASE
    try:
        check_whole(path, limit=3600)
        with closing(sqlite3.connect(path)) as connection:
            schema, check = facts(connection)
            connection.execute("PRAGMA journal_mode=DELETE")  # so that no journal is left beside it
    except sqlite3.Error as error:
        raise ArchiveError(of_file(error, path)) from error
    known = known_revisions()
    if schema not in known:
        raise ArchiveError(f"a newer sagehold made it (schema {schema}; this one knows up to {max(known)})")
    secret = read_secret(folder)
    assert secret is not None  # it is one of CONTENTS
    refuse_foreign(secret, check)


def _nearest(folder: Path) -> Path:
    """The data folder, or the nearest one above it that exists."""
    while not folder.is_dir():
        folder = folder.parent
    return folder


def _move(source: Path, target: Path) -> None:
    """By a rename; over file systems by a copy that gets its name at the end."""
    import errno
    import shutil

    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = target.with_name(f".{target.name}.part")
        shutil.copy2(source, draft)
        draft.rename(target)
