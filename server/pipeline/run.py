"""Where plan, admission, model and engine meet: every request of every dialect goes through `Pipeline.open`."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

import anyio

from server.core import Ask, Caller, Claim, Event, Facts, Job, Sampling, Usage
from server.engines.base import Engine
from server.errors import EngineHung, SageholdError, ServerStopping, SlowReader
from server.models.config.spec import ModelSpec
from server.observability.tracing import answered, stage
from server.pipeline.admission import Admission, Charge, Ticket
from server.pipeline.modes import plan_for
from server.pipeline.passes import Work
from server.pipeline.plan import Plan
from server.pipeline.shutdown import Shutdown
from server.pipeline.tasks import TASKS
from server.pipeline.tasks.base import Resolver

log = logging.getLogger(__name__)


class Lessor(Protocol):
    """The part of the model registry that a run needs."""

    def lease(self, spec: ModelSpec, claim: Claim) -> AbstractAsyncContextManager[Engine]:
        """A loaded engine, kept so for the length of the block. Raises RateLimited, Overloaded, ModelUnavailable."""
        ...

    def took(self, spec: ModelSpec, claim: Claim, work: float) -> None:
        """Before a lease is given back: how much work it was, where that was not known when it was claimed."""
        ...

    def busy(self, spec: ModelSpec) -> float:
        """How many of the requests that the model works on at once are there already: 0 for none, 1 for all of them,
        more where requests wait."""
        ...


def claim_of(ask: Ask, plan: Plan, spec: ModelSpec) -> Claim:
    """What a request claims of a model: of the plan's own, or of another that does one of its passes."""
    caller, asked = ask.caller, ask.priority
    # Nobody goes ahead by saying so. Whoever says nothing has the key's class.
    priority = caller.priority if asked is None else min(asked, caller.priority)
    if spec is not plan.spec:
        return Claim(caller.account_id, priority, weight=caller.weight)
    places = 1
    for one in plan.passes:
        if one.by is None:
            places = max(places, one.answers, one.prompts)
    return Claim(caller.account_id, priority, TASKS[plan.job.task].size(plan), caller.weight, places)


class ClientGone(Exception):
    """The client hung up. That, and a client that reads too slowly (`SlowReader`), are the only ways to end a run early
    that are no failures: what was made is paid."""


