"""Which batch is begun next: a pure function."""

from collections import Counter
from collections.abc import Iterable, Sequence

from server.jobs.batches.claims import Waiting

MOST_ACTIVE, MOST_OF_ONE = 128, 8
"""Batches of which lines are begun by one process at once: of all accounts, and of one. Batches of one account for one
model share what a single one would have."""


def next_of(waiting: Sequence[Waiting], active: Iterable[str]) -> Waiting | None:
    """Of those that wait, the oldest one of the account that has the fewest under way; None where enough are.

    active: the account of each batch of which lines are begun.
    """
    under_way = Counter(active)
    if under_way.total() >= MOST_ACTIVE:
        return None
    able = [one for one in waiting if under_way[one.account_id] < MOST_OF_ONE]
    return min(able, key=lambda one: (under_way[one.account_id], one.number), default=None)
