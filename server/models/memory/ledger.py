"""The ledger of memory: who holds how many bytes of the host and of each GPU, over all engines.

A model reserves before it loads, is corrected to what the machine reports once it has loaded, and releases when its
processes are gone. The sum never exceeds the budget by a reservation; a correction may exceed it, and is logged then.
"""

import logging
from collections.abc import Mapping
from types import MappingProxyType

from server.engines.base import Footprint
from server.models.memory.machine import GPU_SHARE, HOST_SHARE, Machine

log = logging.getLogger(__name__)

FRONT_END = "front end"
"""The holder that is no model: no model's name has a space."""

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


class MemoryLedger:
    """Bytes reserved by name, within a budget. Not for threads: it belongs to the event loop.

    gpu_budget: bytes of each GPU.
    """

    def __init__(self, machine: Machine, *, host_budget: int | None = None, gpu_budget: int | None = None) -> None:
        self.machine = machine
        self.budget = Footprint(
            int(machine.host * HOST_SHARE) if host_budget is None else host_budget,
            {
                gpu.number: int(gpu.total * GPU_SHARE) if gpu_budget is None else min(gpu_budget, gpu.total)
                for gpu in machine.gpus
            },
        )
        self._held: dict[str, Footprint] = {}

    @property
    def held(self) -> Mapping[str, Footprint]:
        """What each name holds now."""
        return MappingProxyType(self._held)

    @property
    def total(self) -> Footprint:
        """What all hold together."""
        return sum(self._held.values(), Footprint())

    @property
    def free(self) -> Footprint:
        """What is left of the budget; never negative."""
        return self.budget.beyond(self.total)

    def room_for(self, name: str) -> Footprint:
        """The most that `name` may hold: what is free, and what it holds already."""
        others = sum((held for other, held in self._held.items() if other != name), Footprint())
        return self.budget.beyond(others)

    def short(self, need: Footprint, *, of: str) -> Footprint:
        """How much is missing before `of` can hold `need` in place of what it holds; nothing when it fits."""
        return need.beyond(self.room_for(of))

    def reserve(self, name: str, need: Footprint) -> None:
        """Set `name`'s bytes to `need`. The caller has seen that it fits; it is an error in the program if not."""
        if short := self.short(need, of=name):
            raise ValueError(
                f"{name}: {describe(need)} do not fit into {describe(self.room_for(name))}: {describe(short)} too much"
            )
        self._held[name] = need

    def correct(self, name: str, amount: Footprint) -> None:
        """Put what it really holds in place of what was planned. Dropped for a name that holds nothing any more."""
        if (old := self._held.get(name)) is not None:
            self.hold(name, amount, instead_of=old)

    def hold(self, name: str, amount: Footprint, *, instead_of: Footprint | None = None) -> None:
        """Note what is held already, whether it fits or not."""
        self._held[name] = amount
        # An excess that was there before is not logged again and again.
        if self.total.beyond(self.budget) and (instead_of is None or amount.beyond(instead_of)):
            log.warning(
                "%s holds %s%s; all together hold %s of %s",
                name,
                describe(amount),
                "" if instead_of is None else f", not the {describe(instead_of)} that were reserved",
                describe(self.total),
                describe(self.budget),
            )

    def release(self, name: str) -> None:
        """Nothing is held by `name` any more. Safe to call twice."""
        self._held.pop(name, None)


def settled(planned: Footprint, reported: Footprint, at_work: Footprint) -> Footprint:
    """What to keep in the books for a model that has loaded.

    reported: what it holds while idle; a kind that is missing was not reported, and stays as planned.
    at_work: the part of the plan that an idle engine need not hold yet. It stays reserved, within the plan.
    Example: 20 planned, 6 of them for work. Reported 9: 15 are kept. Reported 18: 20. Reported 23: 23.
    """

    def kept(plan: int, report: int, work: int) -> int:
        return max(report, min(plan, report + work)) if report else plan

    numbers = planned.gpus.keys() | reported.gpus.keys()
    return Footprint(
        kept(planned.host, reported.host, at_work.host),
        {number: kept(planned.on(number), reported.on(number), at_work.on(number)) for number in numbers},
    )


def readable(count: int) -> str:
    """A number of bytes for people: 3.2 GiB."""
    value = float(count)
    for unit in UNITS[:-1]:
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {UNITS[-1]}"


def describe(amount: Footprint) -> str:
    """Each kind for people: 3.2 GiB of host memory, 10.0 GiB of GPU 0."""
    parts = [f"{readable(held)} of GPU {number}" for number, held in amount.gpus.items()]
    if amount.host or not parts:
        parts.insert(0, f"{readable(amount.host)} of host memory")
    return ", ".join(parts)
