"""`sagehold restore`: a backup becomes the data folder of a server that does not run."""

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from server.cli.backup import (
    CONTENTS,
    DATABASE,
    SECRET,
    STATE,
    database_of,
    facts,
    in_use,
    refuse_foreign,
    settings_for,
)
from server.cli.fail import fail
from server.settings import Settings


def command(
    file: Annotated[Path, typer.Argument(help="A backup that `sagehold backup` made.", dir_okay=False)],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what the data folder holds; that is kept in a folder in it.")
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
        asides = put_back(settings, file.resolve(), force)
    except (DatabaseError, SecretError) as error:
        fail(f"nothing was restored: {error}")
    except ArchiveError as error:
        fail(f"nothing was restored from {file.resolve()}: {error}")
    except OSError as error:
        fail(f"nothing was restored: {error.filename or file.resolve()}: {error.strerror or error}")
    typer.echo(f"Restored {database_of(settings)} and {settings.data_dir.resolve() / SECRET}.")
    if asides:
        typer.echo(f"What was there before is in {' and '.join(map(str, asides))}.")


def put_back(settings: Settings, backup: Path, force: bool) -> Sequence[Path]:
    """The folders that what was there went to. Raises ArchiveError, DatabaseError, SecretError, OSError."""
    from server.storage import archive
    from server.storage.folder import FolderLock, owned_like

    folder, database = settings.data_dir.resolve(), database_of(settings)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=_nearest(folder)) as checked:
        archive.read(backup, CONTENTS, Path(checked))
        _check(Path(checked))
        lock = FolderLock(folder)
        lock.claim()
        try:
            old = [path for path in in_use(settings) if path.exists()]
            if old and not force:
                raise archive.ArchiveError(f"{old[0]} is there already; --force puts it aside")
            database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            places = ((DATABASE, database), (SECRET, folder / SECRET), (STATE, folder / STATE))
            new = [(Path(checked) / name, place) for name, place in places if (Path(checked) / name).exists()]
            for source, place in new:
                owned_like(source, place.parent)
            asides = _exchange(old, new)
            for one in {folder, database.parent}:
                archive.sync_folder(one)
        finally:
            lock.release()
    return asides


def _exchange(old: Sequence[Path], new: Sequence[tuple[Path, Path]]) -> Sequence[Path]:
    """Put what is old aside, and what is new in its place: all of it or nothing. Returns the folders of the old.

    old: in the order in which they go. new: from where, and to where. Raises OSError; ArchiveError where what was there
    could not be put back.
    """
    from server.storage.archive import ArchiveError

    name = f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    # One beside each file, so that a rename does: the database may lie in another file system.
    asides = list(dict.fromkeys(path.parent / name for path in old))
    done: list[tuple[Path, Path]] = []
    try:
        for aside in asides:
            aside.mkdir(mode=0o700)
        for source, target in [*((path, path.parent / name / path.name) for path in old), *new]:
            _move(source, target)
            done.append((source, target))
    except BaseException as error:
        try:
            for source, target in reversed(done):
                _move(target, source)
            for aside in asides:
                aside.rmdir()
        except OSError as again:
            where = " and ".join(map(str, asides))
            raise ArchiveError(f"{error}; what was there is in {where}, and can't be put back: {again}") from error
        raise
    return asides


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
    """By a rename; over file systems by a copy that gets its name at the end, and belongs to the folder's owner."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    else:
        return
    from server.storage.folder import made_in

    draft = target.with_name(f".{target.name}.part")
    draft.unlink(missing_ok=True)
    try:
        with source.open("rb") as content, made_in(draft) as copy:
            shutil.copyfileobj(content, copy)
            copy.flush()
            os.fsync(copy.fileno())
        draft.rename(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    source.unlink()
