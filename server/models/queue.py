"""Who waits for a model and who is at work, and the books about it. Tasks, clocks and engines are `leases.py`'s.

Who begins next, and who may not even wait, `queue_decisions.py` says.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from math import inf

from server.core import Claim
from server.core.caller import CLASS, Priority
from server.models.queue_decisions import PASSED_OVER, choose, refuse
from server.models.queue_standing import SHARE, Account, Entry, Fit, Refusal

SPARE = 4
"""Of the background, a quarter more than its places is at work in an engine that yields: its next request is there
when one ends. Else a place would stand empty for a step each time."""

NOTHING = dict.fromkeys(Priority, 0.0)

MOST_REMEMBERED = 256
"""Accounts that have nothing here, and are remembered for what they have had."""


class FairQueue:
    """One model's queue. Every method is a decision at one moment, and none waits.

    places: answers that the engine makes at once. room: work that its memory holds at once, infinite where that is
    unknown. longest: requests that may wait in a class and those above it. reserve: whether an account leaves something
    to others even while there are none; without, for a server that knows one account only, it may take all. yields:
    whether the engine lets the background stand still within a step (Engine.yields). It then has places of its own, as
    many and a quarter more, and no memory: the engine gives up for others what it holds.

    Invariants: what is at work never takes more than `places` and `room`, but for one request alone; no more than
    `longest` wait in a class; the requests of one account and class begin in the order of their arrival. Where the
    engine yields, better classes begin as if there were no background.
    """

    def __init__(self, places: int, longest: int, *, room: float = inf, reserve: bool = True) -> None:
        self.places = places
        self.room = room
        self.each = inf
        """Work of one answer and its prompt, at most. A limit of 10^18 tokens is valid, and ends with the context."""
        self.longest = longest
        self.taken = 0
        self.held = 0.0
        self.taken_below = 0
        self.held_below = 0.0
        """What the background takes of both."""
        self.waiting = 0
        self.counts = dict.fromkeys(Priority, 0)
        """Those who wait, by class."""
        self.reserve = reserve
        self.yields = False
        self._accounts: dict[str, Account] = {}
        self._heaviest = 1
        self._arrivals = 0
        # Virtual time of each class: the start tag of what began last in it. One for all would be driven by what
        # accounts of the best class have had, and make those of the others equal.
        self._now = NOTHING.copy()
        self._passed = NOTHING.copy()  # work of better classes, while this one waited
        self._usual = 1.0

    # ------------------------------------------------------------ what is shown

    @property
    def busy(self) -> bool:
        """Whether anybody waits or is at work."""
        return self.taken > 0 or self.waiting > 0

    @property
    def load(self) -> float:
        """Answers that are made and requests that wait, as a share of the places. An engine that yields is as good as
        idle while it works on a batch."""
        if not self.yields:
            return (self.taken + self.waiting) / self.places
        return (self.taken - self.taken_below + self.waiting - self.counts[Priority.BACKGROUND]) / self.places

    # ------------------------------------------------------------ comings and goings

    def enter(self, claim: Claim, at: float, *, ready: bool, patience: float, rate: float | None) -> Entry | Refusal:
        """Take a request in: at work if it can begin at once, else waiting, else not at all.

        at: the moment, in seconds. ready: whether the model is there. patience: longest wait in seconds. rate: work
        done a second while others wait, None while it is unknown.
        """
        account = self._account(claim)
        size = self._size(claim)
        self._usual += (size - self._usual) / 16
        entry = Entry(claim, account, self._arrivals, size, at, claim.places)
        self._arrivals += 1
        if ready and self._may_overtake(entry) and self.fit(entry) is Fit.YES:
            self._begin(entry)
            return entry
        refusal = refuse(self, entry, patience, rate)
        if refusal is not None:
            self._forget(claim.account_id, account)
            return refusal
        account.lines.setdefault(claim.priority, deque()).append(entry)
        account.work[claim.priority] = account.work.get(claim.priority, 0.0) + size
        self.counts[claim.priority] += 1
        self.waiting += 1
        return entry

    def begin_next(self) -> Entry | None:
        """Let the next one begin, if any can."""
        entry = choose(self)
        if entry is not None:
            self._no_longer_waits(entry)
            self._begin(entry)
        return entry

    def leave(self, entry: Entry) -> None:
        """A request that waited has given up, or one that was at work has ended."""
        account = entry.account
        if entry.running:
            entry.running = False
            account.places -= entry.places
            account.held -= entry.size
            self.taken -= entry.places
            self.held -= entry.size
            if entry.priority is Priority.BACKGROUND:
                account.places_below -= entry.places
                account.held_below -= entry.size
                self.taken_below -= entry.places
                self.held_below -= entry.size
        else:
            self._no_longer_waits(entry)
        self._forget(entry.claim.account_id, account)

    def took(self, claim: Claim, work: float) -> None:
        """A request at work has taken this much, and not what it claimed: its account's next turn is by that."""
        account = self._accounts.get(claim.account_id)
        if account is not None and claim.size:
            tag = account.tags.get(claim.priority, 0.0)
            account.tags[claim.priority] = tag + (work - self._size(claim)) / account.weight

    def measure(self, places: int, room: float, each: float, *, yields: bool = False) -> None:
        """The engine is a new one; see the class, and `each`."""
        self.places, self.room, self.each, self.yields = places, room, each, yields
        self._usual = min(self._usual, each)
        for account in self._accounts.values():
            for priority, line in account.lines.items():
                for entry in line:
                    entry.size = min(entry.size, entry.claim.places * each)
                account.work[priority] = sum(entry.size for entry in line)

    # ------------------------------------------------------------ what decisions read

    def heads(self, priority: Priority) -> list[Entry]:
        """The first of each account in this class, in the order of their turns."""
        lines = (account.lines.get(priority) for account in self._accounts.values())
        return sorted((line[0] for line in lines if line), key=lambda one: (self._start(one), one.number))

    def passed(self, priority: Priority) -> float:
        """Work of better classes that was begun while this class waited, since it had its last turn."""
        return self._passed[priority]

    def apart(self, priority: Priority) -> bool:
        """Whether this class takes nothing from better ones, and has to leave them nothing."""
        return self.yields and priority is Priority.BACKGROUND

    def fit(self, entry: Entry) -> Fit:
        account = entry.account
        places, size = self._asked(entry)
        if self.taken == 0:
            return Fit.YES
        if self.apart(entry.priority):
            # No account leaves anything to others here: whoever comes has the next place, and a batch can wait for it.
            # The engine lets as many begin as it has memory for; by their limits there would be fewer.
            most = self.places + self.places // SPARE
            return Fit.YES if self.taken_below + places <= most else Fit.ROOM
        taken, held, own, own_held = self.taken, self.held, account.places, account.held
        if self.yields:
            taken, held = taken - self.taken_below, held - self.held_below
            own, own_held = own - account.places_below, own_held - account.held_below
            if taken == 0:
                return Fit.YES
        free, room = self.places - taken, self.room - held
        if places > free or size > room:
            return Fit.ROOM
        # What is at work is not interrupted, so a batch leaves half to those who may come.
        below = entry.priority is Priority.BACKGROUND and self.taken_below > 0
        if below and (self.taken_below + places > free - places + 1 or self.held_below + size > room - size):
            return Fit.SHARE
        if own == 0 or (self.within(account, own, places, free, step=1) and self.within(account, own_held, size, room)):
            return Fit.YES
        return Fit.SHARE

    def within(self, account: Account, own: float, more: float, free: float, *, step: float = 0) -> bool:
        """Whether an account that holds `own` may take `more` of what is free. step: what is taken at a time, if it is
        counted: of 8 places an account alone takes 7, of 4 all."""
        if not self.reserve:
            return more <= free
        share = SHARE * account.weight / self._heaviest
        return own + more <= share * (free - more + step)

    def ahead(self, entry: Entry) -> float:
        """Work that waits and would go before a newcomer like this entry: its account's own, and what others get in the
        meantime, by weight."""
        least, account = entry.priority, entry.account
        own = account.waiting(least)
        turn = (own + entry.size) / account.weight
        return own + sum(min(other.waiting(least), turn * other.weight) for other in self.others(account))

    @property
    def accounts(self) -> Iterable[Account]:
        return self._accounts.values()

    def others(self, account: Account) -> Iterator[Account]:
        return (one for one in self._accounts.values() if one is not account)

    @property
    def usual(self) -> float:
        """The size of a usual request."""
        return self._usual

    # ------------------------------------------------------------ books

    def _size(self, claim: Claim) -> float:
        return min(claim.size or self._usual, claim.places * self.each)

    def _asked(self, entry: Entry) -> tuple[int, float]:
        """Places and memory that a request takes: never more than an account alone may have, or it could never begin.
        What goes beyond waits inside the engine."""
        places, room = self.places, self.room
        if self.reserve:
            places -= places // (SHARE + 1)
            room *= SHARE / (SHARE + 1)
        return min(entry.claim.places, places), min(entry.size, room)

    def _may_overtake(self, entry: Entry) -> bool:
        """Whether a newcomer may go before those who wait, since none of them can begin now."""
        if not self.waiting:
            return True
        if any(priority >= entry.priority for priority in entry.account.lines):
            return False
        return not any(
            head.passed >= PASSED_OVER * head.size
            for priority in Priority
            if self.counts[priority] and self.apart(priority) == self.apart(entry.priority)
            for head in self.heads(priority)
        )

    def _begin(self, entry: Entry) -> None:
        account, priority = entry.account, entry.priority
        entry.places, charged = self._asked(entry)
        if self.waiting:
            self._pass_over(entry)
        start = self._now[priority] = self._start(entry)
        account.tags[priority] = start + entry.size / account.weight
        self._passed[priority] = 0.0
        entry.size = charged  # from here on it is what the engine's memory has to hold
        entry.running = True
        at_work = account.places
        if self.yields:  # the classes do not stand in each other's way
            at_work = account.places_below if self.apart(priority) else at_work - account.places_below
        entry.rank = (Priority.NORMAL - priority) * CLASS + at_work // account.weight
        account.places += entry.places
        account.held += charged
        self.taken += entry.places
        self.held += charged
        if priority is Priority.BACKGROUND:
            account.places_below += entry.places
            account.held_below += charged
            self.taken_below += entry.places
            self.held_below += charged

    def _start(self, entry: Entry) -> float:
        """Its start tag, if it began now."""
        return max(self._now[entry.priority], entry.account.tags.get(entry.priority, 0.0))

    def _debt(self, account: Account) -> float:
        """How far it is ahead of virtual time, in the class where that is most."""
        return max((tag - self._now[priority] for priority, tag in account.tags.items()), default=0.0)

    def _pass_over(self, entry: Entry) -> None:
        for priority in Priority:
            if not self.counts[priority]:
                continue
            if priority < entry.priority:
                self._passed[priority] += entry.size
            if self.apart(priority) != self.apart(entry.priority):
                continue
            for head in self.heads(priority):
                # Who waits for its own share to come free is not overtaken: nobody else holds it up.
                if self.fit(head) is Fit.ROOM:
                    head.passed += entry.size

    def _no_longer_waits(self, entry: Entry) -> None:
        account, priority = entry.account, entry.priority
        line = account.lines[priority]
        line.remove(entry)
        account.work[priority] -= entry.size
        if not line:
            del account.lines[priority], account.work[priority]
        self.waiting -= 1
        self.counts[priority] -= 1
        if not self.counts[priority]:
            self._passed[priority] = 0.0

    def _account(self, claim: Claim) -> Account:
        account = self._accounts.get(claim.account_id)
        if account is None:
            account = self._accounts[claim.account_id] = Account(claim.weight)
        elif account.weight != claim.weight:
            account.weight = claim.weight
            self._weigh()
        self._heaviest = max(self._heaviest, claim.weight)
        return account

    def _weigh(self) -> None:
        self._heaviest = max((one.weight for one in self._accounts.values() if not one.idle), default=1)

    def _forget(self, name: str, account: Account) -> None:
        """Of an account that has nothing here any more. It is remembered until its virtual time has come: else it could
        shed its debt by a pause."""
        if not self.busy:
            self._accounts.clear()
            self._now = NOTHING.copy()
            self.held = self.held_below = 0.0
            self._heaviest = 1
            return
        if not account.idle:
            return
        account.held = account.held_below = 0.0  # exactly: sums of fractions drift
        if self._debt(account) <= 0:
            self._accounts.pop(name, None)
        elif len(self._accounts) > MOST_REMEMBERED + self.places + self.waiting:
            idle = [(self._debt(other), one) for one, other in self._accounts.items() if other.idle]
            for _, one in sorted(idle)[: MOST_REMEMBERED // 2]:  # who owes least
                del self._accounts[one]
        if account.weight == self._heaviest > 1:
            self._weigh()
