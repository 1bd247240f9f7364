"""A clock that stands still until it is moved, and accounts in real databases of either kind."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.keys.service import Accounts
from server.accounts.ledger.instances import Instance
from server.accounts.ledger.ledger import Ledger
from server.core import Caller
from server.settings import Settings
from tests.accounts.ledger.customers import Customer, D


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


@pytest.fixture
def make_settings(database_url: str, tmp_path: Path) -> Callable[..., Settings]:
    return lambda **values: Settings(data_dir=tmp_path / "data", database_url=database_url, **values)


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
