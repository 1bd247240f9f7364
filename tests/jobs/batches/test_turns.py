"""Whose turn it is: of lines, of batches, and of accounts."""

from collections import Counter

import pytest

from server.jobs.batches.claims import Waiting
from server.jobs.batches.pending import ALONE, AMONG_OTHERS, Pending
from server.jobs.batches.turns import MOST_ACTIVE, MOST_OF_ONE, next_of
from server.jobs.batches.window import MOST_BYTES, Window


def anywhere(model: str, line: int) -> bool:  # the models of a test have room
    return bool(model and line)


def waiting(number: int, account: str) -> Waiting:
    return Waiting(number, f"batch_{number}", account, 0)


def test_the_account_with_the_fewest_goes_first_then_the_oldest() -> None:
    found = [waiting(1, "ada"), waiting(2, "ada"), waiting(3, "bob")]
    assert next_of(found, []) == found[0]
    assert next_of(found[1:], ["ada"]) == found[2]
    assert next_of(found[1:], ["ada", "bob"]) == found[1]
    assert next_of([], ["ada"]) is None
    assert next_of(found, ["ada"] * MOST_OF_ONE) == found[2]
    assert next_of(found[:2], ["ada"] * MOST_OF_ONE) is None
    assert next_of(found, [f"account {number}" for number in range(MOST_ACTIVE)]) is None


def test_lines_come_in_the_file_s_order_as_far_as_their_models_have_room() -> None:
    pending = Pending([(1, "a"), (2, "b"), (3, "a")])
    assert pending.take(lambda model, _: model == "b") == 2
    assert [pending.take(anywhere) for _ in range(3)] == [1, 3, None]
    pending.put_back(1, "a")
    assert (len(pending), list(pending.models)) == (1, ["a"])
    assert pending.take(anywhere) == 1


def test_a_line_that_breaks_things_comes_last_then_alone_then_never() -> None:
    pending = Pending([(1, "a"), (2, "a"), (3, "a")])
    assert pending.take(anywhere) == 1
    assert pending.failed(1, "a")
    assert [pending.take(anywhere) for _ in range(3)] == [2, 3, 1]
    for _ in range(AMONG_OTHERS - 2):
        assert pending.failed(1, "a")
        assert pending.alone() is None
        assert pending.take(anywhere) == 1
    assert pending.failed(1, "a")
    pending.put_back(2, "a")
    assert pending.alone() is None, "others come first"
    assert pending.take(anywhere) == 2
    for _ in range(ALONE - 1):
        assert pending.take(anywhere) is None
        assert pending.alone() == 1
        pending.take_alone()
        assert pending.failed(1, "a")
    pending.take_alone()
    pending.put_back(1, "a")  # a model that was not there says nothing of the line
    assert pending.alone() == 1
    pending.take_alone()
    assert not pending.failed(1, "a")
    assert len(pending) == 0


@pytest.mark.parametrize(
    ("places", "accounts", "shares"),
    [(32, "a", [40]), (32, "aab", [10, 10, 20]), (1, "abc", [2, 2, 2]), (8, "ab", [5, 5]), (0, "a", [2])],
)
def test_places_are_shared_among_accounts_and_then_among_their_batches(
    places: int, accounts: str, shares: list[int]
) -> None:
    window = Window(lambda _: places)
    batches = [window.share(account, lambda: None) for account in accounts]
    for batch in batches:
        batch.wanted = ["m"]
        batch.__enter__()
    assert [window.most(batch, "m") for batch in batches] == shares
    batches[0].wanted = []
    if len(batches) > 1:
        alone = Counter(accounts)[accounts[-1]] == len(accounts)
        assert alone or window.most(batches[-1], "m") >= shares[-1]


def test_the_bytes_of_all_lines_are_bounded_but_one_may_be_longer() -> None:
    woken = []
    window = Window(lambda _: 8)
    with window.share("ada", lambda: woken.append("ada")) as ada, window.share("bob", lambda: None) as bob:
        assert ada.room("m", 2 * MOST_BYTES)
        bob.begin("m", MOST_BYTES - 10)
        assert ada.room("m", 10)
        assert not ada.room("m", 11)
        bob.end("m", MOST_BYTES - 10)
        assert woken == ["ada"]
        assert ada.room("m", 11)


def test_a_line_s_end_wakes_those_alone_who_may_begin_one() -> None:
    woken: list[str] = []
    window = Window(lambda _: 8)
    shares = {name: window.share(name, lambda name=name: woken.append(name)) for name in "abcd"}  # type: ignore[misc]
    for share in shares.values():
        share.wanted = ["m"]
        share.__enter__()
    shares["d"].wanted = ["n"]
    for _ in range(3):  # their part of ten places
        shares["a"].begin("m", 1)
        shares["b"].begin("m", 1)
    shares["c"].begin("m", 1)
    shares["a"].end("m", 1)
    assert woken == ["c"], "b has its part, and d wants another model"
    shares["a"].wanted = []
    shares["a"].end("m", 1)
    assert woken == ["c", "b", "c"], "the two share what the first wants no more"
    window.leave(shares["a"])
    assert woken[3:] == ["b", "c", "d"]
