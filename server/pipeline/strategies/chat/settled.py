"""Whether drafts that are still being written can be left: the vote of those that have ended is settled. Pure."""

from collections import Counter
from collections.abc import Sequence
from math import comb


def majority_stays(first: int, second: int) -> float:
    """How probable it is that the answer of `first` votes is the more frequent one, where the next has `second`.

    P(p > 1/2) for a share p of Beta(first + 1, second + 1), which is what such votes say of p where nothing was known
    before: adaptive consistency, Aggarwal et al. 2023 (arXiv 2305.11860), equation 2. For whole numbers it is a sum of
    binomials: 2 against 0 make 0.875, 3 against 0 0.9375, 4 against 1 0.89.
    """
    trials = first + second + 1
    return sum(comb(trials, wins) for wins in range(first + 1)) / (1 << trials)


def is_settled(votes: Sequence[str | None], drafts: int, sure: float, enough: int | None = None) -> bool:
    """Whether further drafts are not worth waiting for.

    votes: the final answers of the drafts that have ended, None for one that can't be compared. drafts: how many were
    begun. sure: how probable it must be that the majority stays; 1 waits for all of them. enough: drafts after which it
    is settled however they vote: those that end first are the shorter ones, and no worse for it (short-m@k, Hassid et
    al. 2025, arXiv 2505.17813); None for no such number.
    """
    ended = len(votes)
    if ended == drafts or (enough is not None and ended >= enough):
        return True
    counts = Counter(vote for vote in votes if vote is not None)
    first, second = ([size for _, size in counts.most_common(2)] + [0, 0])[:2]
    # As in the choice: two must agree, and half of all must have an answer that can be compared.
    if sure >= 1 or first < 2 or 2 * counts.total() < ended:
        return False
    unassailable = first - second > drafts - ended and 2 * counts.total() >= drafts
    return unassailable or majority_stays(first, second) >= sure
