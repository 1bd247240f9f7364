"""Rows of several jobs in one run, by a network that a test can hold up."""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from server.engines.embed.batcher import Batcher, Share
from server.engines.embed.network import Floats
from server.engines.embed.rows import Row


def share(*lengths: int) -> Share:
    return Share([Row(np.full(length, length, dtype=np.int64)) for length in lengths])


class Sums:
    """A network whose vector of a row is the row's length; `runs` are the lengths of each run's rows.

    open: runs pass while it is set. entered: set when one waits there.
    """

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def __call__(self, rows: Sequence[Row]) -> Floats:
        self.runs.append([len(row) for row in rows])
        self.entered.set()
        assert self.open.wait(30)
        return np.array([[len(row)] for row in rows], dtype=np.float32)


class Line(deque[Share]):
    """Who waits; `until` returns when so many more have come."""

    def __init__(self) -> None:
        super().__init__()
        self._came = threading.Semaphore(0)

    def append(self, one: Share) -> None:
        super().append(one)
        self._came.release()

    def until(self, shares: int) -> None:
        for _ in range(shares):
            assert self._came.acquire(timeout=30)


def watched(network: Sums, tokens: int) -> tuple[Batcher, Line]:
    batcher, line = Batcher(network, tokens), Line()
    batcher._waiting = line
    return batcher, line


def done(batcher: Batcher, one: Share) -> list[float]:
    for _ in batcher.work(one):
        pass
    return [float(value) for value in one.result()[:, 0]]


def test_results_are_in_the_rows_order_whatever_the_runs() -> None:
    network = Sums()
    assert done(Batcher(network, 20), share(3, 9, 1, 8, 2)) == [3, 9, 1, 8, 2]
    # The longest first, no row beside one twice as long, and no more than 20 tokens with the padding.
    assert network.runs == [[9, 8], [3, 2], [1]]


def test_a_row_longer_than_a_run_has_one_of_its_own() -> None:
    network = Sums()
    assert done(Batcher(network, 4), share(9, 3)) == [9, 3]
    assert network.runs == [[9], [3]]


def test_who_comes_while_the_network_works_goes_into_its_next_run_together() -> None:
    network = Sums()
    network.open.clear()
    batcher, line = watched(network, 100)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(done, batcher, share(5))
        assert network.entered.wait(30)
        others = [pool.submit(done, batcher, share(length)) for length in (4, 5, 6)]
        line.until(4)
        network.open.set()
        assert first.result(30) == [5]
        assert [other.result(30) for other in others] == [[4], [5], [6]]
    assert network.runs[0] == [5]
    assert sorted(network.runs[1]) == [4, 5, 6]
    assert len(network.runs) == 2


def test_a_small_job_waits_for_one_run_of_a_large_one() -> None:
    network = Sums()
    network.open.clear()
    batcher, line = watched(network, 40)
    with ThreadPoolExecutor(2) as pool:
        large = pool.submit(done, batcher, share(*[40] * 5))
        assert network.entered.wait(30)
        small = pool.submit(done, batcher, share(1))
        line.until(2)
        network.open.set()
        assert small.result(30) == [1]
        assert large.result(30) == [40] * 5
    assert network.runs.index([1]) <= 2


def test_who_leaves_takes_the_rows_along() -> None:
    network = Sums()
    batcher = Batcher(network, 4)
    work = batcher.work(share(4, 4, 4))
    next(work)
    work.close()  # type: ignore[attr-defined]
    assert done(batcher, share(2)) == [2]
    assert network.runs == [[4], [2]]


def test_a_failure_is_that_of_the_jobs_in_the_run_and_of_no_other() -> None:
    def network(rows: Sequence[Row]) -> Floats:
        if any(len(row) == 7 for row in rows):
            raise ZeroDivisionError
        return np.array([[len(row)] for row in rows], dtype=np.float32)

    batcher = Batcher(network, 100)
    with pytest.raises(ZeroDivisionError):
        done(batcher, share(7))
    assert done(batcher, share(6)) == [6]
