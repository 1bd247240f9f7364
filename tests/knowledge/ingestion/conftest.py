"""A workshop over a database of either kind, whose documents are read by a fake."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.knowledge import background
from server.knowledge.parsing import reader as parsing
from server.settings import Settings
from server.storage.database import Database
from tests.knowledge.ingestion.workshop import FakeReader, Workshop, fill, workshop


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> FakeReader:
    fake = FakeReader()
    monkeypatch.setattr(parsing, "read", fake)
    # Nobody waits for what other processes have done, nor between two attempts.
    monkeypatch.setattr(background, "LOOK", 0.05)
    monkeypatch.setattr(background, "BEAT", 0.02)
    monkeypatch.setattr(background, "PAUSES", (0.0, 0.0))
    return fake


@pytest.fixture
async def shop(migrated_url: str, tmp_path: Path, reader: FakeReader) -> AsyncIterator[Workshop]:
    settings = Settings(data_dir=tmp_path / "data", database_url=migrated_url, max_document=1000)
    database = Database(migrated_url)
    await fill(database)
    yield workshop(settings, database, reader)
    await database.aclose()
