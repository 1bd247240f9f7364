"""Which of a question's words choose the chunks that are ranked: a pure decision, the same on both databases.

A chunk costs time when it is ranked, and a common word is in many that nobody will see: what it adds to a chunk's score
is little, and the best chunks hold a rarer word too. So the rarest words choose, and all words rank what they chose.

Example, of 100,000 chunks: `valve` is in 300, `pressure` in 2,500 and `report` in 12,000. Ranked are the 2,700 that
hold `valve` or `pressure`, each by all three words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RANKED = 4000
"""Chunks that may be ranked, unless fewer words than these choose too few. Of generated questions to 100,000 chunks the
ten that are ranked first are the same as without a bound in 999 of 1,000 places, the fifty in 994."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """choosing: a chunk holds one of these at least. adding: these count where they are there as well."""

    choosing: Sequence[str]
    adding: Sequence[str]


def chosen(held: Mapping[str, int], least: int) -> Chosen:
    """held: how many chunks hold each word. least: so many chunks are to be found, where there are so many."""
    order = sorted((word for word in held if held[word]), key=lambda word: (held[word], word))
    choosing, ranked = 0, 0
    while choosing < len(order) and (ranked < least or ranked + held[order[choosing]] <= RANKED):
        ranked += held[order[choosing]]
        choosing += 1
    return Chosen(order[:choosing], order[choosing:])
