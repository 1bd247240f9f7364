"""`scripts/bench gaps`: which waits count, and what its table makes of them."""

import io

import pytest
from rich.console import Console

from scripts.benchmarks.gaps import Heard, table, waits


def test_a_wait_counts_in_the_time_in_which_it_ends() -> None:
    """One that began before a long prompt came and ended after it has waited for that prompt."""
    times = [[0.0, 1.0, 3.5, 4.0], [0.5, 2.5], [], [3.0]]
    assert waits(times, 0.5, 3.0) == [1.0, 2.0]
    assert waits(times, 3.0, 9.0) == [2.5, 0.5]


def test_the_table_tells_waits_in_milliseconds_and_in_steps() -> None:
    heard = [
        Heard("ours", [0.02, 0.03, 0.04], [0.03, 0.06, 0.09], [1.0], [2.0]),
        Heard("ours", [0.04, 0.04, 0.04], [0.04, 0.08, 0.20], [1.0], [3.0]),
        Heard("theirs", [0.05, 0.05], [0.05, 0.15], [1.5, 2.5], [4.0]),
    ]
    told = io.StringIO()
    Console(width=320, file=told).print(table(heard))
    ours, theirs = (next(line for line in told.getvalue().splitlines() if side in line) for side in ("ours", "theirs"))
    for cell in (
        "35 (30–40)",
        "70 (60–80)",
        "145 (90–200)",
        "2.00 (2.00–2.00)",
        "4.00 (3.00–5.00)",
        "2.50 (2.00–3.00)",
        "33 (33–33)",
    ):
        assert cell in ours
    assert "100" in theirs
    assert "2.00" in theirs


def test_a_step_is_the_usual_wait_without_a_long_prompt() -> None:
    assert Heard("ours", [0.02, 0.5, 0.03], [1.0], [], []).step == pytest.approx(0.03)
