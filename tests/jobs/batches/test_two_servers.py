"""Several servers on one database: no two of them work on one batch, and none is forgotten."""

import asyncio
import shutil

import pytest
from sqlalchemy import update

from server.accounts.tables import AccountRow
from server.errors import NotFound, RateLimited
from server.jobs.batches.claims import FORGOTTEN, NotOurs, Progress
from server.jobs.batches.folder import UNLOCKED
from server.jobs.batches.records import Status
from server.storage.held_files import locked
from tests.jobs.batches.harness import CHAT, answer, line, lines_of
from tests.jobs.batches.installation import ADA, BOB, Installation

pytestmark = pytest.mark.anyio


async def test_they_share_batches_of_one_folder_and_never_a_line(installation: Installation) -> None:
    first, second = await installation.process(), await installation.process()
    made = [await installation.made(first, 10, caller) for caller in (ADA, BOB, ADA, BOB)]
    await asyncio.gather(first.work_off(), second.work_off())
    assert len(installation.executor.orders) == 40
    assert max(installation.executor.tries.values()) == 4, "each line of four batches once"
    for batch, caller in zip(made, (ADA, BOB, ADA, BOB), strict=True):
        assert (await installation.found(batch, caller)).status is Status.COMPLETED


async def test_one_that_a_server_works_on_is_left_to_it_for_as_long_as_it_lives(installation: Installation) -> None:
    first, second = await installation.process(), await installation.process()
    gate = installation.executor.gate = asyncio.Event()
    batch = await installation.made(first, 10)
    await first.begin()
    await installation.executor.until(5)
    installation.later(hours=5)  # it was frozen, say: its lock says that it is there
    await second.background.begin()
    await second.background.sweep()
    assert second.background.under_way == {}
    gate.set()
    await first.ended()
    await installation.is_done(batch)
    assert max(installation.executor.tries.values()) == 1


async def test_what_another_has_put_back_is_taken_up_and_asked_of_this_one(installation: Installation) -> None:
    first, second = await installation.process(), await installation.process()
    forever = asyncio.Event().wait
    installation.executor.says = {"7": [forever, answer()]}  # type: ignore[list-item]
    batch = await installation.made(first, 10)
    await first.begin()
    await installation.executor.until(10)
    while len(installation.executor.says["7"]) > 1:
        await asyncio.sleep(0)
    await first.end()
    work = await second.begin()
    assert work.claim.number == 2
    await second.ended()
    await installation.is_done(batch)
    assert installation.executor.tries["7"] == 2
    assert f"{batch.id}-7.2.1" in [order.reference for order in installation.executor.orders]


async def test_one_without_the_folder_leaves_it_alone(installation: Installation) -> None:
    first, other = await installation.process(), await installation.process("elsewhere")
    batch = await installation.made(first, 10)
    await other.background.begin()
    await other.background.sweep()
    assert other.background.under_way == {}
    await first.work_off()
    await installation.is_done(batch)


async def test_both_together_take_in_no_more_than_an_account_may_have(installation: Installation) -> None:
    installation.most = 3
    servers = [await installation.process() for _ in range(2)]
    file_id = await installation.upload(lines_of(line("c1")))
    made = [server.batches.create(ADA, file_id, CHAT, "24h") for server in servers * 5]
    found = await asyncio.gather(*made, return_exceptions=True)
    assert sum(isinstance(one, RateLimited) for one in found) == 7, found


async def test_asked_of_another_server_it_is_cancelled(installation: Installation) -> None:
    first, other = await installation.process(), await installation.process("elsewhere")
    installation.executor.gate = asyncio.Event()
    batch = await installation.made(first, 10)
    work = await first.begin()
    await installation.executor.until(5)
    await other.batches.cancel(ADA.account_id, batch.id)
    work.call()  # its next look
    await first.ended()
    assert (await installation.found(batch)).status is Status.CANCELLED


async def test_what_was_taken_from_it_is_written_no_more(installation: Installation) -> None:
    process = await installation.process()
    installation.executor.gate = asyncio.Event()
    batch = await installation.made(process, 10)
    work = await process.begin()
    await installation.executor.until(5)
    claims = process.tools.claims
    (one,) = await claims.waiting([])
    assert await claims.take(one) is not None
    assert await claims.take(one) is None
    with pytest.raises(NotOurs):
        await claims.beat(work.claim, Progress(9, 9, {}, None), None)
    work.call()
    await process.ended()
    assert installation.executor.running == 0
    assert (await installation.found(batch)).completed == 0


