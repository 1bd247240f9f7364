"""Which idle models give way when memory is short. Pure: no process, clock or socket."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from server.engines.base import Footprint


class How(StrEnum):
    """Sleep gives the GPU's memory back and comes back fast; stop ends the processes."""

    SLEEP = "sleep"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A loaded model, as eviction sees it. last_used: seconds of any monotonic clock.

    asleep: what it would hold if it slept: more of the host, since its weights move there, and of each GPU what stays.
    """

    name: str
    held: Footprint
    last_used: float
    leased: bool = False
    eager: bool = False
    can_sleep: bool = False
    asleep: Footprint = field(default_factory=Footprint)


@dataclass(frozen=True, slots=True)
class Eviction:
    name: str
    how: How


def choose(short: Footprint, candidates: Sequence[Candidate], *, spare_host: int = 0) -> tuple[Eviction, ...] | None:
    """The models to put away so that `short` bytes come free, or None when all idle ones together don't hold them.

    Leased models are never chosen. Lazy ones go before eager ones, the least recently used first, and none goes whose
    memory isn't needed. A model that can sleep is put to sleep rather than unloaded, if that frees enough of its GPUs,
    and if its weights fit into `spare_host`: the bytes of the host that are left once the newcomer has loaded. Those
    that are unloaded come first in the answer, since a sleeper may need their room.
    """
    order = sorted((one for one in candidates if not one.leased), key=lambda one: (one.eager, one.last_used))
    chosen: list[Candidate] = []
    for one in order:
        missing = _missing(short, chosen)
        if not missing:
            break
        if _helps(one, missing):
            chosen.append(one)
    if _missing(short, chosen):
        return None
    # An early choice may have become needless by a later, bigger one; spare the most valuable first.
    for one in reversed(chosen[:]):
        rest = [other for other in chosen if other is not one]
        if not _missing(short, rest):
            chosen = rest
    sleepers = _sleepers(short, chosen, spare_host)
    stopped = [Eviction(one.name, How.STOP) for one in chosen if one.name not in sleepers]
    return (*stopped, *(Eviction(one.name, How.SLEEP) for one in chosen if one.name in sleepers))


def cost(evictions: Collection[Eviction], candidates: Sequence[Candidate]) -> tuple[float, ...]:
    """How much evictions disturb, for comparison; less is better: eager models, models stopped, models, last use."""
    by_name: Mapping[str, Candidate] = {one.name: one for one in candidates}
    hit = [by_name[one.name] for one in evictions]
    return (
        sum(one.eager for one in hit),
        sum(one.how is How.STOP for one in evictions),
        len(hit),
        max((one.last_used for one in hit), default=0.0),
    )


def _helps(one: Candidate, missing: Footprint) -> bool:
    return bool((missing.host and one.held.host) or any(one.held.on(number) for number in missing.gpus))


def _missing(short: Footprint, chosen: Sequence[Candidate]) -> Footprint:
    return short.beyond(sum((one.held for one in chosen), Footprint()))


def _sleepers(short: Footprint, chosen: Sequence[Candidate], spare_host: int) -> set[str]:
    """Those of the chosen that may sleep; the others stop. The most recently used gets the better fate first."""
    asleep: dict[str, Footprint] = {}
    for one in reversed(chosen):
        if not (one.can_sleep and one.held.gpus):
            continue
        trial = asleep | {one.name: one.asleep}
        stay = sum(trial.values(), Footprint())
        freed = sum((other.held for other in chosen), Footprint())
        host_left = max(0, spare_host) + freed.host - short.host - stay.host
        if host_left >= 0 and not (short + Footprint(0, stay.gpus)).beyond(freed).gpus:
            asleep = trial
    return set(asleep)
