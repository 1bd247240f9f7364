"""A server dies at any step of a batch, and the next one goes on: every request is answered once, and paid once."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import server.jobs.files.store as files_store
from server.errors import NotFound
from server.jobs.batches.executor import LineResult, Order, line_of
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
