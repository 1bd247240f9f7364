"""What is left of deleted text where it was searched for: with the indexes that there are."""

from pathlib import Path

import pytest

from server.accounts.keys.service import Accounts
from server.core import Caller
from server.knowledge import removal
from server.knowledge.datasets import Datasets
from server.knowledge.documents import Documents
from server.knowledge.removal import Removal
from server.knowledge.search.retrieval import index_for
from server.settings import Settings
from tests.knowledge.store.shelf import Shelf

pytestmark = pytest.mark.anyio

MARKERS = (b"Zyzzyvamarker", b"zyzzyvamarker", b"zyzzyvamark")


def found_in(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(marker in path.read_bytes() for marker in MARKERS)]


@pytest.fixture
async def searched(accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setattr(removal, "PIECE", 3)
    database, spool = accounts.database, tmp_path / "data" / "documents"
    index = index_for(database, Settings(data_dir=tmp_path / "data"))
    await index.prepare()
    emptying = Removal(database, index, spool)
    return Shelf(
        database,
        index,
        spool,
        emptying,
        Datasets(database, index, emptying),
        Documents(database, emptying),
        tables_begin=("chunk_fts_", "words_", "vectors_", "chunk_words_", "chunk_vectors_"),
    )


async def _fill(searched: Shelf, ann: Caller) -> None:
    for name in ("handbook", "minutes"):
        await searched.datasets.create(ann, name)
    await searched.put(ann, "handbook", "a.txt", [f"Zyzzyvamarker is in chunk {place}" for place in range(8)])
    for place in range(6):  # segments of their own, in FTS5
        await searched.put(ann, "handbook", f"b{place}.txt", ["the quick brown fox", "jumps over"])
    await searched.put(ann, "handbook", "c.txt", ["a Zyzzyvamarker", "another"])
    await searched.put(ann, "minutes", "d.txt", ["nothing to hide"])


async def test_of_a_deleted_document_nothing_is_found_and_nothing_is_left(searched: Shelf, ann: Caller) -> None:
    await _fill(searched, ann)
    handbook = await searched.datasets.find(ann, "handbook")
    assert len(await searched.index.keyword(handbook, "zyzzyvamarker", 20)) == 9
    for name in ("a.txt", "c.txt"):
        await searched.documents.delete(ann, "handbook", name)
    assert list(await searched.index.keyword(handbook, "zyzzyvamarker", 20)) == []
    await searched.removal.finish()
    assert list(await searched.index.keyword(handbook, "zyzzyvamarker", 20)) == []
    assert len(await searched.index.keyword(handbook, "fox", 20)) == 6
    assert await searched.rows("chunks") == 13
    if searched.database.sqlite:
        assert found_in(searched.spool.parent) == []


async def test_of_a_deleted_dataset_nothing_is_found_and_nothing_is_left(searched: Shelf, ann: Caller) -> None:
    await _fill(searched, ann)
    handbook, minutes = [await searched.datasets.find(ann, name) for name in ("handbook", "minutes")]
    tables = await searched.tables()
    query = searched.vector
    assert await searched.index.dense(handbook, query, 5)
    await searched.datasets.delete(ann, "handbook")
    # What a search that began before has in its hand.
    assert list(await searched.index.keyword(handbook, "fox", 5)) == []
    assert list(await searched.index.dense(handbook, query, 5)) == []
    await searched.removal.finish()
    assert list(await searched.index.keyword(handbook, "fox", 5)) == []
    assert list(await searched.index.dense(handbook, query, 5)) == []
    assert len(await searched.index.keyword(minutes, "nothing to hide", 5)) == 1
    assert 2 * len(await searched.tables()) == len(tables)
    if searched.database.sqlite:
        assert await searched.rows("vector_blocks") == 1
        assert found_in(searched.spool.parent) == []
