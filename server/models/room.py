"""Making room: reserve memory for a model that is about to load, by putting idle ones away or waiting for busy ones."""

import asyncio
from collections.abc import Callable, Mapping

from server.engines.base import Footprint, Sleeper
from server.errors import ModelUnavailable, Overloaded
from server.models.estimate import Need
from server.models.eviction import Candidate, choose
from server.models.memory import Grant, MemoryLedger, describe, elastic_share
from server.models.slot import Slot

Elastic = Callable[[str], tuple[int, int]]
"""For a model about to load: GPU bytes that others, still to come, need; and how many models share what is left."""


class Room:
    """Reservations in the ledger, one decision at a time, so that two loads never evict for the same bytes.

    pin_eager: while true, models that belong in memory from the start don't push each other out.
    """

    def __init__(self, ledger: MemoryLedger, slots: Mapping[str, Slot], *, elastic: Elastic) -> None:
        self.pin_eager = False
        self._ledger = ledger
        self._slots = slots
        self._elastic = elastic
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Told when a lease ends or a slot's change is over: somebody may fit now."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def reserve(self, name: str, need: Need, *, wait: float) -> Grant:
        """Memory for `name`. Waits up to `wait` seconds for busy models to become idle.

        Raises ModelUnavailable when it could not fit even then, Overloaded when the wait is over.
        """
        try:
            async with asyncio.timeout(wait):
                while True:
                    changed = self._changed
                    async with self._lock:
                        if (grant := await self._attempt(name, need)) is not None:
                            return grant
                    await changed.wait()
        except TimeoutError:
            raise Overloaded(
                f"There is no memory for the model `{name}` while other models are busy. Please try again shortly."
            ) from None

    async def _attempt(self, name: str, need: Need) -> Grant | None:
        """Reserve, after evictions if need be. None while models in use are in the way."""
        wanted = Footprint(need.host, need.gpu)
        budget = self._ledger.budget
        if wanted.host > budget.host or wanted.gpu > budget.gpu:
            raise ModelUnavailable(
                f"The model `{name}` needs {describe(wanted)}; the models may take {describe(budget)} on this machine."
            )
        while (short := self._ledger.short(wanted, of=name)) != Footprint():
            evictions = choose(short, self._candidates(name))
            if evictions is None:
                if choose(short, self._candidates(name, busy_too=True)) is None:
                    raise ModelUnavailable(
                        f"The model `{name}` needs {describe(wanted)}; {describe(self._ledger.free)} are free, "
                        "and the models that are loaded don't give way."
                    )
                return None
            for eviction in evictions:
                # A slot that was taken into use since refuses; the next round sees it as busy.
                await self._slots[eviction.name].evict(eviction.how)
        return self._ledger.reserve(name, Footprint(need.host, self._granted_gpu(name, need)))

    def _granted_gpu(self, name: str, need: Need) -> int:
        if not need.elastic:
            return need.gpu
        # What the device says is free counts too: other programs may hold some of it.
        free = min(self._ledger.free.gpu, max(need.gpu, self._ledger.machine.gpu_free()))
        others, sharers = self._elastic(name)
        return elastic_share(free, need.gpu, others, sharers)

    def _candidates(self, name: str, *, busy_too: bool = False) -> list[Candidate]:
        """The other models that hold memory. busy_too: as if those in use or changing were idle."""
        found = []
        for other, held in self._ledger.held.items():
            slot = self._slots[other]
            if other == name or (self.pin_eager and slot.spec.load == "eager"):
                continue
            found.append(
                Candidate(
                    name=other,
                    held=held,
                    last_used=slot.last_used,
                    leased=not busy_too and (slot.busy or not slot.settled),
                    eager=slot.spec.load == "eager",
                    can_sleep=not slot.asleep and isinstance(slot.engine, Sleeper),
                )
            )
        return found
