"""Measures of orders, by numbers worked out by hand."""

from math import log2

import pytest

from scripts.retrieval.measures import compared, distinct, ndcg, recall


def test_the_best_order_is_worth_one() -> None:
    assert ndcg(["a", "b"], {"a": 2, "b": 1}) == 1
    assert recall(["b", "a"], {"a": 2, "b": 1}) == 1


def test_places_and_grades_count() -> None:
    best = 3 + 1 / log2(3)
    assert ndcg(["b", "x", "a"], {"a": 2, "b": 1}) == pytest.approx((1 + 3 / log2(4)) / best)
    assert ndcg(["x"] * 10 + ["a"], {"a": 2}) == 0
    assert recall(["x"] * 10 + ["a"], {"a": 2}) == 0
    assert recall(["a", "x"], {"a": 2, "b": 2}) == 0.5
    assert recall(["b"], {"a": 2, "b": 1}) == 0


def test_what_nothing_answers_is_no_question() -> None:
    with pytest.raises(ValueError, match="no passage"):
        ndcg(["a"], {})
    with pytest.raises(ValueError, match="no passage"):
        recall(["a"], {"a": 1})


def test_the_best_chunk_of_a_passage_counts() -> None:
    assert distinct(["a", "b", "a", "c", "b"]) == ["a", "b", "c"]


def test_ways_are_compared_on_the_same_draws() -> None:
    """Whatever the draw, one way is better by a tenth: its interval has no width, while the means' have."""
    one = [0.1 * n for n in range(8)]
    made = compared({"better": [score + 0.1 for score in one], "worse": one}, [("better", "worse")])
    difference = made.differences["better", "worse"]
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    assert made.means["worse"].low < made.means["worse"].mean < made.means["worse"].high
