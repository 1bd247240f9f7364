"""Files that are kept, seen by their account alone, forgotten in time, and never half there."""

import asyncio
import os
from pathlib import Path

import pytest

from server.errors import DatabaseUnavailable, NotFound, PayloadTooLarge
from server.jobs.files.incoming import Incoming, Tally
from server.jobs.files.records import BATCH_OUTPUT, new_id
from server.storage.held_files import made
from tests.jobs.files.conftest import KIB, Cabinet

pytestmark = pytest.mark.anyio


async def test_one_is_kept_opened_listed_and_deleted(cabinet: Cabinet) -> None:
    files = cabinet.files
    kept = await cabinet.keep(cabinet.ada, b"some bytes", "notes.txt", lifetime=3600)
    assert kept == await files.open(cabinet.ada, kept.id)
    assert (kept.path.read_bytes(), kept.size, kept.filename, kept.purpose) == (
        b"some bytes",
        10,
        "notes.txt",
        "user_data",
    )
    assert kept.expires_at is not None
    assert (kept.expires_at - kept.created_at).total_seconds() == 3600
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert await files.page(cabinet.ada) == [kept]
    await files.delete(cabinet.ada, kept.id)
    assert cabinet.names == []
    assert await files.page(cabinet.ada) == []


async def test_what_is_anothers_is_as_good_as_nothing(cabinet: Cabinet) -> None:
    files, kept = cabinet.files, await cabinet.keep(cabinet.ada)
    never = new_id()
    for file_id in (kept.id, never, "file-1", "../../etc/passwd", "", "file-\0", f"{kept.id}\n", kept.id.upper()):
        for act in (files.open, files.delete):
            with pytest.raises(NotFound) as refused:
                await act(cabinet.bob, file_id)
            assert (refused.value.message, refused.value.param) == (f"No such File object: {file_id}", "id")
        with pytest.raises(NotFound) as refused:
            await files.page(cabinet.bob, after=file_id)
        assert (refused.value.message, refused.value.param) == (f"No such File object: {file_id}", "after")
    assert await files.page(cabinet.bob) == []
    assert await files.open(cabinet.ada, kept.id) == kept


async def test_pages_follow_each_other_in_either_order(cabinet: Cabinet) -> None:
    files = cabinet.files
    made = [await cabinet.keep(cabinet.ada, name=f"{number}.txt") for number in range(5)]
    await cabinet.keep(cabinet.bob)
    seen: list[str] = []
    after: str | None = None
    while page := await files.page(cabinet.ada, after=after, limit=2):
        seen += [one.id for one in page]
        after = page[-1].id
    assert seen == [one.id for one in reversed(made)]
    assert await files.page(cabinet.ada, after=made[1].id, ascending=True) == made[2:]
    for purpose in ("batch", "fun", "\0", ""):
        assert await files.page(cabinet.ada, purpose=purpose) == []
    assert len(await files.page(None)) == 6


async def test_a_file_that_is_not_kept_leaves_nothing(cabinet: Cabinet) -> None:
    async with cabinet.files.receive(cabinet.ada) as incoming:
        incoming.write(b"half of it")
        assert len(cabinet.names) == 1
    assert cabinet.names == []
    async with cabinet.files.receive(cabinet.ada) as incoming:
        incoming.finish()  # it ends before its row is written
        assert cabinet.names == [incoming.id]
    assert cabinet.names == []
    assert await cabinet.files.page(cabinet.ada) == []


async def test_a_folder_that_was_deleted_is_made_again(cabinet: Cabinet) -> None:
    cabinet.folder.rmdir()
    kept = await cabinet.keep(cabinet.ada)
    assert kept.path.read_bytes() == b"hello"


