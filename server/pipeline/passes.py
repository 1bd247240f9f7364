"""The passes of one run: opens them on an engine, counts what each uses, and keeps the time."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, TypeVar

from server.core import Accepted, ChatJob, Event, Job, Usage
from server.engines.base import Engine
from server.errors import EngineFailed, SageholdError
from server.models.config.spec import ModelSpec
from server.pipeline.metering import Meter
from server.pipeline.plan import Plan

T = TypeVar("T")

Lease = Callable[[ModelSpec], AbstractAsyncContextManager[Engine]]


@dataclass(frozen=True, slots=True)
class Used:
    """What the runs of one pass have used. place: of the pass in the plan."""

    name: str
    place: int
    usage: Usage


@dataclass(slots=True)
class Opened:
    """A job that an engine has read. `events` are the task's own, then Usage; they are counted as they pass."""

    accepted: Accepted
    events: AsyncIterator[Event]


class Work:
    """What a strategy works with. Every job it runs belongs to a pass of the plan, by the pass's name.

    clock: seconds, for the time budget.
    """

    def __init__(self, plan: Plan, engine: Engine, lease: Lease, clock: Callable[[], float] = time.monotonic) -> None:
        self.plan = plan
        self._engine = engine
        self._lease = lease
        self._clock = clock
        self._deadline = None if plan.budget is None else clock() + plan.budget
        self._meters: list[tuple[int, Meter]] = []
        self._room: int | None = None
        self.doing = 0
        """Place in the plan of the pass that was begun last."""
        self.notes: list[str] = []
        """What turned out otherwise than planned, and how the answer was chosen; for `usage.quality`."""

    # ------------------------------------------------------------ jobs

    @asynccontextmanager
    async def opened(self, name: str, job: Job, engine: Engine | None = None) -> AsyncGenerator[Opened, None]:
        """Let the engine read `job`, a part of the pass `name`; whatever is not taken of it when the block ends is
        stopped. Raises InvalidRequest, EngineFailed."""
        place = next(i for i, planned in enumerate(self.plan.passes) if planned.name == name)
        self.doing = max(self.doing, place)
        async with aclosing((engine or self._engine).run(self._shortened(job))) as events:
            accepted = await anext(events)
            if not isinstance(accepted, Accepted):
                raise EngineFailed
            meter = Meter(accepted)
            self._meters.append((place, meter))
            async with aclosing(_counted(events, meter)) as counted:
                yield Opened(replace(accepted, limit=self._limit(accepted)), counted)

    async def stream(self, name: str, job: Job) -> AsyncGenerator[Event, None]:
        """A pass that is the whole answer: `Accepted`, the events, and Usage of all passes."""
        async with self.opened(name, job) as opened:
            yield opened.accepted
            async for event in opened.events:
                yield event if not isinstance(event, Usage) else self.usage

    def other(self, spec: ModelSpec) -> AbstractAsyncContextManager[Engine]:
        """Another model's engine, for the length of the block. Raises Overloaded, ModelUnavailable."""
        return self._lease(spec)

    def _shortened(self, job: Job) -> Job:
        """With the limit that the balance sets: what it affords is known with the first pass only."""
        if self._room is None or not isinstance(job, ChatJob):
            return job
        return replace(job, max_tokens=min(job.max_tokens or self._room, self._room))

    def _limit(self, accepted: Accepted) -> Callable[[int], None] | None:
        if accepted.limit is None:
            return None

        def limit(tokens: int) -> None:
            assert accepted.limit is not None
            self._room = tokens
            accepted.limit(tokens)

        return limit

    # ------------------------------------------------------------ time

    @property
    def left(self) -> float:
        """Seconds that the budget leaves; infinity without one."""
        return float("inf") if self._deadline is None else self._deadline - self._clock()

    async def unless_late(self, what: Callable[[], Awaitable[T]]) -> T | None:
        """The outcome of further work; None where the time is up, or where it fails: the best so far is the answer."""
        if self.left <= 0:
            self.note("the time budget was used up")
            return None
        try:
            async with asyncio.timeout(None if self._deadline is None else self.left):
                return await what()
        except TimeoutError:
            self.note("the time budget was used up")
        except SageholdError as error:
            self.note(f"a pass was given up ({error.code or type(error).__name__})")
        return None

    def note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    # ------------------------------------------------------------ figures

    @property
    def begun(self) -> bool:
        """Whether an engine has worked, so that there is something to pay."""
        return any(meter.begun for _, meter in self._meters)

    @property
    def used(self) -> list[Used]:
        """What each pass has used so far, in the plan's order; passes that have not begun are not there."""
        found = []
        for place, planned in enumerate(self.plan.passes):
            if meters := [meter.usage for at, meter in self._meters if at == place and meter.begun]:
                found.append(Used(planned.name, place, reduce(add, meters)))
        return found

    @property
    def usage(self) -> Usage:
        """Of all passes together. Of the same recording, the seconds count once for each pass that hears it."""
        return reduce(add, (used.usage for used in self.used), Usage())

    def told(self) -> dict[str, Any]:
        """`usage.quality` of the answer."""
        plan, used = self.plan, self.used
        told: dict[str, Any] = {
            "mode": str(plan.quality),
            "passes": len(used),
            "candidates": plan.candidates,
            "tokens_by_pass": [{"pass": one.name, **_amounts(one.usage)} for one in used],
        }
        if self.notes:
            told["notes"] = list(self.notes)
        return told


def _amounts(usage: Usage) -> dict[str, float]:
    """Tokens, and of what else was used only what there is."""
    media = {"audio_seconds": usage.audio_seconds, "characters": usage.characters, "images": usage.images}
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        **{name: amount for name, amount in media.items() if amount},
    }


async def _counted(events: AsyncGenerator[Event, None], meter: Meter) -> AsyncGenerator[Event, None]:
    async for event in events:
        meter.count(event)
        yield event
