"""Steps of several texts in one pool: their order, who gets all threads, failures, and leaving early."""

import os
import threading
from collections.abc import Iterable, Iterator
from functools import partial

import pytest

from server.engines.base import WAITING, Waiting
from server.engines.piper.turns import MOST_AT_ONCE, Step, Turns, at_once


def given(results: Iterable[int | Waiting]) -> list[int]:
    return [result for result in results if not isinstance(result, Waiting)]


def following(results: Iterator[int | Waiting]) -> int:
    return next(result for result in results if not isinstance(result, Waiting))


class Steps:
    """Steps that give their number, note whether they were alone, and each begin when a test lets them."""

    def __init__(self, count: int, *, held: bool = False) -> None:
        self.count = count
        self.begun: list[int] = []
        self.alone: list[bool] = []
        self.taken = 0
        self.go = threading.Semaphore(0 if held else count)

    def __iter__(self) -> Iterator[Step[int]]:
        for number in range(self.count):
            self.taken += 1
            yield partial(self._compute, number)

    def _compute(self, number: int, alone: bool) -> int:
        assert self.go.acquire(timeout=10)
        self.begun.append(number)
        self.alone.append(alone)
        return number


def test_results_come_in_the_order_of_the_steps() -> None:
    steps = Steps(20)
    with Turns(4).text(iter(steps)) as text:
        assert given(text) == list(range(20))
    assert sorted(steps.begun) == list(range(20))


def test_a_text_without_steps_gives_nothing() -> None:
    with Turns(2).text(iter(Steps(0))) as text:
        assert given(text) == []


def test_the_first_step_of_a_text_alone_has_all_threads_and_so_has_a_last_one_with_nothing_beside_it() -> None:
    turns = Turns(2)
    for count, alone in ((1, [True]), (2, [True, True]), (3, [True, False, False])):
        steps = Steps(count)
        with turns.text(iter(steps)) as text:
            given(text)
        assert steps.alone == alone


def test_steps_are_taken_as_their_turn_comes_near() -> None:
    steps = Steps(10)
    with Turns(2).text(iter(steps)) as text:
        assert steps.taken == 2  # the first, and whether there is another
        results = iter(text)
        assert following(results) == 0
        assert steps.taken == 2  # nothing is begun before the first has gone out
        assert following(results) == 1
        assert steps.taken == 5


def test_several_texts_share_the_threads() -> None:
    turns = Turns(4)
    first, second = Steps(9), Steps(9)
    with turns.text(iter(first)) as one:
        assert (turns.share, turns.alone) == (4, True)
        with turns.text(iter(second)) as two:
            assert (turns.share, turns.alone) == (2, False)
            assert given(two) == list(range(9))
            with turns.text(iter(Steps(0))), turns.text(iter(Steps(0))), turns.text(iter(Steps(0))):
                assert turns.share == 1
        assert turns.share == 4
        assert given(one) == list(range(9))
    assert second.alone == [False] * 9


def test_a_text_waits_for_one_step_of_each_before_it_and_not_for_whole_texts() -> None:
    turns = Turns(1)
    long, short = Steps(3, held=True), Steps(1)
    with turns.text(iter(long)) as one, turns.text(iter(short)) as two:
        results = iter(one)
        long.go.release()
        assert following(results) == 0
        assert given(two) == [0]  # while the second step of the long text has not begun, or is held
        long.go.release(2)
        assert given(results) == [1, 2]


def test_a_step_that_fails_fails_its_own_text_at_its_place() -> None:
    turns = Turns(2)

    def broken(_: bool) -> int:
        raise ValueError("broken")

    def steps() -> Iterator[Step[int]]:
        yield lambda _: 1
        yield broken
        yield lambda _: 3

    other = Steps(5)
    with turns.text(iter(other)) as well:
        with turns.text(steps()) as ill:
            results = iter(ill)
            assert following(results) == 1
            with pytest.raises(ValueError, match="broken"):
                following(results)
        assert given(well) == list(range(5))


def test_who_leaves_early_leaves_nothing_behind() -> None:
    turns = Turns(1)
    steps = Steps(5, held=True)
    with turns.text(iter(steps)) as text:
        steps.go.release()
        assert following(iter(text)) == 0
        steps.go.release(4)  # what is under way is waited for
    begun = list(steps.begun)
    assert begun in ([0], [0, 1])
    with turns.text(iter(Steps(1))) as after:
        assert turns.alone
        assert given(after) == [0]
    assert steps.begun == begun


def test_who_waits_for_a_turn_can_leave_before_it_comes() -> None:
    turns = Turns(1)
    busy, waiting = Steps(1, held=True), Steps(1)
    with turns.text(iter(busy)) as first:
        with turns.text(iter(waiting)) as second:
            assert next(iter(second)) is WAITING
        assert waiting.begun == []
        busy.go.release()
        assert given(first) == [0]
    assert waiting.begun == []


def test_an_iterator_that_fails_at_once_is_no_text() -> None:
    turns = Turns(2)
    failing = map(partial(getattr, 1), ["no_such_step"])
    with pytest.raises(AttributeError), turns.text(failing):
        pass
    with turns.text(iter(Steps(1))):
        assert turns.alone


def test_as_many_steps_at_once_as_there_are_cores_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, steps in ((1, 1), (2, 2), (64, MOST_AT_ONCE)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert at_once(0) == steps
    assert (at_once(3), at_once(99)) == (3, MOST_AT_ONCE)
