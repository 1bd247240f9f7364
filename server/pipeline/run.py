"""Where plan, admission, model and engine meet: every request of every dialect goes through `Pipeline.open`."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Protocol, Self

import anyio

from server.core import Accepted, Caller, Event, Job, Usage
from server.engines.base import Engine
from server.errors import EngineFailed
from server.models.spec import ModelSpec
from server.pipeline.admission import Admission, Charge
from server.pipeline.metering import Meter
from server.pipeline.modes import Plan, Resolver, plan_for


class Lessor(Protocol):
    """The part of the model registry that a run needs."""

    def lease(self, spec: ModelSpec) -> AbstractAsyncContextManager[Engine]:
        """A loaded engine, kept loaded for the length of the block. Raises Overloaded, ModelUnavailable."""
        ...


class Pipeline:
    """The serving path. Built once by services.py."""

    def __init__(self, catalog: Resolver, admission: Admission, registry: Lessor) -> None:
        self._catalog = catalog
        self._admission = admission
        self._registry = registry

    async def open(self, job: Job, caller: Caller) -> "Run":
        """Everything that deserves an HTTP status happens here. The caller closes the Run (`async with`)."""
        async with AsyncExitStack() as stack:
            plan = plan_for(job, self._catalog)  # 404, 400
            charge = await stack.enter_async_context(self._admission.admit(caller, plan))  # 403, 429, 402
            engine = await stack.enter_async_context(self._registry.lease(plan.spec))  # 503
            events = engine.run(plan.job)
            stack.push_async_callback(events.aclose)
            accepted = await anext(events)  # 400: the engine has read the job
            if not isinstance(accepted, Accepted):
                raise EngineFailed
            return Run(plan, accepted, events, charge, stack.pop_all())


class Run:
    """A job at work. Holds a charge and a lease on the model until closed; closing stops the work."""

    def __init__(
        self,
        plan: Plan,
        accepted: Accepted,
        events: AsyncGenerator[Event, None],
        charge: Charge,
        held: AsyncExitStack,
    ) -> None:
        self.plan = plan
        self.accepted = accepted
        self.first_event: float | None = None  # when the engine's first event came, by time.perf_counter()
        self._events = events
        self._meter = Meter(accepted)
        self._charge = charge
        self._held = held

    async def events(self) -> AsyncIterator[Event]:
        """The task's events, then Usage. Raises EngineFailed if the engine dies on the way."""
        async for event in self._events:
            if self.first_event is None:
                self.first_event = time.perf_counter()
            self._meter.count(event)
            yield event

    @property
    def usage(self) -> Usage:
        """What was used so far; final once the run is closed."""
        return self._meter.usage

    @property
    def headers(self) -> dict[str, str]:
        """What the answer tells about how it was made."""
        return {"x-sagehold-model": self.plan.spec.name}

    async def aclose(self) -> None:
        """Stop the work, settle, give the lease back. A client that has gone must not cancel this."""
        with anyio.CancelScope(shield=True):
            self._charge.used(self.usage)
            await self._held.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
