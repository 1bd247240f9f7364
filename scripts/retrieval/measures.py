"""How good an order of passages is, and what a mean over questions is worth. Pure.

nDCG: the gains 2^grade - 1 of the passages found, each divided by log2 of its place + 1, over what the best order would
have (Järvelin and Kekäläinen 2002; Burges et al. 2005). Recall: the share found of the passages that answer a question.
Intervals: percentiles of the bootstrap over questions; two ways are compared on the same draws, so that how hard the
questions are cancels out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log2

import numpy as np

from scripts.quality.figures import Interval, bootstrap, interval

DEPTH = 10
ANSWERS = 2
"""The grade of passages that answer a question, rather than help."""


def ndcg(found: Sequence[str], grades: Mapping[str, int], depth: int = DEPTH) -> float:
    """0 to 1. found: ids, best first, none twice. Raises ValueError where no passage has a grade."""
    best = _gain(sorted(grades.values(), reverse=True)[:depth])
    if best == 0:
        raise ValueError("no passage is right")
    return _gain([grades.get(one, 0) for one in found[:depth]]) / best


def recall(found: Sequence[str], grades: Mapping[str, int], depth: int = DEPTH) -> float:
    """0 to 1. Raises ValueError where no passage answers the question."""
    right = {one for one, grade in grades.items() if grade >= ANSWERS}
    if not right:
        raise ValueError("no passage is right")
    return len(right & set(found[:depth])) / min(len(right), depth)


def distinct(ids: Iterable[str]) -> list[str]:
    """In the order of their first place: of a passage cut into several chunks, the best one counts."""
    return list(dict.fromkeys(ids))


def _gain(grades: Sequence[int]) -> float:
    return sum(float(2**grade - 1) / log2(place + 2) for place, grade in enumerate(grades))


@dataclass(frozen=True, slots=True)
class Compared:
    """Means of several ways over the same questions, and by how much each differs from the others."""

    means: Mapping[str, Interval]
    differences: Mapping[tuple[str, str], Interval]


def compared(scores: Mapping[str, Sequence[float]], pairs: Iterable[tuple[str, str]] = (), seed: int = 0) -> Compared:
    """scores: of each way, one for each question in the same order. pairs: (a, b) for the interval of a minus b.

    Raises ValueError without questions, or where the ways have unlike numbers of them.
    """
    ways = list(scores)
    table = np.array([scores[way] for way in ways], dtype=np.float64)
    means = table.mean(axis=1)
    drawn = bootstrap(table, np.ones(table.shape[1]), seed)
    place = {way: number for number, way in enumerate(ways)}
    return Compared(
        {way: interval(float(means[number]), drawn[:, number]) for way, number in place.items()},
        {
            (a, b): interval(float(means[place[a]] - means[place[b]]), drawn[:, place[a]] - drawn[:, place[b]])
            for a, b in pairs
        },
    )
