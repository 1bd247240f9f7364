"""Batches in real databases of either kind. All tests here share one migrated database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.storage.database import Database
from tests.accounts.conftest import _migrate, migrated_file, migrated_url
from tests.jobs.batches.installation import Installation
from tests.postgres import Postgres

__all__ = ["migrated_file", "migrated_name", "migrated_url"]


@pytest.fixture(scope="session")
def migrated_name(postgres: Postgres) -> str:
    """A fixture that comes from another folder is made anew here: its database needs a name of its own."""
    asyncio.run(_migrate(postgres.create("migrated_batches")))
    return "migrated_batches"


@pytest.fixture
async def installation(migrated_url: str, tmp_path: Path) -> AsyncIterator[Installation]:
    database = Database(migrated_url)
    made = Installation(database, tmp_path / "data")
    await made.start()
    yield made
    await made.stop()
    await database.aclose()
