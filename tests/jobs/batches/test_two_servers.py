"""Several servers on one database: no two of them work on one batch, and none is forgotten."""

import asyncio
import shutil

import pytest

from server.jobs.batches.claims import FORGOTTEN, NotOurs, Progress
from server.jobs.batches.folder import UNLOCKED
from server.jobs.batches.records import Status
from server.storage.held_files import locked
from tests.jobs.batches.harness import answer
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
    assert [order.reference.partition("-")[2] for order in installation.executor.orders][-1] == "7.2.1"


async def test_one_without_the_folder_leaves_it_alone(installation: Installation) -> None:
    first, other = await installation.process(), await installation.process("elsewhere")
    batch = await installation.made(first, 10)
    await other.background.begin()
    await other.background.sweep()
    assert other.background.under_way == {}
    await first.work_off()
    await installation.is_done(batch)


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


async def test_where_all_share_one_folder_one_that_is_gone_fails_at_once(installation: Installation) -> None:
    process = await installation.process(alone=True)
    lost, kept = [await installation.made(process, 10) for _ in range(2)]
    shutil.rmtree(installation.data_dir / "batches" / lost.id)
    await process.background.sweep()
    assert (await installation.found(lost)).status is Status.FAILED
    await process.work_off()
    assert (await installation.found(kept)).status is Status.COMPLETED


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
