"""Which batch is begun next: a pure function."""

from collections.abc import Iterable, Sequence

from server.jobs.batches.claims import Waiting

MOST_ACTIVE = 16
"""Batches of which lines are begun by one process at once."""


def next_of(waiting: Sequence[Waiting], active: Iterable[str]) -> Waiting | None:
    """Of those that wait, the oldest one of the account that has the fewest under way; None where enough are.

    active: the account of each batch of which lines are begun.
    """
    under_way = list(active)
    if len(under_way) >= MOST_ACTIVE:
        return None
    return min(waiting, key=lambda one: (under_way.count(one.account_id), one.number), default=None)
