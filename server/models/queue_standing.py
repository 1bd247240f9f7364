"""Who stands where in a model's queue: requests, their accounts, and what is said to those who may not wait."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from server.core import Claim
from server.core.caller import Priority

SHARE = 7
"""An account may hold this many times what it leaves free: alone 7 places of 8; two take 7 of 15 each, 1 stays free."""


class Fit(StrEnum):
    """Whether a request can begin now: it can; its account holds its share; there is too little left for anybody."""

    YES = "yes"
    SHARE = "share"
    ROOM = "room"


@dataclass(slots=True, eq=False)
class Entry:
    """A request that waits, or is at work. number: of its arrival. passed: work of others that overtook it. rank: where
    it stands among those at work, see Engine.behind; known once it has begun.
    """

    claim: Claim
    account: "Account"
    number: int
    size: float
    since: float
    places: int = 1
    running: bool = False
    passed: float = 0.0
    rank: int = 0

    @property
    def priority(self) -> Priority:
        return self.claim.priority


@dataclass(slots=True, eq=False)
class Account:
    """An account's standing. tags: its virtual time in each class in which it had something, in work divided by weight.
    lines, work: who waits and how much work that is, by class; only where somebody does. places, held: what its
    requests at work take of the engine; places_below, held_below: those of the background of it.
    """

    weight: int = 1
    tags: dict[Priority, float] = field(default_factory=dict)
    places: int = 0
    held: float = 0.0
    places_below: int = 0
    held_below: float = 0.0
    lines: dict[Priority, deque[Entry]] = field(default_factory=dict)
    work: dict[Priority, float] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        return not self.places and not self.lines

    def count(self, least: Priority) -> int:
        """How many wait in this class and above."""
        return sum(len(line) for priority, line in self.lines.items() if priority >= least)

    def waiting(self, least: Priority) -> float:
        """How much work waits in this class and above."""
        return sum(work for priority, work in self.work.items() if priority >= least)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request may not even wait. own: whether its account's own requests are the reason. again: seconds until it
    is worth another try, None where that is not known."""

    reason: str
    own: bool
    again: float | None


FULL, LATE = "full", "late"
