"""What is made of the rows: means, and bootstrap confidence intervals of them and of differences between modes. Pure.

The bootstrap draws items with replacement and takes the percentiles of what comes out (Efron 1979). Two modes are
compared on the same draws, item by item, so that how hard the items are cancels out. Items of all seeds are drawn from
one urn; those that are the same thing with several seeds (`Item.unit`) are one ball in it, since what makes one of them
easy makes all of them easy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.quality.frame import Row

RESAMPLES = 10_000
LEVEL = 0.95
CHUNK = 500
"""Resamples drawn at once: the memory they take is this times the number of items."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float

    def shown(self, scale: float = 100, digits: int = 1, *, signed: bool = False) -> str:
        """As `12.5 (-1.0 to 30.0)`: the mean, 0.125, in percent and its interval. signed: `+12.5`."""
        sign = "+" if signed else ""
        mean, low, high = (f"{scale * value:{sign}.{digits}f}" for value in (self.mean, self.low, self.high))
        return f"{mean} ({low} to {high})"


@dataclass(frozen=True, slots=True)
class Figures:
    """A mode's figures. score: weighted mean; difference: of its score from the first mode's, on the same items.

    step: from the mode before it. seconds: median; passes, tokens and credits: means for each item.
    """

    mode: str
    n: int
    score: Interval
    difference: Interval | None
    step: Interval | None
    passes: float
    tokens: float
    seconds: float
    credits: float
    failed: int


def bootstrap(scores: Floats, weights: Floats, seed: int = 0, resamples: int = RESAMPLES) -> Floats:
    """Weighted means of each mode over the same resampled items.

    scores: modes × items; weights: of the items. Returns resamples × modes. Raises ValueError without items.
    """
    count = scores.shape[1]
    if count == 0:
        raise ValueError("no item was measured")
    rng = np.random.default_rng(seed)
    means = []
    for begin in range(0, resamples, CHUNK):
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=min(CHUNK, resamples - begin)) * weights
        means.append(drawn @ scores.T / drawn.sum(axis=1, keepdims=True))
    return np.concatenate(means)


def interval(mean: float, resampled: Floats) -> Interval:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Interval(mean, float(low), float(high))


def figures(rows: Sequence[Row], modes: Sequence[str], seed: int = 0) -> list[Figures]:
    """Of each mode, in the modes' order. Raises ValueError if an item lacks a mode."""
    by_mode = {mode: {_key(row): row.outcome for row in rows if row.mode == mode} for mode in modes}
    item_of = {_key(row): row.item for row in rows}
    keys = list(by_mode[modes[0]])
    if any(set(outcomes) != set(keys) for outcomes in by_mode.values()):
        raise ValueError("not every item was asked in every mode")
    scores, weights = _drawn_together(
        [item_of[key].unit for key in keys],
        np.array([[by_mode[mode][key].score for key in keys] for mode in modes], dtype=np.float64),
        np.array([item_of[key].weight for key in keys], dtype=np.float64),
    )
    means = (scores * weights).sum(axis=1) / weights.sum()
    drawn = bootstrap(scores, weights, seed)
    found = []
    for place, mode in enumerate(modes):
        outcomes = list(by_mode[mode].values())

        def against(other: int, place: int = place) -> Interval | None:
            if place == 0:
                return None
            return interval(float(means[place] - means[other]), drawn[:, place] - drawn[:, other])

        found.append(
            Figures(
                mode,
                len(outcomes),
                interval(float(means[place]), drawn[:, place]),
                against(0),
                against(place - 1),
                passes=fmean(one.passes for one in outcomes),
                tokens=fmean(one.tokens for one in outcomes),
                seconds=median(one.seconds or 0.0 for one in outcomes),
                credits=fmean(one.credits for one in outcomes),
                failed=sum(one.failed for one in outcomes),
            )
        )
    return found


def _key(row: Row) -> tuple[int, str]:
    return row.item.of_seed, row.item.id


def _drawn_together(units: Sequence[str], scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Scores (modes × units) and weights of what the bootstrap draws: of items of one unit the weighted mean, and the
    sum of their weights. scores: modes × items."""
    places = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
    member = np.zeros((len(units), len(places)))
    member[np.arange(len(units)), [places[unit] for unit in units]] = weights
    together = member.sum(axis=0)
    return scores @ member / together, together


def by_seed(rows: Sequence[Row], modes: Sequence[str]) -> dict[int, list[Figures]]:
    """The figures of each seed's items, in the seeds' first order."""
    seeds = dict.fromkeys(row.item.of_seed for row in rows)
    return {seed: figures([row for row in rows if row.item.of_seed == seed], modes) for seed in seeds}


def by_kind(rows: Sequence[Row], modes: Sequence[str]) -> dict[str, list[Figures]]:
    """The figures of each kind of item, in the kinds' first order."""
    kinds = dict.fromkeys(row.item.kind for row in rows)
    return {kind: figures([row for row in rows if row.item.kind == kind], modes) for kind in kinds}


def verdict(difference: Interval, *, higher_is_better: bool) -> str:
    """What an interval of differences says: better, worse, or neither beyond the interval."""
    low, high = (difference.low, difference.high) if higher_is_better else (-difference.high, -difference.low)
    return "better" if low > 0 else "worse" if high < 0 else "no clear difference"


def as_dicts(some: Sequence[Figures]) -> list[Mapping[str, Any]]:
    return [asdict(one) for one in some]
