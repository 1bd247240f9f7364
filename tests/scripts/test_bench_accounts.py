"""`scripts/bench accounts`: its load and its figures."""

from pathlib import Path

import pytest

from scripts.benchmarks.account_steps import STEPS, measure_steps
from scripts.benchmarks.accounts import Load
from scripts.benchmarks.figures import Times


def test_requests_come_at_the_stated_rate_and_alike_for_both_servers() -> None:
    load = Load(rate=200, seconds=20, pause=0)
    arrivals = load.arrivals(seed=7)
    assert arrivals == load.arrivals(seed=7)
    assert arrivals != load.arrivals(seed=8)
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] < 20
    assert 3700 < len(arrivals) < 4300


def test_times_are_told_in_milliseconds() -> None:
    seconds = [n / 1000 for n in range(1, 102)]
    assert Times.of(seconds) == Times(median=51, p99=100)


@pytest.mark.anyio
async def test_each_step_of_each_request_is_timed(tmp_path: Path) -> None:
    load = Load(rate=500, seconds=0.1, pause=0.001)
    samples = await measure_steps(tmp_path / "data", load, rounds=2)
    assert len(samples) == len(load.arrivals(1000)) + len(load.arrivals(1001))
    assert all(set(sample) == set(STEPS) and min(sample.values()) > 0 for sample in samples)
