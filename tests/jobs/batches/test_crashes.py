"""A server dies at any step of a batch, and the next one goes on: every request is answered once, and paid once."""

import asyncio
import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import server.jobs.files.store as files_store
from server.errors import DatabaseUnavailable, NotFound
from server.jobs.batches.background import AGAIN
from server.jobs.batches.executor import LineResult, Order, PayerGone, line_of
from server.jobs.batches.folder import BatchFolder
from server.jobs.batches.journal import Entry, Journal
from server.jobs.batches.records import OPEN, Batch, Status
from server.jobs.files.linking import linked
from tests.jobs.batches.harness import answer, line, lines_of
from tests.jobs.batches.installation import ADA, Installation, Process

pytestmark = pytest.mark.anyio

LINES = 4


class Crash(BaseException):
    """The process is dead: nothing of it does anything any more."""


@dataclass
class Fate:
    """Strikes at the step number `at`, and then at every one. Steps are counted from 1."""

    at: int
    count: int = 0
    dead: bool = False
    over: bool = False

    def step(self) -> None:
        if self.over:
            return
        self.count += 1
        if self.dead or self.count == self.at:
            self.dead = True
            raise Crash

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Steps before and after a coroutine function's work."""

        async def stepping(*arguments: Any, **named: Any) -> Any:
            self.step()
            result = await work(*arguments, **named)
            self.step()
            return result

        return stepping

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any, **named: Any) -> Any:
            self.step()
            return work(*arguments, **named)

        return stepping

    def torn(self, write: Callable[..., int]) -> Callable[..., int]:
        """A write that is cut in the middle, or just after its end."""

        def stepping(file: int, data: memoryview, place: int) -> int:
            if self.over:
                return write(file, data, place)
            try:
                self.step()
            except Crash:
                if self.count == self.at:
                    write(file, data[: len(data) // 2], place)
                raise
            written = write(file, data, place)
            self.step()
            return written

        return stepping


@dataclass
class Till:
    """An executor whose answers are paid: by line number how often. Line 2 is refused, which costs nothing."""

    fate: Fate
    paid: Counter[int] = field(default_factory=Counter)

    async def run(self, order: Order) -> LineResult:
        self.fate.step()
        await asyncio.sleep(0)
        number = line_of(order.reference)
        if number == 2:
            return answer(400, "invalid_value")
        if not order.paid:
            self.paid[number] += 1
        self.fate.step()
        return answer()

    async def settled(self, batch_id: str) -> frozenset[int]:
        return frozenset(self.paid)


@dataclass
class Outage(Fate):
    """Strikes once, at the step number `at`, and the process lives on."""

    error: BaseException = field(default_factory=lambda: OSError(errno.ENOSPC, "No space left on device"))

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.dead = True
            raise self.error

    def torn(self, write: Callable[..., int]) -> Callable[..., int]:
        """A write for which there is not enough room."""

        def stepping(file: int, data: memoryview, place: int) -> int:
            try:
                self.step()
            except OSError:
                write(file, data[: len(data) // 2], place)
                raise
            return write(file, data, place)

        return stepping


async def dying(installation: Installation, fate: Fate, till: Till, patch: pytest.MonkeyPatch) -> Process:
    """A server that `fate` strikes."""
    process = await installation.process(executor=till, bills=till)
    claims = process.tools.claims
    for name in ("take", "begin", "beat", "finalize", "end", "put_back"):
        patch.setattr(claims, name, fate.around(getattr(claims, name)))
    patch.setattr(installation.files, "adopt", fate.around(installation.files.adopt))
    patch.setattr(files_store, "linked", fate.before(linked))
    patch.setattr(os, "pwrite", fate.torn(os.pwrite))
    for module, name in ((os, "ftruncate"), (os, "fdatasync"), (shutil, "rmtree")):
        patch.setattr(module, name, fate.before(getattr(module, name)))
    patch.setattr(Path, "unlink", fate.before(Path.unlink))
    return process


async def run_into(process: Process, fate: Fate) -> None:
    """Until everything is done, or the server is dead."""
    try:
        await process.background.begin()
        async with asyncio.timeout(20):
            while process.background.under_way and not fate.dead:
                await asyncio.sleep(0)
    except Crash:
        pass
    tasks = [task for _, task in process.background.under_way.values()]
    await process.end()  # what the system does for a dead process: locks are let go of
    await asyncio.gather(*tasks, return_exceptions=True)


async def lies(installation: Installation, batch: Batch) -> list[str]:
    """What a batch says that is not so."""
    found = await installation.found(batch)
    wrong = []
    if found.status not in OPEN:
        for file_id in filter(None, (found.output_file_id, found.error_file_id)):
            try:
                await installation.files.open(ADA.account_id, file_id)
            except NotFound:
                wrong.append(file_id)
    elif found.output_file_id or found.error_file_id:
        wrong.append("files before its end")
    return wrong


async def struck(installation: Installation, at: int, scenario: str) -> tuple[Fate, Batch, Till]:
    """A batch whose first server dies at a step, and which the next one takes to its end."""
    fate = Fate(at)
    till = Till(fate)
    with pytest.MonkeyPatch.context() as patch:
        survivor = await installation.process(executor=till, bills=till)
        data = lines_of(*(line(f"c{n}", n=n) for n in range(1, LINES + 1)))
        batch = await installation.made(survivor, b"nonsense\n" if scenario == "wrong" else data)
        if scenario == "cancelled":
            await survivor.batches.cancel(ADA.account_id, batch.id)
        elif scenario == "expired":
            installation.later(hours=25)
        process = await dying(installation, fate, till, patch)
        await run_into(process, fate)
        fate.over = True
        assert await lies(installation, batch) == []
        await survivor.work_off()
        await survivor.background.sweep()
        await installation.files.sweep()
    return fate, batch, till


@pytest.mark.parametrize(
    ("scenario", "status"),
    [
        ("run", Status.COMPLETED),
        ("expired", Status.EXPIRED),
        ("cancelled", Status.CANCELLED),
        ("wrong", Status.FAILED),
    ],
)
async def test_a_server_dies_at_any_step(installation: Installation, scenario: str, status: Status) -> None:
    at = 0
    while True:
        at += 1
        fate, batch, till = await struck(installation, at, scenario)
        found = await installation.found(batch)
        output, errors = await installation.answers(batch)
        told = f"dead at step {at}"
        assert found.status is status, told
        assert await lies(installation, batch) == [], told
        assert list((installation.data_dir / "batches").iterdir()) == [], told
        assert (found.completed, found.failed) == (len(output), len(errors)), told
        if scenario == "run":
            assert (output, errors) == (["c1", "c3", "c4"], ["c2"]), told
            assert till.paid == {1: 1, 3: 1, 4: 1}, told
        elif scenario == "expired":
            assert (output, errors) == ([], ["c1", "c2", "c3", "c4"]), told
        else:
            assert (output, errors) == ([], []), told
        for file_id in filter(None, (found.output_file_id, found.error_file_id)):
            await installation.files.delete(ADA.account_id, file_id)
        await installation.files.delete(ADA.account_id, batch.input_file_id)
        assert list((installation.data_dir / "files").iterdir()) == [], f"{told}: nothing is left over"
        if not fate.dead:
            break
    assert at > (5 if scenario in ("cancelled", "wrong") else 15)


@pytest.mark.parametrize("what", ["database", "files"])
async def test_an_outage_at_any_step_is_waited_for(
    installation: Installation, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = 0
    while True:
        at += 1
        with monkeypatch.context() as patch:
            error = DatabaseUnavailable() if what == "database" else OSError(errno.ENOSPC, "No space left on device")
            fate = Outage(at, error=error)
            till = Till(Outage(0))
            process = await installation.process(executor=till, bills=till)
            data = lines_of(*(line(f"c{n}", n=n) for n in range(1, LINES + 1)))
            batch = await installation.made(process, data)
            claims = process.tools.claims
            if what == "database":
                for name in ("waiting", "take", "begin", "beat", "finalize", "end"):
                    patch.setattr(claims, name, fate.around(getattr(claims, name)))
                patch.setattr(installation.files, "adopt", fate.around(installation.files.adopt))
            else:
                patch.setattr(files_store, "linked", fate.before(linked))
                patch.setattr(os, "pwrite", fate.torn(os.pwrite))
                patch.setattr(os, "fdatasync", fate.before(os.fdatasync))
            async with asyncio.timeout(20):
                while (await installation.found(batch)).status in OPEN:
                    with suppress(DatabaseUnavailable):
                        await process.background.begin()
                    while process.background.under_way:
                        await asyncio.wait([task for _, task in process.background.under_way.values()], timeout=0.02)
                        installation.clock.advance(1)
                    installation.clock.advance(AGAIN)
            await process.background.sweep()
        assert (await installation.is_done(batch, count=LINES)).failed == 1
        assert till.paid == {1: 1, 3: 1, 4: 1}, f"an outage at step {at}"
        if not fate.dead:
            break
    assert at > (10 if what == "database" else 4)


async def test_damaged_files_are_an_end(installation: Installation) -> None:
    process = await installation.process()
    batch = await installation.made(process, LINES)
    (installation.data_dir / "batches" / batch.id / "output.jsonl").write_text("my notes\n")
    await process.work_off()
    found = await installation.found(batch)
    assert (found.status, [error.code for error in found.errors]) == (Status.FAILED, ["files_damaged"])


async def test_nothing_is_added_to_files_that_are_their_owner_s(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is gone, the files are made, and the database is down for the last word; then the key is valid again."""
    process = await installation.process()
    installation.executor.says = {"3": [PayerGone("Gone."), answer()]}
    batch = await installation.made(process, 4)
    with monkeypatch.context() as patch:

        async def down(*_: object, **__: object) -> Status:
            raise DatabaseUnavailable

        patch.setattr(process.tools.claims, "end", down)
        await process.work_off()
    assert (await installation.found(batch)).status is Status.FINALIZING
    installation.clock.advance(AGAIN)
    await process.work_off()
    found = await installation.found(batch)
    assert found.status is Status.FAILED
    assert [error.code for error in found.errors] == ["invalid_api_key"]
    assert found.output_file_id is not None
    file = await installation.files.open(ADA.account_id, found.output_file_id)
    assert file.size == file.path.stat().st_size
    assert len(await installation.rows(file.id)) == found.completed < 4


async def test_its_end_is_on_the_disk_before_its_folder_goes(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a loss of power could take the end back, and the rows of its files, but not the folder's deletion."""
    if not installation.database.sqlite:
        pytest.skip("commits of PostgreSQL are on the disk")
    process = await installation.process()
    batch = await installation.made(process, LINES)
    seen: list[str] = []
    synced, removed, ended = os.fdatasync, BatchFolder.remove, process.tools.claims.end

    def fdatasync(file: int) -> None:
        seen.append(Path(f"/proc/self/fd/{file}").readlink().name.rpartition("-")[2])
        synced(file)

    def remove(self: BatchFolder) -> None:
        seen.append("removed")
        removed(self)

    async def end(*arguments: Any, **named: Any) -> Status:
        seen.append("end")
        return await ended(*arguments, **named)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    monkeypatch.setattr(BatchFolder, "remove", remove)
    monkeypatch.setattr(process.tools.claims, "end", end)
    await process.work_off()
    await installation.is_done(batch, count=LINES)
    assert seen == ["output.jsonl", "end", "wal", "removed"]


async def test_what_a_dead_server_has_written_is_synced_by_the_next(tmp_path: Path) -> None:
    paths = tmp_path / "output.jsonl", tmp_path / "errors.jsonl"
    first = Journal(*paths, "ab")
    first.write([Entry(1, "c1", answer())])
    first.close()
    synced = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", synced.append)
        second = Journal(*paths, "ab")
        second.sync()
        second.close()
    assert len(synced) == 1
