"""Servers over one database and its files, whose clocks stand still and whose executor does what it is told."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import orjson

from server.core import Caller
from server.jobs.batches.background import Background
from server.jobs.batches.batches import Batches
from server.jobs.batches.claims import Claims
from server.jobs.batches.folder import BatchFolders
from server.jobs.batches.gauges import BatchCounts
from server.jobs.batches.records import Batch, Status
from server.jobs.batches.runner import Clock
from server.jobs.batches.window import Window
from server.jobs.batches.work import Work, WorkTools
from server.jobs.files.store import Files
from server.storage.database import Database
from server.testing.seats import seat
from tests.jobs.batches.harness import CHAT, FakeExecutor, line, lines_of, model_of

ADA = Caller(key_id="key_ada", account_id="acct_ada")
BOB = Caller(key_id="key_bob", account_id="acct_bob")
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class StandingClock:
    """Goes on only by `advance`."""

    time: float = 1000.0
    _sleepers: list[tuple[float, int, "asyncio.Future[None]"]] = field(default_factory=list)
    _count: int = 0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heappush(self._sleepers, (self.time + seconds, self._count, future))
        await future

    def advance(self, seconds: float) -> None:
        self.time += seconds
        while self._sleepers and self._sleepers[0][0] <= self.time:
            _, _, future = heappop(self._sleepers)
            if not future.done():
                future.set_result(None)


class FakeModels:
    """`m` and others are served, `unknown` is not; `secret` only for BOB."""

    def __init__(self) -> None:
        self.works_on = 4

    def model_of(self, endpoint: str, name: str, caller: Caller | None) -> str:
        if name == "secret" and caller != BOB:
            return model_of(endpoint, "unknown")
        return model_of(endpoint, name)

    def places(self, model: str) -> int:
        return self.works_on

    def check(self, line: bytes) -> None:
        pass


@dataclass
class Process:
    """One server."""

    background: Background
    batches: Batches
    tools: WorkTools

    async def work_off(self) -> None:
        """Until there is nothing to be done any more that it could do."""
        async with asyncio.timeout(30):
            while True:
                await self.background.begin()
                if not self.background.under_way:
                    return
                await asyncio.wait([task for _, task in self.background.under_way.values()])
                await asyncio.sleep(0)

    async def begin(self) -> Work:
        """Take on the one batch that there is."""
        await self.background.begin()
        ((work, _),) = self.background.under_way.values()
        return work

    async def ended(self) -> None:
        async with asyncio.timeout(30):
            while self.background.under_way:
                await asyncio.wait([task for _, task in self.background.under_way.values()])
                await asyncio.sleep(0)

    async def end(self) -> None:
        """As at a server's end."""
        await self.background._let_go()


class Installation:
    def __init__(self, database: Database, data_dir: Path) -> None:
        self.database = database
        self.data_dir = data_dir
        self.executor = FakeExecutor()
        self.models = FakeModels()
        self.clock = StandingClock()
        self.time = BEGIN
        self.callers = {caller.key_id: caller for caller in (ADA, BOB)}
        self.paid: set[int] = set()
        self.files = Files(database, data_dir / "files", max_file=10**9, max_account_files=10**9, now=lambda: self.time)
        self.processes: list[Process] = []
        self.limits = {"most_lines": 1000, "most_file": 10**6, "longest_line": 10_000}
        self.most = 10

    async def start(self) -> None:
        await self.files.start()
        await seat(self.database, [ADA, BOB])

    async def stop(self) -> None:
        self.executor.gate = None
        for process in self.processes:
            await process.end()

    async def caller(self, key_id: str) -> Caller | None:
        return self.callers.get(key_id)

    async def settled(self, batch_id: str) -> frozenset[int]:
        return frozenset(self.paid)

    async def process(self, folder: str = "batches", *, alone: bool = False, **changes: Any) -> Process:
        """folder: of its own where it shares none with the others."""
        folders = BatchFolders(self.data_dir / folder)
        await folders.start()

        async def by_database(_: object) -> datetime:
            return self.time

        claims = Claims(self.database, secrets.token_hex(8), now=lambda: self.time, time=by_database)
        said: Mapping[str, Any] = {
            "claims": claims,
            "files": self.files,
            "models": self.models,
            "payers": self,
            "bills": self,
            "executor": self.executor,
            "window": Window(self.models.places),
            "counts": BatchCounts(),
            "validating": asyncio.Semaphore(2),
            **self.limits,
            "clock": Clock(self.clock.now, self.clock.sleep),
            "now": lambda: self.time,
            **changes,
        }
        tools = WorkTools(**said)
        background = Background(folders, tools, alone=alone)
        batches = Batches(self.database, self.files, folders, background.call, most=self.most, now=lambda: self.time)
        made = Process(background, batches, tools)
        self.processes.append(made)
        return made

    def later(self, **time: float) -> None:
        self.time += timedelta(**time)

    # ------------------------------------------------------------ files

    async def upload(self, data: bytes, caller: Caller = ADA, purpose: str = "batch") -> str:
        path = self.data_dir / "upload"
        path.write_bytes(data)
        file = await self.files.adopt(caller.account_id, path, "in.jsonl", purpose, None)
        path.unlink()
        return file.id

    async def made(self, process: Process, lines: int | bytes = 10, caller: Caller = ADA, **more: Any) -> Batch:
        data = lines if isinstance(lines, bytes) else lines_of(*(line(f"c{n}", n=n) for n in range(1, lines + 1)))
        file_id = await self.upload(data, caller)
        return await process.batches.create(caller, file_id, CHAT, more.pop("window", "24h"), **more)

    async def found(self, batch: Batch, caller: Caller = ADA) -> Batch:
        return await self.processes[0].batches.find(caller.account_id, batch.id)

    async def answers(self, batch: Batch, caller: Caller = ADA) -> tuple[list[str], list[str]]:
        """The custom ids in its output and in its errors, as its owner gets them."""
        batch = await self.found(batch, caller)
        ids = []
        for file_id in (batch.output_file_id, batch.error_file_id):
            rows = [] if file_id is None else await self.rows(file_id, caller)
            ids.append(sorted((row["custom_id"] for row in rows), key=lambda one: int(one[1:])))
        return ids[0], ids[1]

    async def rows(self, file_id: str, caller: Caller = ADA) -> list[dict[str, Any]]:
        file = await self.files.open(caller.account_id, file_id)
        return [orjson.loads(row) for row in file.path.read_bytes().splitlines()]

    async def is_done(self, batch: Batch, status: Status = Status.COMPLETED, *, count: int = 10) -> Batch:
        """Every line is answered once, and nothing is left."""
        found = await self.found(batch)
        output, errors = await self.answers(batch)
        assert found.status is status
        assert sorted(output + errors, key=lambda one: int(one[1:])) == [f"c{n}" for n in range(1, count + 1)]
        assert (found.total, found.completed, found.failed) == (count, len(output), len(errors))
        assert found.paused is None
        assert [path.name for path in (self.data_dir / "batches").iterdir()] == []
        return found