@pytest.mark.parametrize("ending", ["cancelled", "expired", "neither"])
async def test_one_whose_folder_is_gone_ends_at_last(installation: Installation, ending: str) -> None:
    process = await installation.process("elsewhere")
    batch = await installation.made(process, 10)
    shutil.rmtree(installation.data_dir / "elsewhere" / batch.id)
    if ending == "cancelled":
        await process.batches.cancel(ADA.account_id, batch.id)
    await process.background.sweep()
    assert (await installation.found(batch)).status in (Status.VALIDATING, Status.CANCELLING)
    installation.time += FORGOTTEN
    if ending == "expired":
        installation.later(hours=24)
    await process.background.sweep()
    found = await installation.found(batch)
    if ending == "neither":
        assert found.status is Status.VALIDATING, "the server that has the folder may come back"
        return
    assert found.status is (Status.CANCELLED if ending == "cancelled" else Status.EXPIRED)
    assert [error.code for error in found.errors] == ["files_lost"]
    assert found.output_file_id is None


@pytest.mark.parametrize("ending", ["cancelled", "expired"])
async def test_one_that_rested_for_long_is_left_to_the_server_that_has_it(
    installation: Installation, ending: str
) -> None:
    """Nobody has said anything of it for days, and its end has come just now: the other server looks first."""
    first, other = await installation.process(), await installation.process("elsewhere")
    installation.executor.says = {"6": [answer(503, "server_shutting_down")]}
    batch = await installation.made(first, 10, window="9d")
    await first.begin()
    await first.ended()
    await first.batches.pause(ADA.account_id, batch.id)
    installation.later(days=5)
    if ending == "cancelled":
        await first.batches.cancel(ADA.account_id, batch.id)
    else:
        installation.later(days=4)
    await other.background.sweep()
    await first.work_off()
    found = await installation.found(batch)
    assert found.status is (Status.CANCELLED if ending == "cancelled" else Status.EXPIRED)
    assert found.errors == []
    output, _ = await installation.answers(batch)
    assert "c1" in output


async def test_where_all_share_one_folder_one_that_is_gone_fails_at_once(installation: Installation) -> None:
    process = await installation.process(alone=True)
    lost, kept = [await installation.made(process, 10) for _ in range(2)]
    shutil.rmtree(installation.data_dir / "batches" / lost.id)
    await process.background.sweep()
    assert (await installation.found(lost)).status is Status.FAILED
    await process.work_off()
    assert (await installation.found(kept)).status is Status.COMPLETED


async def test_one_that_ended_long_ago_is_forgotten_once_its_files_are_gone(installation: Installation) -> None:
    process = await installation.process()
    kept, gone, failed, open_one = [
        await installation.made(process, data, window="14d") for data in (10, 10, b"nonsense\n", 10)
    ]
    installation.executor.says = {}
    await process.batches.pause(ADA.account_id, open_one.id)
    await process.work_off()
    output = (await installation.found(gone)).output_file_id
    assert output is not None
    await installation.files.delete(ADA.account_id, output)
    installation.later(days=29)
    await process.background.sweep()
    assert len(await process.batches.page(ADA.account_id, 10)) == 4
    installation.later(days=1)
    await process.background.sweep()
    found = await process.batches.page(ADA.account_id, 10)
    assert [one.id for one in found] == [open_one.id, kept.id], "what is not done is not forgotten, whatever its age"
    with pytest.raises(NotFound):
        await installation.found(gone)
    assert failed.id not in [one.id for one in found]


async def test_batches_of_a_closed_account_go_with_it(installation: Installation) -> None:
    process = await installation.process()
    batch, other = [await installation.made(process, 2, caller) for caller in (ADA, BOB)]
    await process.work_off()
    async with installation.database.write() as session:
        closed = update(AccountRow).where(AccountRow.id == ADA.account_id).values(closed_at=installation.time)
        await session.execute(closed)
    try:
        await installation.files.sweep()
        await process.background.sweep()
        with pytest.raises(NotFound):
            await installation.found(batch)
        assert (await installation.found(other, BOB)).status is Status.COMPLETED
    finally:
        async with installation.database.write() as session:
            await session.execute(update(AccountRow).values(closed_at=None))


async def test_folders_that_nobody_needs_are_swept(installation: Installation) -> None:
    process = await installation.process()
    batch = await installation.made(process, 1)
    folder = installation.data_dir / "batches"
    nobodys, held, unlocked = (folder / f"batch_{sign * 32}" for sign in "abc")
    for path in (nobodys, held):
        path.mkdir()
        (path / ".lock").touch()
        (path / "output.jsonl").write_text("{}")
    unlocked.mkdir()
    (folder / "notes").mkdir()
    file = locked(held / ".lock")
    assert file is not None
    with file:
        await process.background.sweep()
        names = {path.name for path in folder.iterdir()}
        assert names == {batch.id, held.name, unlocked.name, "notes"}
    process.background._folders._now = lambda: unlocked.stat().st_mtime + UNLOCKED + 1
    await process.background.sweep()
    assert {path.name for path in folder.iterdir()} == {batch.id, "notes"}
