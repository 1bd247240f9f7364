"""What `scripts/bench` makes of rounds: figures, spreads, ratios, verdicts."""

from typing import Any

import pytest

from scripts.benchmarks.figures import Figures, Spread, from_harness, ratio, verdict


def result(**changes: Any) -> dict[str, Any]:
    """Two requests: a chunk with the role only, then the tokens, as both servers stream them."""
    return {
        "completed": 2,
        "num_prompts": 2,
        "errors": ["", ""],
        "ttfts": [0.010, 0.200],
        "itls": [[0.100, 0.020, 0.020], [0.002, 0.030, 0.050]],
        "output_lens": [3, 3],
        "output_throughput": 42.0,
    } | changes


def test_the_first_token_is_not_the_chunk_that_names_the_role() -> None:
    figures = from_harness(result())
    assert figures.ttft == pytest.approx((110 + 202) / 2)
    assert figures.itl == pytest.approx((20 + 40) / 2)
    assert figures.throughput == 42.0
    assert 20 < figures.gap_p99 <= 50


@pytest.mark.parametrize("change", [{"completed": 1}, {"errors": ["", "Service Unavailable"]}])
def test_a_round_with_a_failed_request_is_no_round(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="requests were answered"):
        from_harness(result(**change))


def test_an_answer_that_ends_before_its_first_token_is_no_answer() -> None:
    with pytest.raises(ValueError, match="1 of 2 answers ended before their first token"):
        from_harness(result(itls=[[0.100, 0.020, 0.020], []]))


def test_a_spread_tells_median_and_range() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0, 3)
    assert Spread.of([3.0, 1.0, 2.0]).shown() == "2.0 (1.0–3.0)"
    assert Spread.of([1.5]).shown(2) == "1.50"
    with pytest.raises(ValueError, match="no round"):
        Spread.of([])


def test_ratios_are_taken_round_by_round() -> None:
    assert ratio([100.0, 50.0], [50.0, 25.0]) == Spread(2.0, 2.0, 2.0, 2)
    with pytest.raises(ValueError, match="argument 2"):
        ratio([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("low", "median", "high", "words"),
    [
        (1.03, 1.05, 1.08, "faster in every round"),
        (0.90, 0.95, 0.97, "slower in every round"),
        (0.97, 1.00, 1.04, "the same within 2%"),
        (0.90, 1.10, 1.30, "not clear: the rounds contradict each other"),
    ],
)
def test_a_verdict_needs_every_round(low: float, median: float, high: float, words: str) -> None:
    assert verdict(Spread(median, low, high, 5)) == words


def test_figures_are_plain_numbers() -> None:
    assert from_harness(result()) == from_harness(result())
    assert isinstance(from_harness(result()), Figures)
