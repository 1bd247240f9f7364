"""Who waits for a model and who has it. Who goes next, `queue_decisions.py` decides; here it is carried out."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from server.core import Claim
from server.engines.base import Engine
from server.errors import Overloaded, RateLimited, SageholdError
from server.models.config.spec import ModelSpec
from server.models.queue import FairQueue
from server.models.queue_counts import QueueCounts
from server.models.queue_standing import FULL, Entry, Refusal
from server.models.service_rate import ServiceRate

LONGEST_AGAIN = 600
"""Seconds: what a Retry-After says at most."""


@dataclass(slots=True, eq=False)
class Loaded:
    """An engine and the leases on it. A replaced engine keeps its own until its last user has noticed.

    since: when it was loaded, by the slot's clock. free: set while nobody has a lease on it.
    """

    engine: Engine
    since: float
    asleep: bool = False
    leases: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.free.set()


class Place(Protocol):
    """A model's place in memory, as its leases see it; see slot.Slot."""

    @property
    def at_hand(self) -> Loaded | None:
        """The model, if it can be leased at once."""
        ...

    async def ensure_ready(self, on_loading: Callable[[], None]) -> Loaded:
        """Load or wake the model if that is needed. on_loading: called when it begins to wait for a load or a wake.

        Raises ModelUnavailable, Overloaded.
        """
        ...


class Leases:
    """The queue before the engine: the engine gets as many as it works on at once, and the others wait here.

    While the model is not ready all of them wait. `spec.max_queue` may wait: see queue.refuse.
    """

    def __init__(
        self,
        spec: ModelSpec,
        place: Place,
        clock: Callable[[], float],
        on_idle: Callable[[], None],
        counts: QueueCounts | None = None,
        *,
        reserve: bool = True,
    ) -> None:
        """reserve: see FairQueue."""
        self._spec = spec
        self._place = place
        self._clock = clock
        self._on_idle = on_idle
        self._counts = counts or QueueCounts()
        self._rate = ServiceRate()
        self._turns: dict[Entry, asyncio.Event] = {}
        self._sized: Engine | None = None
        self.queue = FairQueue(spec.parallel, spec.max_queue, reserve=reserve)
        self.last_used = clock()
        """When a lease last began or ended."""

    @asynccontextmanager
    async def lease(self, claim: Claim, wait: float, load_wait: float) -> AsyncGenerator[Engine, None]:
        """See Slot.lease."""
        ready = self._place.at_hand
        entry = self._enter(claim, wait, ready)
        try:
            loaded = ready if ready is not None and entry.running else await self._turn(entry, wait, load_wait)
            # No await since it was seen to be ready: it cannot have been put away in between.
            loaded.leases += 1
            loaded.free.clear()
            self.last_used = self._clock()
            try:
                yield loaded.engine.behind(entry.rank) if entry.rank else loaded.engine
            finally:
                loaded.leases -= 1
                self.last_used = self._clock()
                if loaded.leases == 0:
                    loaded.free.set()
        finally:
            self._leave(entry)

    def look_again(self) -> None:
        """The model is no longer there, or will not be: those who wait for their turn learn it from their slot."""
        for turn in self._turns.values():
            turn.set()

    # ------------------------------------------------------------ coming

    def _enter(self, claim: Claim, wait: float, ready: Loaded | None) -> Entry:
        queue = self.queue
        if ready is not None:
            if ready.engine is not self._sized:
                self._fit_to(ready.engine)
            if queue.waiting:
                self._begin_all()
        found = queue.enter(claim, self._clock(), ready=ready is not None, patience=wait, rate=self._rate.rate)
        if isinstance(found, Refusal):
            raise self._refused(claim, found)
        if ready is not None and not found.running:
            self._rate.waits(found.since)
        return found

    def _fit_to(self, engine: Engine) -> None:
        """Take the measure of an engine that is new here."""
        if engine is not self._sized:
            self._sized = engine
            room, each = engine.room, engine.context
            self.queue.measure(
                engine.places or self._spec.parallel,
                math.inf if room is None else room,
                math.inf if each is None else each,
                yields=engine.yields,
            )

    async def _turn(self, entry: Entry, wait: float, load_wait: float) -> Loaded:
        """Wait until the model is ready and the request may begin. Raises Overloaded, ModelUnavailable."""
        turn = self._turns[entry] = asyncio.Event()
        try:
            async with asyncio.timeout(wait) as bound:
                while True:
                    loading = False

                    def load_begins() -> None:
                        nonlocal loading
                        loading = True
                        bound.reschedule(_from_now(load_wait))

                    loaded = await self._place.ensure_ready(load_begins)
                    if loading:  # its turn has a time of its own
                        bound.reschedule(_from_now(wait))
                    self._fit_to(loaded.engine)
                    self._begin_all()
                    if entry.running:
                        self._counts.waited(self._spec.name, entry.priority, self._clock() - entry.since)
                        return loaded
                    self._rate.waits(self._clock())
                    turn.clear()
                    await turn.wait()
        except TimeoutError:
            raise self._timed_out(entry) from None
        finally:
            del self._turns[entry]

    # ------------------------------------------------------------ going

    def _leave(self, entry: Entry) -> None:
        queue = self.queue
        there = queue.waiting > 0 and self._place.at_hand is not None
        # Those that an engine takes along as it dies say nothing of how many it can do.
        if entry.running and there:
            self._rate.ended(entry.size, self._clock())
        queue.leave(entry)
        if queue.waiting:
            if there:
                self._begin_all()
            else:
                self._rate.idle()
                self.look_again()
        else:
            self._rate.idle()
        if not queue.busy:
            self._on_idle()

    def _begin_all(self) -> None:
        while (entry := self.queue.begin_next()) is not None:
            if (turn := self._turns.get(entry)) is not None:
                turn.set()

    # ------------------------------------------------------------ being told

    def _refused(self, claim: Claim, refusal: Refusal) -> SageholdError:
        name, own = self._spec.name, refusal.own
        self._counts.refused(name, claim.priority, "account" if own else refusal.reason)
        headers = {} if refusal.again is None else _retry_after(refusal.again)
        if own:
            headers = headers or _retry_after(5)
            many = "Too many requests of this account are waiting for the model"
            return RateLimited(f"{many} `{name}`. Please try again shortly.", code="queue_full", headers=headers)
        if refusal.reason == FULL:
            return Overloaded(
                f"Too many requests are waiting for the model `{name}`. Please try again shortly.", headers=headers
            )
        return Overloaded(
            f"The model `{name}` has more work than it can do in time. Please try again later.", headers=headers
        )

    def _timed_out(self, entry: Entry) -> Overloaded:
        name = self._spec.name
        self._counts.refused(name, entry.priority, "timeout")
        if self._place.at_hand is None:
            return Overloaded(f"The model `{name}` is not ready yet. Please try again shortly.")
        rate = self._rate.rate
        headers = {} if rate is None else _retry_after(self.queue.ahead(entry) / rate)
        return Overloaded(f"The model `{name}` is too busy just now. Please try again later.", headers=headers)


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(min(LONGEST_AGAIN, max(1, math.ceil(seconds))))}


def _from_now(seconds: float) -> float:
    """A moment by the event loop's clock."""
    return asyncio.get_running_loop().time() + seconds
