"""Puts into the ledger what a load, a sleep or a wake really took, as the machine reports it."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from server.engines.base import Engine, Footprint
from server.models.memory.asking import Asking
from server.models.memory.ledger import MemoryLedger, settled
from server.models.memory.need import Need
from server.models.memory.turns import Turns

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """Some GPUs at one moment. free: bytes on each, where the driver says so. departures: how often a model has given
    back memory there."""

    free: Mapping[int, int]
    departures: int


class Booking:
    """Where the driver hides what a process holds, the books go by how much less the GPU has free than before.

    That works since loads on a GPU come one at a time (`Turns`). Where another model left the GPU meanwhile, or where
    the driver does not answer, the books keep what was planned.
    """

    def __init__(self, ledger: MemoryLedger, turns: Turns, asking: Asking) -> None:
        self._ledger = ledger
        self._turns = turns
        self._asking = asking
        self._reported: dict[str, Footprint] = {}
        self._warned = False

    @property
    def reported(self) -> Mapping[str, Footprint]:
        """What the machine reported last of each loaded model: less than is held, where that is kept for work."""
        return self._reported

    async def look(self, gpus: Collection[int]) -> Look:
        """Before a change on these GPUs."""
        nothing: Mapping[int, int] = {}
        free = await self._asking.ask(self._ledger.machine.gpus_free, nothing) if gpus else nothing
        return Look({number: free[number] for number in gpus if number in free}, self._turns.departures(gpus))

    async def loaded(
        self, name: str, engine: Engine, need: Need, planned: Footprint, before: Look, slept: Footprint | None = None
    ) -> None:
        """Correct the ledger after a load or a wake.

        planned: what was reserved, without what only the load itself takes. before: the GPUs before it began.
        slept: after a wake, what the model held while it slept.
        """
        reported = await self._report(name, engine)
        after = await self.look(planned.gpus)
        gpus = dict(reported.gpus)
        for number in planned.gpus.keys() - gpus.keys():
            self._warn()
            if (taken := _difference(number, before, after)) is not None and taken > 0:
                gpus[number] = taken + (0 if slept is None else slept.on(number))
        work = Footprint(need.at_work, dict.fromkeys(planned.gpus, need.gpu_at_work))
        self._ledger.correct(name, settled(planned, Footprint(reported.host, gpus), work))

    async def slept(self, name: str, engine: Engine, held: Footprint, asleep: Footprint, before: Look) -> None:
        """Correct the ledger after a sleep. held: before it. asleep: what was expected; of the host it is reserved."""
        reported = await self._report(name, engine)
        after = await self.look(held.gpus)
        gpus: dict[int, int] = {}
        for number, amount in held.gpus.items():
            if (still := reported.on(number)) > 0:
                gpus[number] = min(still, amount)
                continue
            self._warn()
            taken = _difference(number, before, after)
            gpus[number] = asleep.on(number) if taken is None else min(amount, max(0, amount + taken))
        # Pinned memory need not show in a process's own pages.
        self._ledger.correct(name, Footprint(max(reported.host, asleep.host), gpus))

    async def look_again(self, name: str, engine: Engine) -> None:
        """Renew what is reported of a model; the ledger stays."""
        await self._report(name, engine)

    def gone(self, name: str) -> None:
        """Its processes have ended: nothing is held by it any more."""
        if (held := self._ledger.held.get(name)) is not None:
            self._turns.departed(held.gpus)
        self._ledger.release(name)
        self._reported.pop(name, None)

    async def _report(self, name: str, engine: Engine) -> Footprint:
        reported = await self._asking.ask(engine.footprint, Footprint())
        if name in self._ledger.held:
            self._reported[name] = reported
        return reported

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "the driver does not tell what this server's processes hold of the GPUs (usual in containers and "
                "virtual machines): the books go by how much each GPU has less free"
            )


def _difference(number: int, before: Look, after: Look) -> int | None:
    """Bytes of that GPU that were taken between two looks, negative if given back; None where that can't be known."""
    if number not in before.free or number not in after.free or before.departures != after.departures:
        return None
    return before.free[number] - after.free[number]
