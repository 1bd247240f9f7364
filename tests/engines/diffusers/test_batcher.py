"""Jobs that share the runs of a pipeline: whose pictures are in which run, and what becomes of who leaves or fails.

The pipeline is a function of the test's; nothing is drawn.
"""

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from server.engines.base import WAITING
from server.engines.diffusers import batcher
from server.engines.diffusers.batcher import Batch, Batcher, Member, NoRoom
from server.errors import EngineFailed, InvalidRequest, Overloaded

LONG = 60.0
"""Seconds that no test takes."""


@dataclass(frozen=True)
class Asked:
    name: str
    count: int = 1
    company: str = "like"
    kind: str = "pipeline"
    pixels: int = 100


class Easel:
    """A batcher whose runs are written down, and wait for `go` where the test says so."""

    def __init__(self, most: int = 4, pixels: float = 400, pause: float = 0.0) -> None:
        self.runs: list[str] = []
        self.held = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self.breaks: Callable[[Batch], None] = lambda _: None
        self.batcher = Batcher(self._draw, most, pixels, pause=pause, longest_pause=pause)

    def _draw(self, batch: Batch) -> None:
        self.runs.append(" ".join(f"{row.member.asked.name}{row.index}" for row in batch.rows))
        self.held.set()
        assert self.go.wait(LONG)
        self.breaks(batch)
        for place in batch.attend():
            row = batch.rows[place]
            row.member.give(f"{row.member.asked.name}{row.index}")

    def drawn(self, asked: Asked) -> list[str]:
        return self.worked(self.batcher.announce(asked))

    def worked(self, member: Member) -> list[str]:
        return [event for event in self.batcher.work(member) if event is not None and event is not WAITING]

    @contextmanager
    def together(self, *asked: Asked) -> Generator[list[Future[list[str]]]]:
        """All of these are waiting when the run of another job, x, is over. What they get, in their order."""
        self.go.clear()
        with ThreadPoolExecutor(len(asked) + 1) as threads:
            first = threads.submit(self.drawn, Asked("x", company="another"))
            assert self.held.wait(LONG)
            found: list[Future[list[str]]] = []
            for one in asked:
                found.append(threads.submit(self.drawn, one))
                self.until_waiting(len(found))
            self.go.set()
            yield found
            first.result(LONG)

    def until_waiting(self, count: int) -> None:
        with self.batcher._changed:
            assert self.batcher._changed.wait_for(lambda: len(self.batcher._waiting) >= count, LONG)


def test_who_waits_together_is_drawn_together() -> None:
    easel = Easel()
    with easel.together(Asked("a"), Asked("b"), Asked("c")) as found:
        assert [one.result(LONG) for one in found] == [["a0"], ["b0"], ["c0"]]
    assert easel.runs == ["x0", "a0 b0 c0"]


def test_others_do_not_share_and_wait_for_their_own_run() -> None:
    easel = Easel()
    with easel.together(Asked("a"), Asked("b", company="large"), Asked("c"), Asked("d", company="large")) as found:
        assert [one.result(LONG) for one in found] == [["a0"], ["b0"], ["c0"], ["d0"]]
    assert easel.runs == ["x0", "a0 c0", "b0 d0"]


def test_a_large_job_shares_each_of_its_runs() -> None:
    easel = Easel(most=4)
    with easel.together(Asked("a", count=9), Asked("b"), Asked("c", count=2)) as found:
        assert [one.result(LONG) for one in found] == [[f"a{index}" for index in range(9)], ["b0"], ["c0", "c1"]]
    assert easel.runs == ["x0", "a0 a1 b0 c0", "c1 a2 a3 a4", "a5 a6 a7 a8"]


def test_a_job_of_one_waits_for_one_run_of_a_job_of_a_hundred() -> None:
    easel = Easel(most=4)
    with easel.together(Asked("a", count=100), Asked("b", company="large")) as found:
        found[0].result(LONG)
    assert easel.runs[:4] == ["x0", "a0 a1 a2 a3", "b0", "a4 a5 a6 a7"]


@pytest.mark.parametrize(("pixels", "runs"), [(50, 4), (100, 4), (101, 3), (200, 2), (399, 1), (1000, 1)])
def test_larger_pictures_make_smaller_batches(pixels: int, runs: int) -> None:
    easel = Easel(most=4, pixels=400)
    assert len(easel.drawn(Asked("a", count=4, pixels=pixels))) == 4
    assert len(easel.runs[0].split()) == runs


def test_a_job_alone_waits_for_nobody() -> None:
    easel = Easel(pause=LONG)
    assert easel.drawn(Asked("a")) == ["a0"]


def test_a_run_waits_for_jobs_that_were_read_and_are_coming() -> None:
    easel = Easel(pause=LONG)
    coming = [easel.batcher.announce(Asked(name)) for name in "abc"]
    with ThreadPoolExecutor(3) as threads:
        found = [threads.submit(easel.worked, member) for member in coming[:2]]
        easel.until_waiting(2)
        assert easel.runs == []
        found.append(threads.submit(easel.worked, coming[2]))
        assert [one.result(LONG) for one in found] == [["a0"], ["b0"], ["c0"]]
    assert sorted(easel.runs[0].split()) == ["a0", "b0", "c0"]
    assert len(easel.runs) == 1


