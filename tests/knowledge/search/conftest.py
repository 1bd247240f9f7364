"""Datasets in real databases of either kind, filled without ingestion and without a model."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from server.knowledge.search.index import Index
from server.knowledge.search.retrieval import index_for
from server.settings import Settings
from server.storage.database import Database
from tests.knowledge.search.shelf import Shelf
from tests.postgres import Postgres

numbers = count(1)


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.migrate()
    await index_for(database, Settings()).prepare()
    await database.aclose()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "sagehold.db"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_name(postgres: Postgres) -> str:
    """The like on PostgreSQL."""
    asyncio.run(_migrate(postgres.create("search_migrated")))
    return "search_migrated"


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        path = tmp_path / "sagehold.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        return f"sqlite+aiosqlite:///{path}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create(f"search_{next(numbers)}", request.getfixturevalue("migrated_name"))


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = Database(migrated_url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def index(database: Database) -> AsyncIterator[Index]:
    made = index_for(database, Settings())
    await made.prepare()
    yield made
    await made.aclose()


@pytest.fixture
async def shelf(database: Database, index: Index) -> Shelf:
    return await Shelf.open(database, index)
