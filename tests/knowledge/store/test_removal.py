"""Nothing is left behind of what was deleted, whoever dies meanwhile, and nobody waits for it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.core import Caller
from server.errors import DatasetNotFound
from server.knowledge import removal
from server.knowledge.records import DocumentState, Permission
from server.knowledge.removal import Removal
from tests.knowledge.store.plain_index import PlainIndex
from tests.knowledge.store.shelf import Shelf

pytestmark = pytest.mark.anyio

MARKER = "Zyzzyva-7f3b"


async def _fill(shelf: Shelf, ann: Caller, bob: Caller) -> None:
    """A dataset with all that there can be of one, and another beside it."""
    for name in ("handbook", "minutes"):
        await shelf.datasets.create(ann, name)
    await shelf.datasets.assign(ann, "handbook", bob.account_id, Permission.EDIT)
    await shelf.put(ann, "handbook", "a.txt", [f"{MARKER} is in chunk {place}" for place in range(7)])
    await shelf.put(bob, "handbook", "b.txt", [f"{MARKER} is here too"])
    await shelf.put(ann, "handbook", "c.txt", [f"{MARKER} waits"], DocumentState.EMBEDDING)
    await shelf.put(ann, "minutes", "a.txt", ["nothing to hide"])


BESIDE = {"datasets": 1, "documents": 1, "chunks": 1, "tables": 1}


async def test_a_deleted_dataset_is_gone_at_once_and_then_from_the_disk(shelf: Shelf, ann: Caller, bob: Caller) -> None:
    await _fill(shelf, ann, bob)
    before = await shelf.left()
    await shelf.datasets.delete(ann, "handbook")
    assert await shelf.left() == before
    for caller in (ann, bob):
        with pytest.raises(DatasetNotFound):
            await shelf.datasets.find(caller, "handbook")
        assert "handbook" not in {one.name for one in await shelf.datasets.list(caller)}
        assert {name for name, _ in await shelf.documents.list(caller)} <= {
            one.full_name for one in await shelf.datasets.list(caller)
        }
    anew = await shelf.datasets.create(ann, "handbook")
    assert (anew.documents, await shelf.datasets.assignments(ann, "handbook")) == (0, [])
    assert await shelf.removal.finish() == 1
    assert await shelf.left() == {**BESIDE, "datasets": 2, "tables": 2}
    assert (await shelf.datasets.find(ann, "handbook")).id == anew.id


@pytest.mark.parametrize("what", ["dataset", "document"])
async def test_no_byte_of_a_deleted_text_stays_in_sqlites_files(
    shelf: Shelf, ann: Caller, bob: Caller, what: str
) -> None:
    if not shelf.database.sqlite:
        pytest.skip("PostgreSQL overwrites what is deleted when it vacuums")
    await _fill(shelf, ann, bob)
    if what == "dataset":
        await shelf.datasets.delete(ann, "handbook")
    else:
        for name in ("a.txt", "b.txt", "c.txt"):
            await shelf.documents.delete(ann, "handbook", name)
    assert found_in(shelf.spool.parent)
    await shelf.removal.finish()
    assert found_in(shelf.spool.parent) == []


def found_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and MARKER.encode() in path.read_bytes()]


def pieces(shelf: Shelf) -> list[int]:
    assert isinstance(shelf.index, PlainIndex)
    return shelf.index.pieces


async def test_it_is_deleted_in_small_pieces(
    shelf: Shelf, ann: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two of them others write."""
    monkeypatch.setattr(removal, "PIECE", 3)
    await _fill(shelf, ann, bob)
    await shelf.documents.delete(ann, "handbook", "a.txt")
    await shelf.removal.finish()
    assert pieces(shelf) == [3, 3, 1]
    await shelf.put(ann, "handbook", "a.txt", ["x"] * 6)
    await shelf.datasets.delete(ann, "handbook")
    await shelf.removal.finish()
    assert pieces(shelf)[3:] == [3, 3, 2]
    assert await shelf.left() == BESIDE


class Killed(BaseException):
    """The end of the process, at some unit of work."""


@contextmanager
def dying_after(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, steps: int) -> Iterator[None]:
    """Let the process be killed at the beginning of a unit of work that writes, after `steps` of them."""
    write, left = shelf.database.write, [steps]

    def dying() -> object:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return write()

    with monkeypatch.context() as patch:
        patch.setattr(shelf.database, "write", dying)
        yield


@pytest.mark.parametrize("steps", range(5))
async def test_who_dies_leaves_the_rest_to_the_next(
    shelf: Shelf, ann: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(removal, "PIECE", 3)
    await _fill(shelf, ann, bob)
    await shelf.put(ann, "minutes", "b.txt", ["one", "two", "three", "four"], DocumentState.QUEUED)
    await shelf.datasets.delete(ann, "handbook")
    await shelf.documents.delete(ann, "minutes", "b.txt")
    with dying_after(shelf, monkeypatch, steps), pytest.raises(Killed):
        await shelf.removal.finish()
    assert await shelf.left() != BESIDE
    # The next process.
    await Removal(shelf.database, shelf.index, shelf.spool).finish()
    assert await shelf.left() == BESIDE


async def test_several_do_it_at_once(shelf: Shelf, ann: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "PIECE", 2)
    await _fill(shelf, ann, bob)
    await shelf.put(ann, "minutes", "b.txt", ["x"] * 5)
    await shelf.datasets.delete(ann, "handbook")
    await shelf.documents.delete(ann, "minutes", "b.txt")
    others = [Removal(shelf.database, shelf.index, shelf.spool) for _ in range(3)]
    await asyncio.gather(*(one.finish() for one in others))
    assert await shelf.left() == BESIDE


async def test_a_server_does_it_in_the_background(
    shelf: Shelf, ann: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _fill(shelf, ann, bob)
    await shelf.datasets.delete(ann, "handbook")
    done = asyncio.Event()
    finish = shelf.removal.finish

    async def watched() -> int:
        count = await finish()
        done.set()
        return count

    monkeypatch.setattr(shelf.removal, "finish", watched)
    running = asyncio.create_task(shelf.removal.run())
    try:
        await done.wait()
        assert await shelf.left() == BESIDE
        done.clear()
        await shelf.datasets.delete(ann, "minutes")
        await done.wait()
        assert await shelf.left() == {}
    finally:
        running.cancel()


async def test_a_reader_keeps_the_log_for_a_moment_only(
    shelf: Shelf, ann: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shelf.database.sqlite:
        pytest.skip("PostgreSQL has no such log")
    await _fill(shelf, ann, bob)
    monkeypatch.setattr(removal, "LOG_WAIT", 0.01)
    tried = asyncio.Event()
    empty_log = shelf.database.empty_log

    async def watched() -> bool:
        emptied = await empty_log()
        tried.set()
        return emptied

    monkeypatch.setattr(shelf.database, "empty_log", watched)
    async with shelf.database.read() as session:
        await session.connection()
        reading = await session.execute(removal.select(removal.DatasetRow.number))
        await shelf.datasets.delete(ann, "handbook")
        finishing = asyncio.create_task(shelf.removal.finish())
        await tried.wait()
        assert found_in(shelf.spool.parent), "the reader still sees it"
        await shelf.datasets.create(bob, "written meanwhile")
        assert len(reading.all()) == 2
    await finishing
    assert found_in(shelf.spool.parent) == []