async def test_a_row_that_can_not_be_written_leaves_nothing(cabinet: Cabinet, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr("server.jobs.files.store.one_by_one", down)
    with pytest.raises(DatabaseUnavailable):
        await cabinet.keep(cabinet.ada)
    assert cabinet.names == []


async def test_a_thread_that_outlives_its_request_writes_nothing_more(cabinet: Cabinet) -> None:
    async with cabinet.files.receive(cabinet.ada) as incoming:
        incoming.write(b"first")
    incoming.write(b"second")
    incoming.finish()
    assert cabinet.names == []
    await cabinet.keep(cabinet.ada, bytes(64 * KIB))  # nothing of it is counted either


async def test_who_is_cancelled_while_the_file_is_made_leaves_nothing(cabinet: Cabinet) -> None:
    for late in (False, True):
        keeping = asyncio.create_task(cabinet.keep(cabinet.ada))
        while not (cabinet.names if late else keeping.get_coro().cr_await):  # type: ignore[union-attr]
            await asyncio.sleep(0)
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
        while cabinet.names:  # a thread deletes it, which whoever is cancelled does not wait for
            await asyncio.sleep(0)
    late_one = Incoming(cabinet.folder, new_id(), cabinet.ada, Tally(), most=1, room=1)
    late_one.close()
    late_one.open()
    assert cabinet.names == []


async def test_who_is_cancelled_while_the_row_is_written_leaves_a_file_or_nothing(cabinet: Cabinet) -> None:
    keeping = asyncio.create_task(cabinet.keep(cabinet.ada))
    while not any("." not in name for name in cabinet.names):  # it has its own name: the row comes next
        await asyncio.sleep(0)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    [kept] = await cabinet.files.page(cabinet.ada)
    assert cabinet.names == [kept.id]
    assert kept.path.read_bytes() == b"hello"


# ---------------------------------------------------------------- how much


async def test_one_may_be_as_large_as_the_limit_says(cabinet: Cabinet) -> None:
    assert (await cabinet.keep(cabinet.ada, bytes(64 * KIB))).size == 64 * KIB
    with pytest.raises(PayloadTooLarge, match=r"Maximum content size limit \(65536\) exceeded"):
        await cabinet.keep(cabinet.bob, bytes(64 * KIB + 1))
    with pytest.raises(PayloadTooLarge):
        async with cabinet.files.receive(cabinet.bob, 64 * KIB + 1):
            raise AssertionError("it was begun")
    assert await cabinet.files.page(cabinet.bob) == []
    assert len(cabinet.names) == 1


async def test_an_account_keeps_so_much_and_no_more(cabinet: Cabinet) -> None:
    first = await cabinet.keep(cabinet.ada, bytes(60 * KIB), lifetime=3600)
    with pytest.raises(PayloadTooLarge, match="more than it may keep"):
        async with cabinet.files.receive(cabinet.ada, 41 * KIB):
            raise AssertionError("it was begun")
    with pytest.raises(PayloadTooLarge, match="more than it may keep"):
        await cabinet.keep(cabinet.ada, bytes(41 * KIB))
    await cabinet.keep(cabinet.bob, bytes(41 * KIB))
    await cabinet.keep(cabinet.ada, bytes(40 * KIB))
    cabinet.clock.forward(seconds=3600)  # the first one's time is over, though it lies there still
    assert first.path.exists()
    await cabinet.keep(cabinet.ada, bytes(60 * KIB))


async def test_two_that_come_at_once_are_not_more_than_one_after_the_other(cabinet: Cabinet) -> None:
    """Each fits; both together don't."""
    async with cabinet.files.receive(cabinet.ada) as one, cabinet.files.receive(cabinet.ada) as other:
        one.write(bytes(60 * KIB))
        with pytest.raises(PayloadTooLarge):
            other.write(bytes(41 * KIB))
        await cabinet.files.keep(one, "one", "user_data")
    assert [file.size for file in await cabinet.files.page(cabinet.ada)] == [60 * KIB]


async def test_nor_are_two_that_come_by_two_processes(cabinet: Cabinet) -> None:
    files, others = cabinet.files, cabinet.another()

    async def keep(mine: object, incoming: Incoming) -> bool:
        try:
            await (files if mine else others).keep(incoming, "a", "user_data")
        except PayloadTooLarge:
            return False
        return True

    for _ in range(5):
        async with files.receive(cabinet.ada) as one, others.receive(cabinet.ada) as other:
            one.write(bytes(60 * KIB))
            other.write(bytes(60 * KIB))
            kept = await asyncio.gather(keep(True, one), keep(False, other))
        assert sorted(kept) == [False, True]
        [only] = await files.page(cabinet.ada)
        assert cabinet.names == [only.id]
        await files.delete(cabinet.ada, only.id)


# ---------------------------------------------------------------- what is forgotten


async def test_what_expires_is_not_there_from_then_on_and_swept_later(cabinet: Cabinet) -> None:
    files = cabinet.files
    brief, lasting = await cabinet.keep(cabinet.ada, lifetime=3600), await cabinet.keep(cabinet.ada)
    cabinet.clock.forward(seconds=3599)
    await files.sweep()
    assert await files.open(cabinet.ada, brief.id) == brief
    cabinet.clock.forward(seconds=1)
    for act in (files.open, files.delete):
        with pytest.raises(NotFound):
            await act(cabinet.ada, brief.id)
    assert await files.page(cabinet.ada) == [lasting]
    await files.sweep()
    assert cabinet.names == [lasting.id]


async def test_files_of_a_closed_account_are_deleted(cabinet: Cabinet) -> None:
    await cabinet.keep(cabinet.ada)
    kept = await cabinet.keep(cabinet.bob)
    await cabinet.accounts.change_account(cabinet.ada, closed=True)
    await cabinet.files.sweep()
    assert cabinet.names == [kept.id]
    assert await cabinet.files.page(None) == [kept]


async def test_what_a_crash_has_left_is_swept_and_what_is_on_its_way_is_not(cabinet: Cabinet) -> None:
    kept = await cabinet.keep(cabinet.ada)
    for name in (f"{new_id()}.part", new_id(), "what is this"):
        (cabinet.folder / name).write_bytes(b"left")
    async with cabinet.files.receive(cabinet.ada) as incoming:
        incoming.write(b"coming")
        await cabinet.another().sweep()
        assert cabinet.names == sorted([kept.id, f"{incoming.id}.part"])
        incoming.finish()  # and before its row is written
        await cabinet.another().start()
        assert cabinet.names == sorted([kept.id, incoming.id])


async def test_more_than_are_looked_at_at_once_are_swept(cabinet: Cabinet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.jobs.files.store._AT_ONCE", 2)
    monkeypatch.setattr("server.storage.orphans._AT_ONCE", 2)
    for _ in range(5):
        await cabinet.keep(cabinet.ada, lifetime=3600)
        (cabinet.folder / new_id()).touch()
    kept = await cabinet.keep(cabinet.ada)
    cabinet.clock.forward(seconds=3600)
    await cabinet.files.sweep()
    assert cabinet.names == [kept.id]


# ---------------------------------------------------------------- what the server makes itself


async def test_a_file_of_the_servers_own_is_adopted_whatever_there_is(cabinet: Cabinet, tmp_path: Path) -> None:
    await cabinet.keep(cabinet.ada, bytes(64 * KIB))
    source = tmp_path / "data" / "output.jsonl"
    source.write_bytes(b"x" * 64 * KIB)
    adopted = await cabinet.files.adopt(cabinet.ada, source, "output.jsonl", BATCH_OUTPUT, None)
    assert (adopted.size, adopted.purpose) == (64 * KIB, BATCH_OUTPUT)
    assert adopted == await cabinet.files.open(cabinet.ada, adopted.id)
    assert adopted.path.samefile(source), "the bytes are there once"
    source.unlink()
    await cabinet.files.sweep()
    assert adopted.path.read_bytes() == b"x" * 64 * KIB


async def test_adopting_again_after_a_crash_changes_nothing(cabinet: Cabinet, tmp_path: Path) -> None:
    source, chosen = tmp_path / "data" / "output.jsonl", new_id()
    source.write_bytes(b"lines")
    os.link(source, cabinet.folder / chosen)  # it ended before the row was written
    first = await cabinet.files.adopt(cabinet.ada, source, "output.jsonl", BATCH_OUTPUT, None, file_id=chosen)
    again = await cabinet.another().adopt(cabinet.ada, source, "other", BATCH_OUTPUT, None, file_id=chosen)
    assert first == again
    assert (cabinet.names, again.path.read_bytes()) == ([chosen], b"lines")


async def test_without_second_names_it_is_a_copy(
    cabinet: Cabinet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    source = tmp_path / "data" / "output.jsonl"
    source.write_bytes(b"lines")
    adopted = await cabinet.files.adopt(cabinet.ada, source, "output.jsonl", BATCH_OUTPUT, None)
    assert not adopted.path.samefile(source)
    assert (adopted.path.read_bytes(), adopted.size, source.exists()) == (b"lines", 5, True)


async def test_what_is_being_adopted_is_not_swept(cabinet: Cabinet) -> None:
    held = made(cabinet.folder / new_id())
    await cabinet.another().sweep()
    assert len(cabinet.names) == 1
    held.close()
    await cabinet.another().sweep()
    assert cabinet.names == []


async def test_an_account_keeps_so_many_however_small(cabinet: Cabinet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.jobs.files.store.MOST_FILES", 2)
    kept = [await cabinet.keep(cabinet.ada) for _ in range(2)]
    with pytest.raises(PayloadTooLarge, match="has 2 files, which is the most"):
        await cabinet.keep(cabinet.ada)
    with pytest.raises(PayloadTooLarge) as refused:
        await cabinet.files.demand_room(cabinet.ada)
    assert refused.value.param is None
    await cabinet.keep(cabinet.bob)
    await cabinet.files.delete(cabinet.ada, kept[0].id)
    await cabinet.files.demand_room(cabinet.ada)
    await cabinet.keep(cabinet.ada)
