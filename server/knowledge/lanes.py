"""Which document is begun next: a pure decision. A text of a line waits for no book, and no account for another's.

    nothing is under way            → the next of the account that had its turn longest ago
    something began moments ago     → nothing: it may be done at once, and processors are few
    all of it has gone on for long  → a small one beside it; a large one too, if none of it is large

Example: a book of 10,000 pages is being read. After PATIENCE seconds, a note is begun beside it; the next note once
that one is done, or after as long again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.knowledge.claims import Waiting

PATIENCE = 2.0
"""Seconds after which a document under way has gone on for long."""
SMALL = 256 * 2**10
"""Bytes that a small document has at most."""
MOST = 4
"""Documents under way at once; what each takes to be read is bounded by SAGEHOLD_DOCUMENT_MEMORY."""
MOST_OF_ONE = 2
"""Of one account."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """began: seconds by the clock that `next_of` is given the time of."""

    account_id: str
    size: int
    began: float


def next_of(
    waiting: Sequence[Waiting], under_way: Sequence[UnderWay], turns: Mapping[str, float], now: float
) -> Waiting | None:
    """waiting: oldest first. turns: when each account had its last one begun."""
    if len(under_way) >= MOST or any(now - one.began < PATIENCE for one in under_way):
        return None
    most = SMALL if any(one.size > SMALL for one in under_way) else None
    having = [one.account_id for one in under_way]
    able = [one for one in waiting if (most is None or one.size <= most) and having.count(one.account_id) < MOST_OF_ONE]
    # The first of those that have waited equally long, which is the oldest.
    return min(able, key=lambda one: turns.get(one.account_id, float("-inf")), default=None)


def wait_of(under_way: Sequence[UnderWay], now: float) -> float | None:
    """Seconds after which `next_of` may decide otherwise without anything having happened; None for never."""
    young = [one.began + PATIENCE - now for one in under_way if now - one.began < PATIENCE]
    return max(young, default=None)
