"""A clock that stands still until it is moved, and accounts in real databases of either kind."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.keys.service import Accounts
from server.accounts.ledger.instances import Instance
from server.accounts.ledger.ledger import Ledger
from server.core import Caller
from server.settings import Settings
from server.storage.database import Database
from tests.accounts.ledger.customers import Customer, D
from tests.postgres import Postgres

numbers = count(1)


class Clock:
    """Calling it gives the time; only `forward` moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    async def by_database(self, session: AsyncSession) -> datetime:
        """The same time, as a database's clock."""
        return self.time

    def forward(self, **span: float) -> None:
        self.time += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.migrate()
    await database.aclose()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables, empty ones, to be copied: making tables costs more than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "sagehold.db"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    assert [each.name for each in path.parent.iterdir()] == [path.name], "part of it lies in a journal"
    return path


@pytest.fixture(scope="session")
def migrated_name(postgres: Postgres) -> str:
    """The like on PostgreSQL."""
    asyncio.run(_migrate(postgres.create("migrated")))
    return "migrated"


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with all tables and nothing in them, once on each kind of server."""
    if request.param == "sqlite":
        path = tmp_path / "data" / "sagehold.db"
        path.parent.mkdir(mode=0o700)
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        return f"sqlite+aiosqlite:///{path}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create(f"accounts_{next(numbers)}", request.getfixturevalue("migrated_name"))


@pytest.fixture
def make_settings(migrated_url: str, tmp_path: Path) -> Callable[..., Settings]:
    return lambda **values: Settings(data_dir=tmp_path / "data", database_url=migrated_url, **values)


@pytest.fixture
async def accounts(make_settings: Callable[..., Settings], clock: Clock) -> AsyncIterator[Accounts]:
    async with await Accounts.open(make_settings(), now=clock) as opened:
        yield opened


@pytest.fixture
async def ledger(accounts: Accounts, clock: Clock) -> AsyncIterator[Ledger]:
    opened = Ledger(accounts.database, clock, Instance(clock.by_database))
    await opened.start()
    yield opened
    assert await opened.discrepancies() == []
    await opened.aclose()


@pytest.fixture
def customer(accounts: Accounts, ledger: Ledger) -> Customer:
    """A caller whose metered account was granted so many credits."""

    async def create(granted: str) -> Caller:
        account = await accounts.create_account(f"customer {len(await accounts.list_accounts())}")
        if D(granted):
            await ledger.grant(account.id, D(granted), "for a test")
        caller = await accounts.authenticate((await accounts.create_key(account=account.id)).key)
        assert caller is not None
        assert caller.metered
        return caller

    return create
