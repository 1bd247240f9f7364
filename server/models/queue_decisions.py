"""Who goes next in a model's queue, and who may not even wait: the two decisions, each as a whole.

The order within a class is start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996), which shares as deficit round
robin does, by size and weight, but lets a newcomer go next instead of after a round over all accounts.
"""

from typing import TYPE_CHECKING

from server.core.caller import Priority
from server.models.queue_standing import FULL, LATE, SHARE, Entry, Fit, Refusal

if TYPE_CHECKING:
    from server.models.queue import FairQueue

PASSED_OVER = 16
"""A lower class, or a request too large for what is free, is passed over by 16 times its own work, and no more."""


def choose(queue: "FairQueue") -> Entry | None:
    """Who begins next; None if nobody waits who could begin now. The whole decision, in the order in which it is made:

    1. A class that better ones have passed over by 16 times its first request goes before them, once. Strict order
       alone would starve the batch of a server whose chats never pause; so it gets a seventeenth of the work, and it is
       counted in work, not in seconds: how long a request waits says nothing about what the others had meanwhile.
    2. Otherwise the best class that has someone who can begin.
    3. Within a class, the account that had the least work for its weight; among equals, who came first. A newcomer's
       virtual time is now, and that of a flood is ahead by all that it has begun: so the newcomer is next.
    4. Within an account, who came first.
    5. Who does not fit is overtaken: the account holds its share (others have theirs), or there is too little left. The
       latter only until 16 times its own work went by: then nobody begins until it fits, so that a large request
       can't be starved by small ones. Where the engine yields, that holds within the background and above it.
    """
    waiting = [priority for priority in reversed(Priority) if queue.counts[priority]]
    lines = {priority: queue.heads(priority) for priority in waiting}
    due = [priority for priority in waiting if queue.passed(priority) >= PASSED_OVER * lines[priority][0].size]
    held_up: set[bool] = set()
    for priority in [*due, *waiting]:
        apart = queue.apart(priority)
        for head in () if apart in held_up else lines[priority]:
            fit = queue.fit(head)
            if fit is Fit.YES:
                return head
            if fit is Fit.ROOM and head.passed >= PASSED_OVER * head.size:
                held_up.add(apart)
                break
    return None


def refuse(queue: "FairQueue", entry: Entry, patience: float, rate: float | None) -> Refusal | None:
    """Why a request that can't begin now may not wait either; None if it may. Lower classes are not looked at.

    1. By number, each account leaves an eighth of the places to others, as with the engine's. Its own fault if someone
       else could still wait, or if it has at least its part of a queue that is full.
    2. By time, where the rate is known: the work that would go before it, shared by weight, must be done before its
       patience ends. Its own fault if it could be served in time without the account's own requests before it.
    """
    account, least = entry.account, entry.priority
    own, everyone = account.count(least), sum(queue.counts[one] for one in Priority if one >= least)
    free = queue.longest - everyone
    if free < 1 or (own and not queue.within(account, own, 1, free, step=1)):
        accounts = 1 + sum(1 for other in queue.others(account) if other.count(least))
        fault = free >= 1 or (own > 1 and own * accounts >= everyone)
        return Refusal(FULL, queue.reserve and fault, None if rate is None else _eighth(queue, least) / rate)
    if rate is None:
        return None
    ahead = queue.ahead(entry)
    if ahead / rate <= patience:
        return None
    turn = entry.size / account.weight
    without = sum(min(other.waiting(least), turn * other.weight) for other in queue.others(account))
    again = max(ahead / rate - patience, _eighth(queue, least) / rate)
    return Refusal(LATE, queue.reserve and without / rate <= patience, again)


def _eighth(queue: "FairQueue", least: Priority) -> float:
    """Of the work that waits. Whoever is refused comes again when that is done, not for each place that comes free."""
    return sum(account.waiting(least) for account in queue.accounts) / (SHARE + 1)
