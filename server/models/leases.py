"""Who waits for a model and who has it: the place where requests queue, first come first served."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from server.core import Claim
from server.engines.base import Engine
from server.errors import Overloaded
from server.models.config.spec import ModelSpec


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

    @property
    def leases(self) -> int:
        """How many have the engine that is loaded now."""
        ...

    async def ensure_ready(self, on_loading: Callable[[], None]) -> Loaded:
        """Load or wake the model if that is needed. on_loading: called when it begins to wait for a load or a wake.

        Raises ModelUnavailable, Overloaded.
        """
        ...


class Leases:
    """How many may wait, for how long, and who has the model now.

    spec.parallel requests are worked on at once. As many as spec.max_queue more may wait, whether for the load or,
    inside the engine, for their turn: of a model that works on 2 at once and lets 3 wait, the sixth is refused.
    """

    def __init__(self, spec: ModelSpec, place: Place, clock: Callable[[], float], on_idle: Callable[[], None]) -> None:
        self._spec = spec
        self._place = place
        self._clock = clock
        self._on_idle = on_idle
        self.waiting: list[Claim] = []
        """Those who wait for the model to become ready, in the order of their arrival."""
        self.last_used = clock()
        """When a lease last began or ended."""

    @asynccontextmanager
    async def lease(self, claim: Claim, wait: float, load_wait: float) -> AsyncGenerator[Engine, None]:
        """See Slot.lease."""
        spec = self._spec
        if len(self.waiting) + max(0, self._place.leases - spec.parallel) >= spec.max_queue:
            raise Overloaded(f"Too many requests are waiting for the model `{spec.name}`. Please try again shortly.")
        loaded = self._place.at_hand or await self._wait(claim, wait, load_wait)
        # No await since it was seen to be ready: it cannot have been put away in between.
        loaded.leases += 1
        loaded.free.clear()
        self.last_used = self._clock()
        try:
            yield loaded.engine
        finally:
            loaded.leases -= 1
            self.last_used = self._clock()
            if loaded.leases == 0:
                loaded.free.set()
                self._on_idle()

    async def _wait(self, claim: Claim, wait: float, load_wait: float) -> Loaded:
        self.waiting.append(claim)
        try:
            async with asyncio.timeout(wait) as bound:
                return await self._place.ensure_ready(lambda: bound.reschedule(_from_now(load_wait)))
        except TimeoutError:
            raise Overloaded(f"The model `{self._spec.name}` is not ready yet. Please try again shortly.") from None
        finally:
            self.waiting.remove(claim)


def _from_now(seconds: float) -> float:
    """A moment by the event loop's clock."""
    return asyncio.get_running_loop().time() + seconds
