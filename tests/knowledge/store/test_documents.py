"""Documents: who sees them, and how they are taken out."""

import pytest
from sqlalchemy import select, update

from server.core import Caller
from server.errors import DatasetNotFound, NotFound, PermissionDenied
from server.knowledge.records import DocumentState, Permission
from server.knowledge.tables import DatasetRow, DocumentRow
from tests.knowledge.store.shelf import Shelf

pytestmark = pytest.mark.anyio


async def test_documents_are_listed_the_newest_first(shelf: Shelf, ann: Caller, bob: Caller) -> None:
    hers, his = await shelf.datasets.create(ann, "handbook"), await shelf.datasets.create(bob, "minutes")
    await shelf.datasets.assign(bob, "minutes", ann.account_id, Permission.READ)
    first = await shelf.put(ann, "handbook", "a.txt", ["one", "two"])
    second = await shelf.put(bob, "minutes", "b.txt", ["three"], DocumentState.QUEUED)
    third = await shelf.put(ann, "handbook", "c.txt")
    every = await shelf.documents.list(ann)
    assert [(name, one.id) for name, one in every] == [
        (hers.full_name, third),
        (his.full_name, second),
        (hers.full_name, first),
    ]
    assert [one.id for _, one in await shelf.documents.list(ann, "handbook")] == [third, first]
    assert [one.id for _, one in await shelf.documents.list(bob)] == [second]
    [(_, queued)] = await shelf.documents.list(bob)
    assert (queued.state, queued.filename, queued.dataset_id, queued.chunks) == (
        DocumentState.QUEUED,
        "b.txt",
        his.id,
        0,
    )
    assert await shelf.documents.find(ann, first) == every[2][1]


async def test_a_document_is_taken_out_by_its_name(shelf: Shelf, ann: Caller) -> None:
    await shelf.datasets.create(ann, "handbook")
    await shelf.datasets.create(ann, "minutes")
    gone = [
        await shelf.put(ann, "handbook", "a.txt", ["one", "two"]),
        await shelf.put(ann, "handbook", "a.txt", ["three"], DocumentState.EMBEDDING),
    ]
    kept = [await shelf.put(ann, "handbook", "b.txt"), await shelf.put(ann, "minutes", "a.txt")]
    assert await shelf.documents.delete(ann, "handbook", "a.txt") == 2
    # At once, before anything of it is deleted.
    assert await shelf.rows("documents") == 4
    assert sorted(one.id for _, one in await shelf.documents.list(ann)) == sorted(kept)
    for document_id in gone:
        with pytest.raises(NotFound):
            await shelf.documents.find(ann, document_id)
    assert (await shelf.datasets.find(ann, "handbook")).chunks == 1
    with pytest.raises(NotFound, match=r"no document `a\.txt`"):
        await shelf.documents.delete(ann, "handbook", "a.txt")
    assert await shelf.removal.finish() == 2
    assert await shelf.left() == {"datasets": 2, "documents": 2, "chunks": 2, "tables": 2}
    assert await shelf.removal.finish() == 0


async def test_names_that_no_database_holds_are_not_found(shelf: Shelf, ann: Caller) -> None:
    await shelf.datasets.create(ann, "handbook")
    for name in ("", "a\0b", "a\ud800b", "x" * 5000):
        with pytest.raises(NotFound):
            await shelf.documents.delete(ann, "handbook", name)
        with pytest.raises(NotFound):
            await shelf.documents.find(ann, name)
        with pytest.raises(DatasetNotFound):
            await shelf.documents.list(ann, name)


async def test_who_may_only_read_takes_nothing_out(shelf: Shelf, ann: Caller, bob: Caller) -> None:
    await shelf.datasets.create(ann, "handbook")
    document_id = await shelf.put(ann, "handbook", "a.txt")
    await shelf.datasets.assign(ann, "handbook", bob.account_id, Permission.READ)
    assert (await shelf.documents.find(bob, document_id)).id == document_id
    for refused in (
        shelf.documents.delete(bob, "handbook", "a.txt"),
        shelf.documents.find(bob, document_id, Permission.EDIT),
    ):
        with pytest.raises(PermissionDenied):
            await refused
    await shelf.datasets.assign(ann, "handbook", bob.account_id, Permission.EDIT)
    assert await shelf.documents.delete(bob, "handbook", "a.txt") == 1


async def test_taking_out_changes_what_can_be_found(shelf: Shelf, ann: Caller) -> None:
    await shelf.datasets.create(ann, "handbook")
    await shelf.put(ann, "handbook", "a.txt")

    async def revision() -> int:
        async with shelf.database.read() as session:
            return (await session.scalars(select(DatasetRow.revision))).one()

    before = await revision()
    await shelf.documents.delete(ann, "handbook", "a.txt")
    assert await revision() == before + 1


async def test_a_document_is_what_its_row_says(shelf: Shelf, ann: Caller) -> None:
    await shelf.datasets.create(ann, "handbook")
    document_id = await shelf.put(ann, "handbook", "a.txt", state=DocumentState.FAILED)
    values = {"done": 2, "total": 7, "tokens": 90, "attempts": 3, "error": "It is encrypted.", "context": "from May"}
    async with shelf.database.write() as session:
        await session.execute(update(DocumentRow).where(DocumentRow.id == document_id).values(**values))
    document = await shelf.documents.find(ann, document_id)
    assert {name: getattr(document, name) for name in values} == values
    assert (document.state, document.size, document.state.ended) == (DocumentState.FAILED, len("a text"), True)