def test_a_run_waits_no_longer_when_it_is_full_or_nobody_comes_any_more() -> None:
    easel = Easel(most=1, pause=LONG)
    coming = easel.batcher.announce(Asked("b"))
    assert easel.drawn(Asked("a")) == ["a0"]
    easel = Easel(pause=LONG)
    coming = easel.batcher.announce(Asked("b"))
    with ThreadPoolExecutor(1) as threads:
        found = threads.submit(easel.drawn, Asked("a"))
        easel.until_waiting(1)
        easel.batcher.withdraw(coming)
        assert found.result(LONG) == ["a0"]


# ---------------------------------------------------------------- joining


@contextmanager
def arriving(easel: Easel, total: int, *arrivals: Sequence[Asked]) -> Generator[list[Future[list[str]]]]:
    """Runs have `total` steps. Within the first step of the first run the first of these come, within that of the next
    run the next. What they get, once they have come."""
    coming = list(arrivals)
    found: list[Future[list[str]]] = []

    def steps(batch: Batch) -> None:
        for count, asked in enumerate(coming.pop(0) if coming else (), 1):
            found.append(threads.submit(easel.drawn, asked))
            easel.until_waiting(count)
        for done in range(1, total + 1):
            batch.attend()
            batch.let_join(done, total)

    easel.breaks = steps
    with ThreadPoolExecutor(4) as threads:
        yield found


@pytest.mark.parametrize(
    ("total", "company", "runs"),
    [(4, "like", ["a0", "a0 b0"]), (3, "like", ["a0", "b0"]), (4, "another", ["a0", "b0"])],
)
def test_who_comes_within_the_first_step_of_a_long_run_joins_it(total: int, company: str, runs: list[str]) -> None:
    easel = Easel()
    with arriving(easel, total, [Asked("b", company=company)]) as found:
        assert easel.drawn(Asked("a")) == ["a0"]
        assert found[0].result(LONG) == ["b0"]
    assert easel.runs == runs


def test_a_run_begins_again_only_once() -> None:
    easel = Easel()
    with arriving(easel, 9, [Asked("b")], [Asked("c")]) as found:
        assert easel.drawn(Asked("a")) == ["a0"]
        assert [one.result(LONG) for one in found] == [["b0"], ["c0"]]
    assert easel.runs == ["a0", "a0 b0", "c0"]


def test_as_many_join_as_there_is_room_for() -> None:
    easel = Easel(most=3)
    with arriving(easel, 9, [Asked("b"), Asked("c", count=2)]) as found:
        assert easel.drawn(Asked("a")) == ["a0"]
        assert [one.result(LONG) for one in found] == [["b0"], ["c0", "c1"]]
    assert easel.runs == ["a0", "a0 b0 c0", "c1"]
    easel = Easel(most=1)
    with arriving(easel, 9, [Asked("b")]) as found:
        assert easel.drawn(Asked("a")) == ["a0"]
        assert found[0].result(LONG) == ["b0"]
    assert easel.runs == ["a0", "b0"]


# ---------------------------------------------------------------- leaving


def test_who_leaves_while_waiting_is_not_drawn() -> None:
    easel = Easel()
    easel.go.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(easel.drawn, Asked("x"))
        assert easel.held.wait(LONG)
        events = easel.batcher.work(easel.batcher.announce(Asked("a")))
        assert next(events) is None
        events.close()
        easel.go.set()
        assert first.result(LONG) == ["x0"]
    assert easel.drawn(Asked("b")) == ["b0"]
    assert easel.runs == ["x0", "b0"]


def test_who_leaves_a_run_leaves_the_others_in_it() -> None:
    easel = Easel()
    left = threading.Event()

    def leave(batch: Batch) -> None:
        if len(batch.members) == 2:
            members["a"].gone = True
            there.append(batch.attend())
            left.set()

    members = {name: easel.batcher.announce(Asked(name)) for name in "ab"}
    there: list[list[int]] = []
    easel.breaks = leave
    easel.go.clear()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(easel.drawn, Asked("x", company="another"))
        assert easel.held.wait(LONG)
        leaving = easel.batcher.work(members["a"])
        assert next(leaving) is None
        staying = threads.submit(easel.worked, members["b"])
        easel.until_waiting(2)
        easel.go.set()
        assert first.result(LONG) == ["x0"]
        assert left.wait(LONG)
        leaving.close()
        assert staying.result(LONG) == ["b0"]
    assert (easel.runs, there) == (["x0", "a0 b0"], [[1]])


def test_a_run_that_everybody_has_left_ends() -> None:
    easel = Easel()
    events = easel.batcher.work(easel.batcher.announce(Asked("a")))
    easel.go.clear()
    assert WAITING in events  # it has looked on until its run began
    closing = threading.Thread(target=events.close)
    closing.start()
    easel.go.set()
    closing.join(LONG)
    assert not closing.is_alive()
    assert easel.drawn(Asked("b")) == ["b0"]


