"""A batch's parts for tests: input files, an executor that does what it is told, a clock that jumps."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from server.errors import ModelNotFound
from server.jobs.batches.executor import LineResult, Order
from server.jobs.batches.input_file import InputFile, Rules, Scan
from server.jobs.batches.journal import Journal
from server.jobs.batches.runner import Clock, LineRunner, Payer, Tools
from server.jobs.batches.window import Window

CHAT = "/v1/chat/completions"


def line(custom_id: str, **body: Any) -> dict[str, Any]:
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": {"model": "m", "messages": [], **body}}


def lines_of(*rows: Mapping[str, Any] | bytes) -> bytes:
    return b"".join((row if isinstance(row, bytes) else orjson.dumps(row)) + b"\n" for row in rows)


def model_of(endpoint: str, name: str) -> str:
    if name == "unknown":
        raise ModelNotFound.named(name)
    return name.partition(":")[0]


def rules(**changes: Any) -> Rules:
    said = {"endpoint": CHAT, "model_of": model_of, "check": lambda _: None, "most_lines": 100, "longest": 10_000}
    return Rules(**{**said, **changes})


def answer(status: int = 200, code: str = "", message: str = "No.", **more: Any) -> LineResult:
    body = {"error": {"message": message, "type": "t", "param": None, "code": code}} if status >= 300 else {"ok": True}
    return LineResult(
        status_code=status, request_id="req_x", body=orjson.dumps({**body, **more.pop("body", {})}), **more
    )


Said = LineResult | BaseException | Callable[[], Awaitable[LineResult]]


@dataclass
class FakeExecutor:
    """Answers each line by what `says` has for its custom id (the body's field `n`): answers in turn, the last one for
    ever; 200 by default. A `gate` holds all lines until it is set."""

    says: dict[str, list[Said]] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    orders: list[Order] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    cancelled: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    begun: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self, order: Order) -> LineResult:
        name = str(orjson.loads(order.body).get("n", ""))
        self.orders.append(order)
        self.tries[name] += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            async with self.begun:
                self.begun.notify_all()
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            said = self.says.get(name, [answer()])
            found = said.pop(0) if len(said) > 1 else said[0]
            if isinstance(found, BaseException):
                raise found
            return found if isinstance(found, LineResult) else await found()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            self.running -= 1

    async def until(self, count: int) -> None:
        """So many orders have been begun."""
        async with self.begun:
            await self.begun.wait_for(lambda: len(self.orders) >= count)


@dataclass
class JumpingClock:
    """Whoever sleeps wakes at once, and it is that much later."""

    time: float = 1000.0
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[float], None] = lambda seconds: None

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        self.on_sleep(seconds)
        await asyncio.sleep(0)

    @property
    def clock(self) -> Clock:
        return Clock(self.now, self.sleep)


@dataclass
class Bench:
    """A runner over a folder. `made` begins anew over what is there, as after a crash."""

    folder: Path
    executor: FakeExecutor = field(default_factory=FakeExecutor)
    places: int = 4
    clock: JumpingClock = field(default_factory=JumpingClock)
    outcomes: Counter[str] = field(default_factory=Counter)
    claim: int = 0

    def __post_init__(self) -> None:
        self.window = Window(lambda _: self.places)

    def write(self, count: int | Iterable[Mapping[str, Any]]) -> None:
        rows = [line(f"c{n}", n=n) for n in range(1, count + 1)] if isinstance(count, int) else list(count)
        (self.folder / "input.jsonl").write_bytes(lines_of(*rows))

    async def source(self) -> InputFile:
        scan = Scan(self.folder / "input.jsonl", rules(most_lines=10**6))
        source = await scan.run()
        assert not scan.errors
        return source

    async def made(self, **payer: Any) -> LineRunner:
        self.claim += 1
        self.journal = Journal(self.folder / "output.jsonl", self.folder / "errors.jsonl", "ab")
        said = {"name": "batch_ab", "account_id": "acct", "key_id": "key", "claim": self.claim, **payer}
        tools = Tools(self.executor, self.window, self.clock.clock, lambda outcome: self.outcomes.update([outcome]))
        return LineRunner(await self.source(), self.journal, Payer(**said), tools)

    async def ran(self, **payer: Any) -> LineRunner:
        runner = await self.made(**payer)
        async with asyncio.timeout(20):
            await runner.run()
        return runner

    def written(self, name: str) -> list[dict[str, Any]]:
        return [orjson.loads(row) for row in (self.folder / f"{name}.jsonl").read_bytes().splitlines()]

    def ids(self, name: str) -> list[str]:
        return sorted((row["custom_id"] for row in self.written(name)), key=lambda one: int(one[1:]))
