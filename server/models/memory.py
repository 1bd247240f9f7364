"""The ledger of memory: who holds how many bytes of the host and of the GPU, over all engines.

A model reserves before it loads, is corrected to what the machine reports once it has loaded, and releases when its
processes are gone. The sum never exceeds the budget by a reservation; a correction may exceed it, and is logged then.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from server.engines.base import Footprint
from server.models.machine import GPU_SHARE, HOST_SHARE, Machine

log = logging.getLogger(__name__)

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a model may take. `gpu_share` is `gpu` as a share of the device's whole memory; None without a GPU."""

    host: int = 0
    gpu: int = 0
    gpu_share: float | None = None


class MemoryLedger:
    """Bytes reserved by name, within a budget. Not for threads: it belongs to the event loop."""

    def __init__(self, machine: Machine, *, host_budget: int | None = None, gpu_budget: int | None = None) -> None:
        self.machine = machine
        self.budget = Footprint(
            host=int(machine.host * HOST_SHARE) if host_budget is None else host_budget,
            gpu=int(machine.gpu * GPU_SHARE) if gpu_budget is None else min(gpu_budget, machine.gpu),
        )
        self._held: dict[str, Footprint] = {}

    @property
    def held(self) -> Mapping[str, Footprint]:
        """What each name holds now."""
        return MappingProxyType(self._held)

    @property
    def free(self) -> Footprint:
        """What is left of the budget; never negative."""
        return Footprint(
            host=max(0, self.budget.host - sum(one.host for one in self._held.values())),
            gpu=max(0, self.budget.gpu - sum(one.gpu for one in self._held.values())),
        )

    def short(self, need: Footprint, *, of: str) -> Footprint:
        """How much is missing before `of` can hold `need` in place of what it holds; zeros when it fits."""
        own = self._held.get(of, Footprint())
        free = self.free
        return Footprint(
            host=max(0, need.host - own.host - free.host),
            gpu=max(0, need.gpu - own.gpu - free.gpu),
        )

    def reserve(self, name: str, need: Footprint) -> Grant:
        """Set `name`'s bytes to `need`. The caller has seen that it fits; it is an error in the program if not."""
        short = self.short(need, of=name)
        if short.host or short.gpu:
            raise ValueError(f"{name}: {describe(need)} do not fit into {describe(self.free)}")
        self._held[name] = need
        share = need.gpu / self.machine.gpu if self.machine.gpu else None
        return Grant(need.host, need.gpu, share)

    def correct(self, name: str, reported: Footprint) -> None:
        """Replace the estimate by what the machine reports. A zero is no report: drivers in containers hide it."""
        if name not in self._held:
            return
        old = self._held[name]
        new = Footprint(host=reported.host or old.host, gpu=reported.gpu or old.gpu)
        self._set(name, old, new)

    def slept(self, name: str, reported: Footprint) -> None:
        """As `correct`, after a sleep: here a GPU report of zero is what is hoped for."""
        if name in self._held:
            old = self._held[name]
            self._set(name, old, Footprint(host=reported.host or old.host, gpu=min(old.gpu, reported.gpu)))

    def _set(self, name: str, old: Footprint, new: Footprint) -> None:
        self._held[name] = new
        total = Footprint(
            host=sum(one.host for one in self._held.values()), gpu=sum(one.gpu for one in self._held.values())
        )
        if total.host > self.budget.host or total.gpu > self.budget.gpu:
            log.warning(
                "model %s took %s, not the %s that were reserved; all models together hold %s of %s",
                name, describe(new), describe(old), describe(total), describe(self.budget),
            )  # fmt: skip

    def release(self, name: str) -> None:
        """Nothing is held by `name` any more. Safe to call twice."""
        self._held.pop(name, None)


def elastic_share(free: int, need: int, others: int, elastic_models: int) -> int:
    """GPU bytes to grant a model that can use more than its need.

    free: bytes it could get; others: bytes that models yet to be loaded need; elastic_models: how many models, this
    one included, share what is then left over. Never less than `need`, never more than `free`.
    """
    spare = max(0, free - need - others)
    return min(free, need + spare // max(1, elastic_models))


def readable(count: int) -> str:
    """A number of bytes for people: 3.2 GiB."""
    value = float(count)
    for unit in UNITS[:-1]:
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {UNITS[-1]}"


def describe(amount: Footprint) -> str:
    """Both kinds for people: 3.2 GiB of host memory and 10.0 GiB of GPU memory."""
    host = f"{readable(amount.host)} of host memory"
    return f"{host} and {readable(amount.gpu)} of GPU memory" if amount.gpu else host