def test_only_those_whose_run_lasts_are_said_to_wait() -> None:
    easel = Easel()
    easel.go.clear()
    drawn = easel.batcher.work(easel.batcher.announce(Asked("a")))
    other = easel.batcher.work(easel.batcher.announce(Asked("b")))
    assert WAITING in drawn  # it has looked on until its run began
    assert next(other) is None
    easel.go.set()
    assert "a0" in drawn
    assert "b0" in other


def test_who_waits_for_a_run_of_others_that_takes_no_step_is_said_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else may tell of a run that hangs: its own job waits for a reader who takes nothing."""
    monkeypatch.setattr(batcher, "_TICK", 0.001)
    easel = Easel()
    begun, go_on = threading.Event(), threading.Event()

    def steps(batch: Batch) -> None:
        batch.attend()
        begun.set()
        assert go_on.wait(LONG)

    easel.breaks = steps
    easel.go.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(easel.drawn, Asked("x"))
        assert easel.held.wait(LONG)
        waiting = easel.batcher.work(easel.batcher.announce(Asked("a")))
        assert [next(waiting) for _ in range(3)] == [None, WAITING, WAITING]
        easel.go.set()
        assert begun.wait(LONG)
        assert [next(waiting) for _ in range(3)] == [None, WAITING, WAITING]
        waiting.close()
        go_on.set()
        assert first.result(LONG) == ["x0"]


# ---------------------------------------------------------------- failing


def broken_by(name: str, error: BaseException) -> Callable[[Batch], None]:
    def breaks(batch: Batch) -> None:
        if any(member.asked.name == name for member in batch.members):
            raise error

    return breaks


def test_who_breaks_a_run_fails_alone() -> None:
    easel = Easel()
    easel.breaks = broken_by("b", EngineFailed("It broke."))
    with easel.together(Asked("a"), Asked("b", count=2), Asked("c")) as found:
        assert (found[0].result(LONG), found[2].result(LONG)) == (["a0"], ["c0"])
        with pytest.raises(EngineFailed, match="It broke"):
            found[1].result(LONG)
    assert easel.runs == ["x0", "a0 b0 b1 c0", "a0", "b0 b1", "c0"]


def test_whatever_a_run_ends_by_reaches_its_job_and_the_next_one_is_drawn() -> None:
    """Also what is no Exception: a job that nobody draws would wait for ever."""

    class Ended(BaseException):
        pass

    easel = Easel()
    easel.breaks = broken_by("a", Ended())
    with pytest.raises(Ended):
        easel.drawn(Asked("a"))
    assert easel.drawn(Asked("b")) == ["b0"]


def test_one_that_fails_by_its_picture_fails_alone_and_at_once() -> None:
    easel = Easel(most=2)

    def refuse(batch: Batch) -> None:
        for member in batch.members:
            if member.asked.name == "b":
                member.fail(InvalidRequest("Not this one."))

    easel.breaks = refuse
    with easel.together(Asked("a"), Asked("b", count=5)) as found:
        assert found[0].result(LONG) == ["a0"]
        with pytest.raises(InvalidRequest, match="Not this one"):
            found[1].result(LONG)
    assert easel.runs == ["x0", "a0 b0"]


def test_a_pipeline_that_can_not_draw_several_jobs_at_once_draws_them_alone() -> None:
    easel = Easel()

    def alone(batch: Batch) -> None:
        if len(batch.members) > 1:
            raise ValueError("one prompt only")

    easel.breaks = alone
    for runs in (["x0", "a0 b0", "a0", "b0"], ["x0", "a0", "b0"]):
        easel.runs.clear()
        easel.held.clear()
        with easel.together(Asked("a"), Asked("b")) as found:
            assert [one.result(LONG) for one in found] == [["a0"], ["b0"]]
        assert easel.runs == runs


def test_a_batch_without_room_is_halved_until_it_has_it() -> None:
    easel = Easel(most=8, pixels=800)

    def two_at_most(batch: Batch) -> None:
        if len(batch.rows) > 2:
            raise NoRoom(Overloaded("Too little memory."))

    easel.breaks = two_at_most
    assert easel.drawn(Asked("a", count=5)) == [f"a{index}" for index in range(5)]
    assert easel.runs == ["a0 a1 a2 a3 a4", "a0 a1 a2", "a0 a1", "a2", "a3 a4"]
    easel.runs.clear()
    easel.drawn(Asked("b", count=3))
    assert easel.runs == ["b0 b1", "b2"]


def test_a_picture_that_has_no_room_alone_is_refused() -> None:
    easel = Easel()

    def none(batch: Batch) -> None:
        if batch.rows[0].member.asked.name == "a":
            raise NoRoom(Overloaded("Too little memory."))

    easel.breaks = none
    with pytest.raises(Overloaded, match="Too little memory"):
        easel.drawn(Asked("a", count=2))
    assert easel.drawn(Asked("b")) == ["b0"]
