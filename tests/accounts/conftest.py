"""A clock that stands still until it is moved, and accounts in real databases of either kind."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.keys.service import Accounts
from server.settings import Settings


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
