"""What `scripts/eval_quality` makes of rows: means, bootstrap intervals, paired differences."""

import numpy as np
import pytest

from scripts.quality.figures import Interval, bootstrap, by_kind, by_seed, figures, verdict
from scripts.quality.frame import Item, Outcome, Row


def rows_of(scores: dict[str, list[float]], weights: list[float] | None = None) -> list[Row]:
    """Rows of items 0, 1 … by mode; even ones are of the kind `even`."""
    return [
        Row(Item(id=str(i), kind="odd" if i % 2 else "even", weight=(weights or [1.0] * 1000)[i]), mode, outcome(score))
        for mode, column in scores.items()
        for i, score in enumerate(column)
    ]


def outcome(score: float) -> Outcome:
    return Outcome(score=score, tokens=10, credits=0.5, passes=2, seconds=score)


def test_the_bootstrap_of_a_share_agrees_with_the_normal_approximation() -> None:
    scores = np.array([[1.0] * 120 + [0.0] * 280])
    drawn = bootstrap(scores, np.ones(400), seed=1)
    assert drawn.shape == (10_000, 1)
    assert drawn.mean() == pytest.approx(0.3, abs=0.001)
    assert drawn.std() == pytest.approx((0.3 * 0.7 / 400) ** 0.5, rel=0.03)


def test_the_bootstrap_is_the_same_for_the_same_seed_only() -> None:
    scores, weights = np.array([[0.0, 1.0, 1.0]]), np.ones(3)
    assert np.array_equal(bootstrap(scores, weights, 1, 50), bootstrap(scores, weights, 1, 50))
    assert not np.array_equal(bootstrap(scores, weights, 1, 50), bootstrap(scores, weights, 2, 50))


def test_weights_are_those_of_the_items() -> None:
    (one,) = figures(rows_of({"low": [0.0, 1.0]}, weights=[30.0, 10.0]), ["low"])
    assert one.score.mean == pytest.approx(0.25)
    drawn = bootstrap(np.array([[0.0, 1.0]]), np.array([30.0, 10.0]), resamples=200)
    assert {round(float(value), 4) for value in drawn[:, 0]} == {0.0, 0.25, 1.0}


def test_a_difference_is_taken_item_by_item() -> None:
    low = [float(i % 2) for i in range(100)]
    # Five items more are right: each mode alone is uncertain by ten points, their difference by four.
    high = [1.0 if i < 10 else score for i, score in enumerate(low)]
    first, second = figures(rows_of({"low": low, "high": high}), ["low", "high"])
    assert first.difference is None
    assert first.step is None
    assert first.score.low < second.score.mean < first.score.high
    assert second.difference is not None
    assert second.difference.mean == pytest.approx(0.05)
    assert 0 < second.difference.low < 0.02
    assert 0.08 < second.difference.high < 0.11


def test_a_step_is_from_the_mode_before() -> None:
    _, _, ultra = figures(rows_of({"low": [0.0] * 4, "high": [1.0] * 4, "ultra": [1.0] * 4}), ["low", "high", "ultra"])
    assert ultra.difference == Interval(1.0, 1.0, 1.0)
    assert ultra.step == Interval(0.0, 0.0, 0.0)


def test_costs_are_means_and_seconds_the_median() -> None:
    (one,) = figures(rows_of({"low": [0.0, 0.0, 0.9]}), ["low"])
    assert (one.n, one.passes, one.tokens, one.credits, one.seconds, one.failed) == (3, 2, 10, 0.5, 0.0, 0)


def test_kinds_are_told_apart() -> None:
    kinds = by_kind(rows_of({"low": [1.0, 0.0, 1.0, 0.0]}), ["low"])
    assert {kind: of[0].score.mean for kind, of in kinds.items()} == {"even": 1.0, "odd": 0.0}


def test_seeds_are_one_sample_and_are_told_apart() -> None:
    """Items of two seeds have the same ids, and are different items."""
    rows = [
        Row(Item(id=str(i), kind="k", of_seed=seed), "low", outcome(score))
        for seed, scores in ((7, [1.0, 1.0]), (8, [1.0, 0.0]))
        for i, score in enumerate(scores)
    ]
    (one,) = figures(rows, ["low"])
    assert (one.n, one.score.mean) == (4, 0.75)
    assert {seed: of[0].score.mean for seed, of in by_seed(rows, ["low"]).items()} == {7: 1.0, 8: 0.5}


def test_one_thing_under_several_seeds_is_drawn_as_one() -> None:
    """Four prompts with 25 seeds each are no hundred prompts: two of them are always right, two never."""

    def rows_with(drawn_as: str) -> list[Row]:
        return [
            Row(Item(id=str(i), kind="k", of_seed=seed, drawn_as=drawn_as and f"{drawn_as} {i}"), "low", outcome(i % 2))
            for seed in range(25)
            for i in range(4)
        ]

    (alone,), (together,) = figures(rows_with(""), ["low"]), figures(rows_with("prompt"), ["low"])
    assert alone.score.mean == together.score.mean == 0.5
    assert alone.score.high < 0.65
    assert together.score.high == 1.0


def test_what_is_drawn_as_one_weighs_what_its_items_weigh() -> None:
    items = [(1, "a", 3.0, 1.0), (2, "a", 1.0, 0.0), (1, "b", 4.0, 0.0)]
    rows = [
        Row(Item(id=name, kind="k", of_seed=seed, drawn_as=name, weight=weight), "low", outcome(score))
        for seed, name, weight, score in items
    ]
    (one,) = figures(rows, ["low"])
    assert one.score.mean == pytest.approx(3 / 8)


def test_an_item_that_lacks_a_mode_is_no_basis_for_a_comparison() -> None:
    rows = rows_of({"low": [0.0, 1.0], "high": [1.0]})
    with pytest.raises(ValueError, match="every mode"):
        figures(rows, ["low", "high"])


@pytest.mark.parametrize(
    ("difference", "higher", "lower"),
    [
        (Interval(0.1, 0.05, 0.15), "better", "worse"),
        (Interval(-0.1, -0.15, -0.05), "worse", "better"),
        (Interval(0.1, -0.01, 0.2), "no clear difference", "no clear difference"),
        (Interval(0.0, 0.0, 0.0), "no clear difference", "no clear difference"),
    ],
)
def test_a_verdict_needs_an_interval_beyond_nothing(difference: Interval, higher: str, lower: str) -> None:
    assert verdict(difference, higher_is_better=True) == higher
    assert verdict(difference, higher_is_better=False) == lower


def test_intervals_are_told_in_points() -> None:
    assert Interval(0.125, -0.01, 0.3).shown() == "12.5 (-1.0 to 30.0)"
    assert Interval(0.125, -0.01, 0.3).shown(signed=True) == "+12.5 (-1.0 to +30.0)"
