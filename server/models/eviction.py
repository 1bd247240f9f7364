"""Which idle models give way when memory is short. Pure: no process, clock or socket."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from server.engines.base import Footprint


class How(StrEnum):
    """Sleep gives the GPU's memory back and comes back fast; stop ends the processes."""

    SLEEP = "sleep"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A loaded model, as eviction sees it. last_used: seconds of any monotonic clock."""

    name: str
    held: Footprint
    last_used: float
    leased: bool = False
    eager: bool = False
    can_sleep: bool = False


@dataclass(frozen=True, slots=True)
class Eviction:
    name: str
    how: How


def choose(short: Footprint, candidates: Sequence[Candidate]) -> tuple[Eviction, ...] | None:
    """The models to put away so that `short` bytes come free, or None when all idle ones together don't hold them.

    Leased models are never chosen. Lazy ones go before eager ones, the least recently used first, and none goes whose
    memory isn't needed. Where only GPU memory is short, a model that can sleep sleeps.
    """
    order = sorted((one for one in candidates if not one.leased), key=lambda one: (one.eager, one.last_used))
    chosen: list[Candidate] = []
    for one in order:
        missing = _missing(short, chosen)
        if not (missing.host or missing.gpu):
            break
        if (missing.host and one.held.host) or (missing.gpu and one.held.gpu):
            chosen.append(one)
    if _missing(short, chosen) != Footprint():
        return None
    # An early choice may have become needless by a later, bigger one; spare the most valuable first.
    for one in reversed(chosen[:]):
        rest = [other for other in chosen if other is not one]
        if _missing(short, rest) == Footprint():
            chosen = rest
    return tuple(Eviction(one.name, _how(one, short, chosen)) for one in chosen)


def _missing(short: Footprint, chosen: Sequence[Candidate]) -> Footprint:
    return Footprint(
        host=max(0, short.host - sum(one.held.host for one in chosen)),
        gpu=max(0, short.gpu - sum(one.held.gpu for one in chosen)),
    )


def _how(one: Candidate, short: Footprint, chosen: Sequence[Candidate]) -> How:
    if not (one.can_sleep and one.held.gpu):
        return How.STOP
    others = [other for other in chosen if other is not one]
    # Asleep, it keeps its host memory: that is enough if the others free what the host is short of.
    return How.SLEEP if _missing(Footprint(host=short.host), others).host == 0 else How.STOP
