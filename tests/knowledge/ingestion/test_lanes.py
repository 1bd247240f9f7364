"""Which document is begun next."""

from server.knowledge.claims import Waiting
from server.knowledge.lanes import MOST, PATIENCE, SMALL, UnderWay, next_of, wait_of

NOW = 1000.0
LONG_AGO, JUST_NOW = NOW - PATIENCE, NOW - PATIENCE / 2


def waiting(number: int, account: str = "anna", size: int = 10) -> Waiting:
    return Waiting(number, f"doc_{number}", 1, account, None, "a.txt", size, 0, None)


def chosen(*able: Waiting, under_way: tuple[UnderWay, ...] = (), turns: dict[str, float] | None = None) -> int | None:
    one = next_of(able, under_way, turns or {}, NOW)
    return None if one is None else one.number


def test_the_oldest_where_nothing_is_under_way() -> None:
    assert chosen() is None
    assert chosen(waiting(1), waiting(2)) == 1


def test_accounts_take_turns() -> None:
    many = [waiting(number) for number in range(1, 100)]
    assert chosen(*many, waiting(100, "bert"), turns={"anna": 5.0}) == 100, "who had no turn yet"
    assert chosen(*many, waiting(100, "bert"), turns={"anna": 5.0, "bert": 6.0}) == 1


def test_what_was_just_begun_may_be_done_at_once() -> None:
    assert chosen(waiting(2), under_way=(UnderWay("bert", 10, JUST_NOW),)) is None
    assert chosen(waiting(2), under_way=(UnderWay("bert", 10, LONG_AGO),)) == 2


def test_a_small_one_waits_for_no_book_and_a_book_for_no_other() -> None:
    book = UnderWay("bert", SMALL + 1, LONG_AGO)
    assert chosen(waiting(2, size=SMALL + 1), under_way=(book,)) is None
    assert chosen(waiting(2, size=SMALL + 1), waiting(3, size=SMALL), under_way=(book,)) == 3
    assert chosen(waiting(2, size=SMALL + 1), under_way=(UnderWay("bert", SMALL, LONG_AGO),)) == 2


def test_one_account_has_two_under_way_and_all_have_four() -> None:
    two = (UnderWay("anna", 10, LONG_AGO),) * 2
    assert chosen(waiting(3), waiting(4, "bert"), under_way=two) == 4
    full = tuple(UnderWay(f"acct_{number}", 10, LONG_AGO) for number in range(MOST))
    assert chosen(waiting(9), under_way=full) is None


def test_how_long_nothing_changes_by_itself() -> None:
    assert wait_of([], NOW) is None
    assert wait_of([UnderWay("anna", 10, LONG_AGO)], NOW) is None
    assert wait_of([UnderWay("anna", 10, JUST_NOW), UnderWay("anna", 10, LONG_AGO)], NOW) == PATIENCE / 2
