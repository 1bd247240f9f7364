"""Pieces of one job that are worked on at the same time, and what becomes of their results."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from server.engines import cancellation
from server.engines.whisper.ahead import ahead


@dataclass
class Number:
    number: int
    last: bool = False
    may_end: threading.Event = field(default_factory=threading.Event)


def _gives_up() -> Iterator[int]:
    raise cancellation.GivenUp


def numbers(count: int) -> list[Number]:
    return [Number(i, last=i == count - 1) for i in range(count)]


def test_a_piece_alone_is_worked_on_in_the_callers_thread() -> None:
    def work(_: Number) -> Iterator[object]:
        yield threading.current_thread()

    assert list(ahead(iter([None, Number(0, last=True)]), work, 4)) == [None, threading.current_thread()]


def test_results_come_in_the_order_of_the_pieces() -> None:
    pieces = numbers(3)

    def work(piece: Number) -> Iterator[str]:
        if piece.last:
            pieces[0].may_end.set()
        else:
            assert piece.may_end.wait(10)
            pieces[1].may_end.set()
        yield f"{piece.number}a"
        yield f"{piece.number}b"

    # The first ends only when the last has begun, and the second after that.
    found = [result for result in ahead(iter(pieces), work, 3) if result is not None]
    assert found == ["0a", "0b", "1a", "1b", "2a", "2b"]


def test_no_more_are_in_work_than_there_is_room_for() -> None:
    begun: list[int] = []

    def work(piece: Number) -> Iterator[int]:
        begun.append(piece.number)
        yield piece.number

    def pieces() -> Iterator[Number]:
        for piece in numbers(5):
            assert len(begun) <= piece.number
            yield piece

    assert [result for result in ahead(pieces(), work, 1) if result is not None] == [0, 1, 2, 3, 4]
    assert begun == [0, 1, 2, 3, 4]


def test_what_one_raises_comes_in_its_place() -> None:
    def work(piece: Number) -> Iterator[int]:
        yield piece.number
        if piece.number == 1:
            raise LookupError("the second")

    results = (result for result in ahead(iter(numbers(3)), work, 3) if result is not None)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(LookupError, match="the second"):
        next(results)


def test_whoever_leaves_early_leaves_no_work_behind() -> None:
    ended: list[int] = []

    def work(piece: Number) -> Iterator[int]:
        yield piece.number
        if piece.number:
            while not cancellation.given_up():
                threading.Event().wait(0.001)
        ended.append(piece.number)
        raise cancellation.GivenUp

    results = ahead(iter(numbers(4)), work, 4)
    assert next(result for result in results if result is not None) == 0
    results.close()  # type: ignore[attr-defined]
    assert sorted(ended) == [0, 1, 2, 3][: len(ended)]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("window")]


def test_a_job_that_is_given_up_waits_no_longer() -> None:
    gave_up = threading.Event()

    def work(_: Number) -> Iterator[int]:
        gave_up.set()
        while not cancellation.given_up():
            threading.Event().wait(0.001)
        yield from _gives_up()

    with cancellation.asking(gave_up.is_set), pytest.raises(cancellation.GivenUp):
        list(ahead(iter(numbers(2)), work, 2))
