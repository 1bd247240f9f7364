"""The passes of one run: opens them on an engine, counts what each uses, and keeps the time."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, Self, TypeVar

from server.core import Event, Facts, Job, Usage
from server.engines.base import Engine, Reading
from server.errors import SageholdError
from server.models.config.spec import ModelSpec
from server.pipeline.metering import Meter
from server.pipeline.plan import Plan, PlannedPass

T = TypeVar("T")

Lease = Callable[[ModelSpec], AbstractAsyncContextManager[Engine]]


@dataclass(frozen=True, slots=True)
class Used:
    """What the jobs of one pass have used. place: of the pass in the plan."""

    name: str
    place: int
    usage: Usage


LONGEST_CANDIDATE = 8000
"""Characters of a candidate that an answer tells. There are 18 at most: sixteen drafts, a critique, a rewrite."""


@dataclass(slots=True)
class Candidate:
    """A text that was written on the way to an answer.

    name: of its pass. votes: how many of the drafts come to the same final answer, itself included; None where nothing
    could be compared. right: the model's own probability that it is right. likelihood: its log-probability in nats,
    made comparable between lengths. chosen: whether it is the answer.
    """

    name: str
    text: str
    votes: int | None = None
    right: float | None = None
    likelihood: float | None = None
    chosen: bool = False

    def as_json(self) -> dict[str, Any]:
        """An entry of `usage.quality.drafts`; what is not known of it is left out."""
        cut = len(self.text) > LONGEST_CANDIDATE
        known = {"votes": self.votes, "right": self.right, "likelihood": self.likelihood}
        return {
            "pass": self.name,
            "text": f"{self.text[:LONGEST_CANDIDATE]}…" if cut else self.text,
            "chosen": self.chosen,
            **{
                name: value if name == "votes" else round(value, 6)
                for name, value in known.items()
                if value is not None
            },
        }


class Work:
    """What a strategy works with. The first pass has been read; every job belongs to a pass of the plan.

    clock: seconds, for the time budget.
    """

    def __init__(
        self, plan: Plan, engine: Engine, job: Job, reading: Reading, lease: Lease, clock: Callable[[], float]
    ) -> None:
        self.plan = plan
        self.first_job = job
        self.facts: Facts = reading.facts
        """Of the first pass, and of what other models have read before it."""
        self.limit: int | None = None
        """Tokens that each answer may have, where the balance affords less than was asked for."""
        self.place = 0
        """In the plan, of the pass that was begun last."""
        self.notes: list[str] = list(plan.notes)
        """What the mode changed, what turned out otherwise than planned, and how the answer was chosen; for
        `usage.quality`."""
        self.made: int | None = None
        """Answers among which the choice was made, where those were fewer than planned."""
        self.candidates: list[Candidate] = []
        """What was written on the way to the answer, and what was thought of it."""
        self._engine = engine
        self._reading = reading
        self._opening = plan.passes.index(plan.strategy.opening)
        self._lease = lease
        self._clock = clock
        self._deadline = None if plan.budget is None else clock() + plan.budget
        self._meters: list[tuple[int, Meter, Reading]] = []
        self._final: list[Used] | None = None

    @classmethod
    async def read(cls, engine: Engine, plan: Plan, lease: Lease, clock: Callable[[], float] = time.monotonic) -> Self:
        """Let the engine read the plan's first pass. The caller closes the work.

        Raises InvalidRequest, EngineFailed.
        """
        job = plan.strategy.first()
        work = cls(plan, engine, job, await engine.read(job), lease, clock)
        try:
            work.facts = await plan.strategy.facts(work)
        except BaseException:
            await work.aclose()
            raise
        return work

    async def read_anew(self, job: Job) -> None:
        """Let the engine read the first pass as another model's has changed it. Raises InvalidRequest, EngineFailed."""
        await self._reading.aclose()
        self.first_job, self._reading = job, await self._engine.read(job)
        self.facts = replace(self._reading.facts, audio_seconds=self.facts.audio_seconds)

    async def aclose(self) -> None:
        """Let go of the first pass. Further ones are closed where they are opened."""
        await self._reading.aclose()

    # ------------------------------------------------------------ passes

    async def answer(self) -> AsyncGenerator[Event, None]:
        """The first pass, where it is the whole answer: its events, and Usage."""
        meter = self._metered(self._opening, self.facts, self._reading)
        self.place = max(self.place, self._opening)
        async with aclosing(self._reading.run(self.limit)) as events:
            async for event in events:
                meter.count(event)
                yield event if not isinstance(event, Usage) else self.usage

    @asynccontextmanager
    async def first(self) -> AsyncGenerator[AsyncIterator[Event], None]:
        """The events of the first pass, then its Usage. What is not taken of them when the block ends is stopped."""
        self.place = max(self.place, self._opening)
        # With the reading: in a worker the job goes on, and keeps its place, until that is closed.
        async with aclosing(self._reading) as reading, self._running(self._opening, self.facts, reading) as events:
            yield events

    @asynccontextmanager
    async def opened(
        self, planned: PlannedPass, job: Job, engine: Engine | None = None
    ) -> AsyncGenerator[AsyncIterator[Event], None]:
        """As `first`, of a job that belongs to another pass. Raises InvalidRequest, EngineFailed."""
        place = self.plan.passes.index(planned)
        self.place = max(self.place, place)
        async with (
            aclosing(await (engine or self._engine).read(job)) as reading,
            self._running(place, reading.facts, reading) as events,
        ):
            yield events

    @asynccontextmanager
    async def _running(self, place: int, facts: Facts, reading: Reading) -> AsyncGenerator[AsyncIterator[Event], None]:
        """The events of a reading. What was generated until the block ends counts, whether it was taken or not."""
        meter = self._metered(place, facts, reading)
        try:
            async with aclosing(_counted(reading.run(self.limit), meter)) as events:
                yield events
        finally:
            if not meter.complete:
                meter.count_unread(reading.unread, reading.cached)

    def other(self, spec: ModelSpec) -> AbstractAsyncContextManager[Engine]:
        """Another model's engine, for the length of the block. Raises Overloaded, ModelUnavailable."""
        return self._lease(spec)

    def _metered(self, place: int, facts: Facts, reading: Reading) -> Meter:
        meter = Meter(facts)
        self._meters.append((place, meter, reading))
        return meter

    def count_unread(self) -> None:
        """The work ends here. What the engine has generated and nobody has taken is generated all the same."""
        for _, meter, reading in self._meters:
            if not meter.complete:
                meter.count_unread(reading.unread, reading.cached)

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
        return any(meter.begun for _, meter, _ in self._meters)

    @property
    def used(self) -> list[Used]:
        """What each pass has used so far, in the plan's order; passes that have not begun are not there."""
        if self._final is not None:
            return self._final
        found = []
        for place, planned in enumerate(self.plan.passes):
            if meters := [meter.usage for at, meter, _ in self._meters if at == place and meter.begun]:
                found.append(Used(planned.name, place, reduce(add, meters)))
        return found

    @property
    def usage(self) -> Usage:
        """Of all passes together. Of the same recording, the seconds count once for each pass that hears it."""
        used = self.used
        return reduce(add, (one.usage for one in used)) if used else Usage()

    def finish(self) -> None:
        """Nothing runs any more. The figures are asked for half a dozen times then: a tenth of a plain request."""
        self._final = self.used

    def summary(self) -> dict[str, Any]:
        """`usage.quality` of the answer: the mode, its passes and their tokens."""
        plan, used = self.plan, self.used
        summary: dict[str, Any] = {
            "mode": str(plan.quality),
            "passes": len(used),
            "candidates": plan.candidates if self.made is None else self.made,
            "tokens_by_pass": [{"pass": one.name, **_amounts(one.usage)} for one in used],
        }
        if self.notes:
            summary["notes"] = list(self.notes)
        return summary


def _amounts(usage: Usage) -> dict[str, float]:
    """Tokens, and of what else was used only what there is."""
    media = {"audio_seconds": usage.audio_seconds, "characters": usage.characters, "images": usage.images}
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        **{name: amount for name, amount in media.items() if amount},
    }


async def _counted(events: AsyncGenerator[Event, None], meter: Meter) -> AsyncGenerator[Event, None]:
    async with aclosing(events):
        async for event in events:
            meter.count(event)
            yield event
