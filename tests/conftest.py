"""What every test may use: asyncio as the backend, settings in a folder of the test's own, a server over fakes, and
real databases: SQLite files and a PostgreSQL server of our own.
"""

import gc
import logging
import os
from collections.abc import AsyncIterator, Iterator, MutableMapping
from itertools import count
from pathlib import Path

import httpx
import hypothesis
import pytest

from server.settings import Settings
from server.testing import FakeServer
from tests.postgres import Postgres, serving

numbers = count(1)

# A busy machine is no finding, and a run does not hang on what an earlier one has found.
hypothesis.settings.register_profile(
    "sagehold", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], database=None, print_blob=True
)
hypothesis.settings.load_profile("sagehold")


OTHERS = ("SAGEHOLD_", "OPENAI_", "PG", "FORCE_COLOR", "CLICOLOR", "NO_COLOR", "TTY_")
"""How variables begin that whoever runs the tests has set for servers, clients and a terminal of their own."""


def clean(environment: MutableMapping[str, str]) -> None:
    """Take those out: a database of theirs would be written to, a proxy asked for 127.0.0.1, a table coloured.

    Where the models lie remains.
    """
    for name in list(environment):
        if (name.startswith(OTHERS) and name != "SAGEHOLD_MODELS_DIR") or name.lower().endswith("_proxy"):
            del environment[name]


# Before any test's module is imported, and for all processes that tests start.
clean(os.environ)


def pytest_collection_finish() -> None:
    """No collection looks at what the tests have imported: it would hold everything up for a second and more, in which
    a time limit passes though its answer is there."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables and errors of commands are broken at the terminal's width."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A command that a test runs in this process sets up logging to a stream that ends with it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
    for handler in handlers:
        if handler not in root.handlers:
            root.addHandler(handler)


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
