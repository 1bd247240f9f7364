"""A plan at work on fake engines, without a server around it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from server.core import Ask, Caller, Event, Facts
from server.engines.base import Engine
from server.pipeline.passes import Lease, Work
from server.pipeline.plan import Plan


def asking(model: str = "m", **fields: Any) -> Ask:
    """An Ask of nobody in particular."""
    return Ask(caller=Caller("key", "account"), model=model, **fields)


class Working:
    """A plan and what comes of it. `work` is there once `events` has begun."""

    work: Work

    def __init__(self, plan: Plan, engine: Engine, lease: Lease, clock: Callable[[], float] | None = None) -> None:
        self.plan = plan
        self._engine = engine
        self._lease = lease
        self._clock = {} if clock is None else {"clock": clock}

    async def events(self) -> AsyncGenerator[Facts | Event, None]:
        """The facts of the first pass, then the strategy's events."""
        self.work = await Work.read(self._engine, self.plan, self._lease, **self._clock)
        async with aclosing(self.work):
            yield self.work.facts
            async with aclosing(self.plan.strategy.run(self.work)) as events:
                async for event in events:
                    yield event
