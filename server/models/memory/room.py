"""Making room: reserve memory for a model that is about to load, by putting idle ones away or waiting for busy ones."""

import asyncio
from collections.abc import Mapping, Sequence

from server.engines.base import Footprint
from server.errors import ModelUnavailable, Overloaded
from server.models.changes import Changes
from server.models.memory.allotment import Allotment, allotted
from server.models.memory.asking import Asking
from server.models.memory.eviction import Candidate, Eviction, How
from server.models.memory.ledger import MemoryLedger, describe, readable
from server.models.memory.need import Need
from server.models.memory.placement import Placement, able, elastic_share, place
from server.models.memory.turns import Turns
from server.models.slot import Slot

LEAST_KV_CACHE = 1 << 26
"""Bytes: with less, vLLM does not start (it is the least that a model's `kv_cache` may be)."""


class Room:
    """Reservations in the ledger, one decision at a time, so that two loads never evict for the same bytes.

    A decision is made under a lock, with the evictions that it takes. The driver and files are asked before it and
    after it: one that does not answer must not keep the others from loading.

    needs: of the models by name, as far as they are known. pin_eager: while true, models that belong in memory from the
    start don't push each other out, and the others wait until that is over.
    """

    def __init__(
        self,
        ledger: MemoryLedger,
        slots: Mapping[str, Slot],
        needs: Mapping[str, Need],
        *,
        turns: Turns,
        changes: Changes,
        asking: Asking,
    ) -> None:
        self.pin_eager = False
        self._ledger = ledger
        self._slots = slots
        self._needs = needs
        self._turns = turns
        self._changes = changes
        self._asking = asking
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """To be called when a lease ends or a slot's change is over: somebody may fit now."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def reserve(self, name: str, need: Need, *, wait: float) -> Allotment:
        """Memory for `name`, on GPUs that are chosen here. Waits up to `wait` seconds for busy models to become idle.

        Raises ModelUnavailable when it could not fit even then, Overloaded when the wait is over.
        """
        try:
            async with asyncio.timeout(wait):
                while True:
                    changed = self._changed
                    free = await self._free(need)
                    async with self._lock:
                        placement = await self._attempt(name, need, free)
                    if placement is not None:
                        return await self._allot(name, need, placement)
                    await changed.wait()
        except TimeoutError:
            raise Overloaded(
                f"There is no memory for the model `{name}` while other models are busy. Please try again shortly."
            ) from None

    async def _free(self, need: Need) -> Mapping[int, int]:
        """Bytes free now on each GPU, by the driver; nothing where the model takes none or the driver does not say."""
        return await self._asking.ask(self._ledger.machine.gpus_free, {}) if need.on_gpu else {}

    async def _attempt(self, name: str, need: Need, free: Mapping[int, int]) -> Placement | None:
        """Reserve the least that it needs, after evictions if need be. None while models in use are in the way."""
        ledger = self._ledger
        able_gpus = able(need, ledger.machine.gpus, ledger.budget)
        self._check_possible(name, need, len(able_gpus))

        def best(*, busy_too: bool = False) -> Placement | None:
            room, candidates = ledger.room_for(name), self._candidates(name, busy_too=busy_too)
            return place(need, able_gpus, room=room, free=free, candidates=candidates)

        while (placement := best()) is not None and placement.evictions:
            for eviction in placement.evictions:
                await self._evict(eviction)
        if placement is None:
            if best(busy_too=True) is None:
                raise ModelUnavailable(
                    f"The model `{name}` needs {self._described(need)}; {describe(ledger.free)} are free, "
                    "and the models that are loaded don't give way."
                )
            return None
        if not need.elastic:
            self._check_cache(name, need, max(placement.holds.gpus.values(), default=0))
        ledger.reserve(name, placement.holds)
        return placement

    async def _allot(self, name: str, need: Need, placement: Placement) -> Allotment:
        """What has been reserved; for a model that can use more, all that it may have of its GPUs."""
        ledger = self._ledger
        amount = max(placement.holds.gpus.values(), default=0)
        if need.elastic and placement.gpus:
            try:
                # What the device says is free counts too, since other programs may hold some of it: so it is asked
                # now, when those that gave way are gone.
                amount = self._share(name, need, placement, await self._free(need))
                self._check_cache(name, need, amount)
                # What was reserved is its own, even if another has turned out larger while the driver was asked: the
                # share is within what is left of the GPUs, and of the host it takes no more than before.
                ledger.correct(name, Footprint(placement.holds.host, dict.fromkeys(placement.gpus, amount)))
            except BaseException:
                ledger.release(name)
                raise
        return allotted(need, amount, tuple(gpu for gpu in ledger.machine.gpus if gpu.number in placement.gpus))

    def _check_cache(self, name: str, need: Need, amount: int) -> None:
        if need.fixed is not None and amount - need.fixed < LEAST_KV_CACHE:
            raise ModelUnavailable(
                f"The model `{name}` may take {readable(amount)} of a GPU, by its `gpu_memory`; its weights, "
                f"activations and graphs take {readable(need.fixed)} of that, and too little is left for the KV cache."
            )

    async def _evict(self, eviction: Eviction) -> None:
        """Put a model away. One that was taken into use since refuses; the next round sees it as busy."""
        slot = self._slots[eviction.name]
        with self._changes.evicting(eviction.name) as done:
            if await slot.evict(eviction.how):
                done(How.SLEEP if slot.asleep else How.STOP)

    def _check_possible(self, name: str, need: Need, able_gpus: int) -> None:
        budget = self._ledger.budget
        wanted = need.host + need.loading
        if wanted <= budget.host and (not need.on_gpu or able_gpus >= need.gpus):
            return
        if need.among is not None and need.on_gpu:
            there = {gpu.number for gpu in self._ledger.machine.gpus}
            if absent := [str(number) for number in need.among if number not in there]:
                raise ModelUnavailable(
                    f"`gpus` of the model `{name}` names {', '.join(absent)}; this server sees {len(there)} GPUs."
                )
        raise ModelUnavailable(
            f"The model `{name}` needs {self._described(need)}; the models may take {describe(budget)} on this machine."
        )

    def _described(self, need: Need) -> str:
        """The need for people: 2.0 GiB of host memory and 10.0 GiB on each of 2 GPUs."""
        text = f"{readable(need.host + need.loading)} of host memory"
        if not need.on_gpu:
            return text
        gpu = readable(need.gpu) if need.gpu_share is None else f"{need.gpu_share:.0%}"
        return f"{text} and {gpu} " + ("of a GPU" if need.gpus == 1 else f"on each of {need.gpus} GPUs")

    def _share(self, name: str, need: Need, placement: Placement, free: Mapping[int, int]) -> int:
        """Bytes of each GPU to allot to a model that can use more than its need."""
        gpus, room = self._ledger.machine.gpus, self._ledger.room_for(name)
        held = placement.holds.gpus
        could = {
            gpu.number: min(room.on(gpu.number), max(held.get(gpu.number, 0), free.get(gpu.number, gpu.total)))
            for gpu in gpus
        }
        return elastic_share(need, placement.gpus, gpus, free=could, coming=self._coming(name))

    def _coming(self, name: str) -> Sequence[Need]:
        """What eager models need that are not in the ledger yet: they keep their part of the GPUs."""
        return [
            self._needs[other]
            for other, slot in self._slots.items()
            if other != name
            and other in self._needs
            and slot.spec.load == "eager"
            and other not in self._ledger.held
            and not slot.was_ready
        ]

    def _candidates(self, name: str, *, busy_too: bool) -> list[Candidate]:
        """The other models that hold memory. busy_too: as if those in use or changing were idle.

        Whoever gives back memory of a GPU on which another loads would spoil what that one measures: it counts as busy.
        """
        found = []
        loading = self._turns.taken
        for other, held in self._ledger.held.items():
            slot = self._slots.get(other)
            pinned = self.pin_eager and slot is not None and slot.spec.load == "eager"
            if slot is None or other == name or (pinned and self._slots[name].spec.load == "eager"):
                continue
            busy = pinned or slot.busy or not slot.settled or not loading.isdisjoint(held.gpus)
            found.append(
                Candidate(
                    name=other,
                    held=held,
                    last_used=slot.last_used,
                    leased=busy and not busy_too,
                    eager=slot.spec.load == "eager",
                    can_sleep=not slot.asleep and slot.engine is not None and slot.engine.sleeps,
                    asleep=asleep(held, self._needs.get(other, Need())),
                )
            )
        return found


def asleep(held: Footprint, need: Need) -> Footprint:
    """What a model that holds `held` will hold asleep: weights on the host, contexts and graphs where they are."""
    return Footprint(
        held.host + need.asleep, {number: min(amount, need.staying) for number, amount in held.gpus.items()}
    )
