"""SQLite's vectors in memory: refreshed by what changed, whoever changed it, within their bound."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from server.knowledge.search.sqlite import SqliteIndex
from server.knowledge.search.vectors import HALF, packed, scores
from server.storage.database import Database
from tests.knowledge.search.shelf import DIMENSIONS, Shelf, somewhere, unit

pytestmark = pytest.mark.anyio
ROW = DIMENSIONS * 2 + 8


@pytest.fixture
async def database(migrated_file: Path, tmp_path: Path) -> AsyncIterator[Database]:
    shutil.copy(migrated_file, tmp_path / "sagehold.db")
    opened = Database(f"sqlite+aiosqlite:///{tmp_path / 'sagehold.db'}")
    yield opened
    await opened.aclose()


def test_scores_are_those_of_float32() -> None:
    rows = np.array([0.0, -0.0, 6e-8, -6e-8, 6e-5, 1.0, -1.0, 65504.0, 0.333], np.float16).reshape(-1, 1)
    assert scores(rows, np.array([0.5], np.float32)).tolist() == (rows.astype(np.float32)[:, 0] * 0.5).tolist()
    many = somewhere(1000, 4)
    half = np.frombuffer(packed(many), HALF).reshape(many.shape)
    assert scores(half, many[0]) == pytest.approx(half.astype(np.float32) @ many[0], abs=1e-6)


async def test_changes_by_another_process_are_seen(database: Database) -> None:
    mine = SqliteIndex(database, 2**20)
    shelf = await Shelf.open(database, mine)
    handbook = await shelf.dataset()
    first = await shelf.add(handbook, ["one"], unit(1)[None])
    assert await shelf.by_vector(handbook, unit(1)) == ["one"]
    other = Database(f"sqlite+aiosqlite:///{database.path}")
    theirs = Shelf(other, SqliteIndex(other, 2**20))
    await theirs.add(handbook, ["two"], unit(0.9, 0.1)[None])
    assert await shelf.by_vector(handbook, unit(1)) == ["one", "two"]
    await theirs.remove(handbook, first)
    assert await shelf.by_vector(handbook, unit(1)) == ["two"]
    for index in (mine, theirs.index):
        await index.aclose()
    await other.aclose()


async def test_memory_is_bounded_and_what_does_not_fit_is_found_all_the_same(database: Database) -> None:
    index = SqliteIndex(database, 100 * ROW)
    shelf = await Shelf.open(database, index)
    small = [await shelf.dataset(name) for name in ("aaaa", "bbbb", "cccc")]
    for dataset in small:
        await shelf.add(dataset, [dataset.name] * 60)
    large = await shelf.dataset("large")
    rows = somewhere(101, 9)
    await shelf.add(large, [str(at) for at in range(101)], rows)
    for dataset in [*small, *small]:
        assert await shelf.by_vector(dataset, unit(1), 1) == [dataset.name]
        assert index.kept_bytes == 60 * ROW
    assert await shelf.by_vector(large, rows[7], 1) == ["7"]
    assert index.kept_bytes <= 60 * ROW
    await index.aclose()