class Pipeline:
    """The serving path. Built once by services.py."""

    def __init__(
        self, catalog: Resolver, admission: Admission, registry: Lessor, shutdown: Shutdown | None = None
    ) -> None:
        self._catalog = catalog
        self._admission = admission
        self._paid = admission.free()
        self._registry = registry
        self.shutdown = shutdown or Shutdown()
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def arriving(self, caller: Caller, *, paid: bool) -> AbstractAsyncContextManager[None]:
        """See `Admission.arriving`."""
        return self._admission.arriving(caller, paid=paid)

    @asynccontextmanager
    async def admitted(self, ask: Ask, job: Job) -> AsyncGenerator[None, None]:
        """A request that takes several runs, counted once; see `Admission.admit_once`.

        job: about what the last of them will be. Raises what can be known before the first: 404, 400, 403, 429, 402.
        """
        if self.shutdown.begun:
            raise ServerStopping
        with stage("plan"):
            plan = plan_for(ask, job, self._catalog, self._registry.busy)
        async with self._admission_of(ask).admit_once(ask, plan):
            yield

    async def open(self, ask: Ask, job: Job) -> "Run":
        """Everything that deserves an HTTP status happens here. The caller closes the Run (`async with`)."""
        if self.shutdown.begun:  # while the request's body was read
            raise ServerStopping
        admission = self._admission_of(ask)
        async with AsyncExitStack() as held:
            self._count(held)
            with stage("plan"):
                plan = plan_for(ask, job, self._catalog, self._registry.busy)  # 404, 400
            with stage("limits"):  # 403, 429, 402 by the balance
                ticket = await held.enter_async_context(admission.admit(ask, plan))
            async with admission.affording(ask.caller, plan):
                work = await self._read(held, ask, plan)  # 503, 400
                with stage("hold"):
                    charge = await admission.charge(ask, plan, work.facts)  # 402
                held.push_async_callback(charge.aclose)
            work.limit = charge.limit
            return Run(work, ticket, charge, held)

    def _admission_of(self, ask: Ask) -> Admission:
        return self._admission if ask.paid is None else self._paid

    async def _read(self, held: AsyncExitStack, ask: Ask, plan: Plan) -> Work:
        """Lease the model, and let it read. held: gets both.

        An engine that hangs has places for new requests until it is found: they are read by the one that replaces it,
        once. Those of an engine that died are not: the request that killed it may be among them, and would kill two.
        """
        claim = claim_of(ask, plan, plan.spec)
        again = False
        while True:
            async with AsyncExitStack() as own:
                waiting = self.shutdown.waits()
                try:
                    with stage("wait"):
                        engine = await own.enter_async_context(self._registry.lease(plan.spec, claim))
                finally:
                    self.shutdown.waited(waiting)
                try:
                    with stage("read"):
                        work = await Work.read(engine, plan, partial(self._lease, ask, plan))
                except EngineHung:
                    if again or engine.alive or self.shutdown.begun:  # alive: it was another model's
                        raise
                    again = True
                    continue
                own.push_async_callback(work.aclose)
                own.callback(self._took, claim, work)
                await held.enter_async_context(own.pop_all())
                return work

    def _took(self, claim: Claim, work: Work) -> None:
        """How long an answer would be was not known when it was claimed."""
        if isinstance(work.plan.job, Sampling) and work.begun:
            self._registry.took(work.plan.spec, claim, work.usage.total_tokens)

    def _lease(self, ask: Ask, plan: Plan, spec: ModelSpec) -> AbstractAsyncContextManager[Engine]:
        return self._registry.lease(spec, claim_of(ask, plan, spec))

    async def drained(self, within: float) -> None:
        """Return when every run is closed and billed, but after `within` seconds at the latest.

        Whoever takes the server down waits here before the ledger is closed: a request that was cut short may still be
        giving back what it held.
        """
        try:
            async with asyncio.timeout(within):
                await self._idle.wait()
        except TimeoutError:
            log.warning("%d requests are not closed yet", self._open)

    def _count(self, held: AsyncExitStack) -> None:
        """Count the request among the open ones for as long as `held` is."""
        self._open += 1
        self._idle.clear()
        held.callback(self._uncount)

    def _uncount(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._idle.set()


class Run:
    """A job at work. Holds a lease on the model and a charge until closed; closing stops the work and settles.

    A client that hangs up, or reads too slowly, pays for what was made until then. An answer that could not be given is
    free, whatever the reason: the engine, its rendering, the server's end. An exception that leaves the `async with`
    block is such a reason, but for ClientGone and SlowReader; whoever calls `aclose` itself calls `fail` before it.
    """

    def __init__(self, work: Work, ticket: Ticket, charge: Charge, held: AsyncExitStack) -> None:
        """held: what the run holds; it is taken over."""
        self.first_event: float | None = None  # when the answer's first event came, by time.perf_counter()
        self._opened = time.perf_counter()
        self._ended: float | None = None
        self._work = work
        self._events = work.plan.strategy.run(work)
        self._ticket = ticket
        self._charge = charge
        self._held = held.pop_all()
        self._held.push_async_callback(self._events.aclose)
        self._failed = False
        self._whole = False

    async def events(self, deliver: Callable[[Usage], Awaitable[None]] | None = None) -> AsyncIterator[Event]:
        """The task's events, then Usage. Raises EngineFailed if the engine dies on the way.

        deliver: what must succeed before the answer is paid, for an answer of which nothing has left until then. When
        it is called, `credits` says what will be paid. Raises what it raises.
        """
        try:
            async for event in self._events:
                if self.first_event is None:
                    self.first_event = time.perf_counter()
                if isinstance(event, Usage):
                    self._whole = True
                    self._ended = time.perf_counter()
                    self._work.finish()
                    if deliver is not None:
                        self._charge.reckon(self._work)
                        await deliver(event)
                    await self._settle()
                yield event
        except SlowReader:
            raise
        except Exception:
            self._failed = True
            raise

    @property
    def plan(self) -> Plan:
        return self._work.plan

    @property
    def facts(self) -> Facts:
        """What the engine has read of the job."""
        return self._work.facts

    @property
    def usage(self) -> Usage:
        """What all passes have used so far; final once the run is closed."""
        return self._work.usage

    @property
    def quality(self) -> dict[str, Any]:
        """`usage.quality`: the mode, its passes and their tokens; final with the Usage event."""
        return self._work.summary()

    @property
    def drafts(self) -> list[dict[str, Any]]:
        """`usage.quality.drafts`: the texts among which the answer was chosen; none where there was one pass."""
        return [candidate.as_json() for candidate in self._work.candidates]

    @property
    def progress(self) -> str:
        """Which pass is at work, for those who wait: `pass 2 of 5, judge`."""
        place, passes = self._work.place, self.plan.passes
        return f"pass {place + 1} of {len(passes)}, {passes[place].name}"

    @property
    def credits(self) -> Decimal | None:
        """What the account pays, known with the Usage event and before it is delivered; None for accounts without
        meter."""
        return self._charge.credits

    @property
    def settled(self) -> bool:
        """Whether it is in the books, as paid or as used: it can't be taken back any more."""
        return self._charge.settled

    @property
    def headers(self) -> dict[str, str]:
        """What the answer's headers say of how it is made, and of the caller's limits.

        The passes are those that were needed once the work is done, and those planned until then.
        """
        plan, done = self.plan, len(self._work.used) if self._whole else len(self.plan.passes)
        return {
            "x-sagehold-model": plan.spec.name,
            "x-quality": str(plan.quality),
            "x-quality-passes": str(done),
            "x-quality-reason": plan.reason,
            **self._ticket.headers,
        }

    def fail(self) -> None:
        """The answer could not be given: nothing is paid for it, unless it was settled before."""
        self._failed = True

    async def aclose(self) -> None:
        """Stop the work, settle, give the lease back. A client that has gone must not cancel this."""
        with anyio.CancelScope(shield=True):
            if not self._whole:
                self._work.count_unread()
            self._ticket.used(self.usage.total_tokens)
            answered(self._opened, self.first_event, self._ended, text=isinstance(self.plan.job, Sampling))
            try:
                # Who hangs up pays for what was made until then; who got an error, or nothing yet, pays nothing.
                if not self._failed and self._work.begun:
                    await self._settle()
            finally:
                await self._held.aclose()

    async def _settle(self) -> None:
        try:
            with stage("settle"):
                await self._charge.settle(self._work)
        except SageholdError as error:
            # The answer is there: an accounts database in trouble must not take it away.
            log.error("a charge could not be settled: %s", error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, ClientGone | SlowReader):
            self.fail()
        await self.aclose()
