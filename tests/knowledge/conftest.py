"""Accounts in real databases of either kind, for what hangs on them. All tests here share one migrated database."""

import asyncio

import pytest

from tests.accounts.conftest import _migrate, accounts, clock, make_settings, migrated_file, migrated_url
from tests.postgres import Postgres

__all__ = ["accounts", "clock", "make_settings", "migrated_file", "migrated_name", "migrated_url"]


@pytest.fixture(scope="session")
def migrated_name(postgres: Postgres) -> str:
    """A fixture that comes from another folder is made anew here: its database needs a name of its own."""
    asyncio.run(_migrate(postgres.create("migrated_knowledge")))
    return "migrated_knowledge"
