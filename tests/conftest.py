"""What every test may use: asyncio as the backend, settings in a folder of the test's own, a server over fakes, and
real databases: SQLite files and a PostgreSQL server of our own.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from server.settings import Settings
from server.testing import FakeServer
from tests.postgres import Postgres, serving

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
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that lives as long as the tests."""
    with serving() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on each kind of server."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create(f"test_{next(numbers)}")
