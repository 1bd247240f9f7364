"""Making room: reserve memory for a model that is about to load, by putting idle ones away or waiting for busy ones."""

import asyncio
from collections.abc import Mapping, Sequence

from server.engines.base import Footprint, Sleeper
from server.errors import ModelUnavailable, Overloaded
from server.models.changes import Changes
from server.models.memory.eviction import Candidate, Eviction, How
from server.models.memory.grant import Grant, granted
from server.models.memory.ledger import MemoryLedger, describe, readable
from server.models.memory.need import Need
from server.models.memory.placement import Placement, able, elastic_share, place
from server.models.memory.turns import Turns
from server.models.slot import Slot

LEAST_KV_CACHE = 1 << 26
"""Bytes: with less, vLLM does not start (it is the least that a model's `kv_cache` may be)."""


class Room:
    """Reservations in the ledger, one decision at a time, so that two loads never evict for the same bytes.

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
    ) -> None:
        self.pin_eager = False
        self._ledger = ledger
        self._slots = slots
        self._needs = needs
        self._turns = turns
        self._changes = changes
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Told when a lease ends or a slot's change is over: somebody may fit now."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def reserve(self, name: str, need: Need, *, wait: float) -> Grant:
        """Memory for `name`, on GPUs that are chosen here. Waits up to `wait` seconds for busy models to become idle.

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
        machine, ledger = self._ledger.machine, self._ledger
        able_gpus = able(need, machine.gpus, ledger.budget)
        self._check_possible(name, need, len(able_gpus))
        while True:
            # The driver may take its time; in the event loop every stream would wait for it.
            free = await asyncio.to_thread(machine.gpus_free) if machine.gpus else {}

            def best(*, busy_too: bool = False, free: Mapping[int, int] = free) -> Placement | None:
                room, candidates = ledger.room_for(name), self._candidates(name, busy_too=busy_too)
                return place(need, able_gpus, room=room, free=free, candidates=candidates)

            placement = best()
            if placement is None:
                if best(busy_too=True) is None:
                    raise ModelUnavailable(
                        f"The model `{name}` needs {self._described(need)}; {describe(ledger.free)} are free, "
                        "and the models that are loaded don't give way."
                    )
                return None
            if not placement.evictions:
                break
            for eviction in placement.evictions:
                await self._evict(eviction)
        chosen = tuple(gpu for gpu in able_gpus if gpu.number in placement.gpus)
        amount = self._amount(name, need, placement, free)
        grant = granted(need, amount, chosen)
        if need.fixed is not None and amount - need.fixed < LEAST_KV_CACHE:
            raise ModelUnavailable(
                f"The model `{name}` may take {readable(amount)} of a GPU, by its `gpu_memory`; its weights, "
                f"activations and graphs take {readable(need.fixed)} of that, and too little is left for the KV cache."
            )
        gpus = {gpu.number: amount for gpu in chosen} if need.elastic else placement.holds.gpus
        ledger.reserve(name, Footprint(placement.holds.host, gpus))
        return grant

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

    def _amount(self, name: str, need: Need, placement: Placement, free: Mapping[int, int]) -> int:
        """Bytes to grant of each GPU."""
        amounts = placement.holds.gpus
        if not amounts:
            return 0
        if not need.elastic:
            return max(amounts.values())
        room = self._ledger.room_for(name)
        # What the device says is free counts too: other programs may hold some of it.
        could = {
            gpu.number: min(room.on(gpu.number), max(amounts.get(gpu.number, 0), free.get(gpu.number, gpu.total)))
            for gpu in self._ledger.machine.gpus
        }
        gpus = self._ledger.machine.gpus
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
                    can_sleep=not slot.asleep and isinstance(slot.engine, Sleeper),
                    asleep=asleep(held, self._needs.get(other, Need())),
                )
            )
        return found


def asleep(held: Footprint, need: Need) -> Footprint:
    """What a model that holds `held` will hold asleep: weights on the host, contexts and graphs where they are."""
    return Footprint(
        held.host + need.asleep, {number: min(amount, need.staying) for number, amount in held.gpus.items()}
    )
