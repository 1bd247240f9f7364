"""`sagehold backup`: database, secret and state in one file, while the server runs."""

import io
import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from server import __version__
from server.cli.fail import fail
from server.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from server.storage.archive import Manifest

DATABASE, SECRET, STATE = "sagehold.db", "keys.secret", "first_seen.json"
CONTENTS = {DATABASE: True, SECRET: True, STATE: False}
"""Files of a backup, and whether each must be there. Generated images are temporary, and models are fetched again."""


def command(
    file: Annotated[Path, typer.Argument(help="Where to write the backup.", dir_okay=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Back up accounts, keys, credits, datasets, responses and the keys' secret, while the server runs or without it.

    FILE appears whole or not at all, and only its owner can read it. Keep it safe: whoever has it has the secret under
    which the keys are kept. Files of clients and batches under way (`files/`, `batches/`), model configs and weights
    are not in it.
    """
    from server.accounts.keys.secret import SecretError
    from server.storage.archive import ArchiveError
    from server.storage.opening import DatabaseError, of_file

    settings = settings_for("backed up", "pg_dump")
    target = file.resolve()
    if target.exists() and not force:
        fail(f"{target} is there already; --force replaces it")
    if target in in_use(settings):
        fail(f"{target} is the server's own: write the backup elsewhere")
    try:
        manifest = back_up(settings, target)
    except sqlite3.Error as error:
        fail(f"{target} was not written: {of_file(error, database_of(settings))}")
    except (ArchiveError, DatabaseError, SecretError) as error:
        fail(f"{target} was not written: {error}")
    except OSError as error:
        fail(f"{target} was not written: {error.strerror or error}")
    size = sum(size for size, _ in manifest.files.values())
    typer.echo(f"Wrote {target}: {', '.join(manifest.files)}; {size} bytes, schema {manifest.schema}.")


def back_up(settings: Settings, target: Path) -> "Manifest":
    """Raises ArchiveError, DatabaseError, SecretError, sqlite3.Error, OSError."""
    from server.accounts.keys.secret import read_secret
    from server.storage import archive
    from server.storage.opening import DatabaseError, look_at

    database = database_of(settings)
    look_at(database, create=False, used_before=False)
    secret = read_secret(settings.data_dir)
    if secret is None:
        raise DatabaseError(f"there is no {settings.data_dir.resolve() / SECRET}: without it no key would be known")
    # A name of its own: another backup to the same file would open this one's copy, and fill it instead of its own.
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}.db")
    with archive.snapshot(database, beside, facts) as (copy, (schema, check)):
        refuse_foreign(secret, check)
        files: dict[str, BinaryIO] = {DATABASE: copy, SECRET: io.BytesIO(secret.hex().encode() + b"\n")}
        state = settings.data_dir / STATE
        if state.is_file():
            files[STATE] = io.BytesIO(state.read_bytes())
        return archive.write(target, __version__, schema, files)


def settings_for(done: str, program: str) -> Settings:
    """The settings, where the database is SQLite's; or the end of the command in a line."""
    try:
        settings = load_settings()
    except SettingsError as error:
        fail(error)
    if not settings.database.startswith("sqlite"):
        fail(
            f"SAGEHOLD_DATABASE_URL names a PostgreSQL database, which is {done} by its own tools ({program}). Keep "
            f"{settings.data_dir.resolve() / SECRET} with it: without it no key is recognised."
        )
    return settings


def database_of(settings: Settings) -> Path:
    """SQLite's file."""
    return Path(settings.database.partition(":///")[2].partition("?")[0]).resolve()


def in_use(settings: Settings) -> Sequence[Path]:
    """The files that a server in the data folder works with, there or not."""
    database, folder = database_of(settings), settings.data_dir.resolve()
    # SQLite would play another database's journal into a restored one.
    journals = (database.with_name(database.name + ending) for ending in ("-wal", "-shm", "-journal"))
    # The secret after the database, which does not start without it, and says why.
    return (database, *journals, folder / SECRET, folder / STATE)


def facts(connection: sqlite3.Connection) -> tuple[str, str | None]:
    """A database's schema, and the check value of its secret if it keeps one. Raises sqlite3.Error."""
    version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if version is None:
        raise sqlite3.DatabaseError("it has no schema")
    (schema,) = version
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'installation'").fetchone():
        return schema, None
    row = connection.execute("SELECT value FROM installation WHERE name = 'secret_check'").fetchone()
    return schema, row and row[0]


def refuse_foreign(secret: bytes, check: str | None) -> None:
    """Raises ArchiveError where secret and database don't belong together."""
    from server.accounts.keys.secret import check_value
    from server.storage.archive import ArchiveError

    if check is not None and check != check_value(secret):
        raise ArchiveError("keys.secret does not belong to the database: its keys would be refused")
