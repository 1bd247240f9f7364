"""Real databases of either kind, with two accounts in them. All tests here share one migrated database."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from server.core import Caller
from server.settings import Settings
from server.storage.database import Database
from server.testing.seats import seat
from tests.accounts.conftest import _migrate, clock, make_settings, migrated_file, migrated_url
from tests.postgres import Postgres

__all__ = ["clock", "make_settings", "migrated_file", "migrated_name", "migrated_url"]

OWNER = Caller(key_id="key_owner", account_id="acct_owner")
OTHER = Caller(key_id="key_other", account_id="acct_other")


@pytest.fixture(scope="session")
def migrated_name(postgres: Postgres) -> str:
    """A fixture that comes from another folder is made anew here: its database needs a name of its own."""
    asyncio.run(_migrate(postgres.create("migrated_jobs")))
    return "migrated_jobs"


@pytest.fixture
async def database(make_settings: Callable[..., Settings]) -> AsyncIterator[Database]:
    """With the accounts of OWNER and OTHER."""
    opened = Database(make_settings().database)
    await seat(opened, [OWNER, OTHER])
    yield opened
    await opened.aclose()
