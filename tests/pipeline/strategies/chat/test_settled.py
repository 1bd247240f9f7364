"""When the vote of drafts is settled, so that those that are still being written can be given up."""

import pytest

from server.pipeline.strategies.chat.settled import is_settled, majority_stays


@pytest.mark.parametrize(
    ("first", "second", "probability"),
    [
        (0, 0, 0.5),
        (1, 1, 0.5),
        (1, 0, 0.75),
        (2, 0, 0.875),
        (3, 0, 0.9375),
        (4, 0, 0.96875),
        (4, 1, 57 / 64),
        (3, 3, 0.5),
        (1, 2, 5 / 16),
    ],
)
def test_how_probably_a_majority_stays(first: int, second: int, probability: float) -> None:
    assert majority_stays(first, second) == pytest.approx(probability, abs=1e-12)


def test_the_sum_of_binomials_is_the_beta_distributions_upper_half() -> None:
    for first, second in ((5, 2), (7, 3), (16, 15)):
        steps = 20_000
        shares = [(step + 0.5) / steps for step in range(steps)]
        density = [share**first * (1 - share) ** second for share in shares]
        assert majority_stays(first, second) == pytest.approx(sum(density[steps // 2 :]) / sum(density), abs=1e-3)


A, B, C, NONE = "a", "b", "c", None


@pytest.mark.parametrize(
    ("votes", "sure", "settled"),
    [
        ([], 0.9, False),
        ([A], 0.75, False),  # nobody agrees with it
        ([A, A], 0.875, True),
        ([A, A], 0.9, False),
        ([A, A, A], 0.9, True),
        ([A, A, A], 0.95, False),
        ([A, A, A, A], 0.95, True),
        ([A, A, A, A, B], 0.9, False),
        ([A, A, B, B], 0.5, True),  # a tie, for whom a tie is sure enough
        ([A, A, B, B], 0.51, False),
        ([A, A, B, C], 0.65, True),  # of several others the largest counts: 2 against 1
        ([A, A, NONE, NONE], 0.87, True),
        ([A, A, NONE, NONE, NONE], 0.5, False),  # fewer than half can be compared
        ([NONE, NONE, NONE, NONE], 0.5, False),
        ([A, A, A, A, A], 0.99, True),  # the three others of eight can't overtake it
        ([A, A, A, A, NONE], 0.99, True),
        ([A, A, A, NONE, NONE], 0.99, False),
    ],
)
def test_votes_settle_it_where_their_majority_stays(votes: list[str | None], sure: float, settled: bool) -> None:
    assert is_settled(votes, 8, sure) is settled


def test_whoever_wants_all_drafts_waits_for_all() -> None:
    assert not is_settled([A] * 7, 8, sure=1)
    assert is_settled([A] * 8, 8, sure=1)


def test_enough_drafts_settle_it_however_they_vote() -> None:
    assert not is_settled([A, B, NONE], 8, sure=0.9, enough=4)
    assert is_settled([A, B, NONE, C], 8, sure=0.9, enough=4)
    assert is_settled([A, B], 8, sure=1, enough=2)


def test_a_lead_that_the_rest_cannot_make_up_settles_it() -> None:
    assert is_settled([A, A], 3, sure=0.99)
    assert not is_settled([A, A], 4, sure=0.99)
    assert is_settled([A, A, A, B], 5, sure=0.99)
    assert not is_settled([A, A, NONE], 5, sure=0.99)
