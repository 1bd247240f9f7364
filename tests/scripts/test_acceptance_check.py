"""What `scripts/gpu_acceptance` expects of a figure, and what it makes of several."""

import math

import pytest

from scripts.acceptance.check import Figure, Outcome, Status, judge, plain
from scripts.acceptance.table import CHECKS, ordered


@pytest.mark.parametrize(
    ("figure", "missed"),
    [
        (Figure("ratio", 0.95, least=0.95), None),
        (Figure("ratio", 0.94, least=0.95), "ratio: 0.94, expected at least 0.95"),
        (Figure("start", 12.5, "s", most=120), None),
        (Figure("start", 121.0, "s", most=120), "start: 121 s, expected at most 120"),
        (Figure("held", 1.2, least=0.9, most=1.1), "held: 1.2, expected at most 1.1"),
        (Figure("lost", 0, most=0), None),
        (Figure("ratio", math.nan, least=0.95), "ratio: nan, expected at least 0.95"),
        (Figure("ratio", math.inf, most=1.1), "ratio: inf, expected at most 1.1"),
        (Figure("until free", "never", "s", most=5), "until free: never, where a number is expected"),
        (Figure("capital", "Tokyo", wanted="Tokyo"), None),
        (Figure("capital", "Kyoto", wanted="Tokyo"), "capital: Kyoto, not Tokyo"),
        (Figure("driver", "580.65.06"), None),
    ],
)
def test_a_figure_is_held_against_what_is_expected(figure: Figure, missed: str | None) -> None:
    assert figure.missed == missed


def test_expectations_are_told_as_they_are_meant() -> None:
    assert Figure("a", 1.0, least=0.9, most=1.1).bounds == "≥ 0.9, ≤ 1.1"
    assert Figure("a", 1.0, most=5).bounds == "≤ 5"
    assert Figure("a", "yes", wanted="yes").bounds == "yes"
    assert Figure("a", 1.0).bounds == ""
    assert [plain(value) for value in (0.9534, 12.345, 8190.4, 3.0)] == ["0.953", "12.3", "8190", "3"]


def test_one_missed_figure_fails_the_check_and_is_its_reason() -> None:
    good, bad, worse = Figure("a", 1.0, most=2), Figure("b", 3.0, most=2), Figure("c", "no", wanted="yes")
    assert judge("x", [good], 1.0).status is Status.PASSED
    failed = judge("x", [good, bad, worse], 1.0, ["a note"])
    assert failed.status is Status.FAILED
    assert failed.reason == "b: 3, expected at most 2; c: no, not yes"
    assert failed.notes == ("a note",)


def test_a_check_that_measured_nothing_has_not_passed() -> None:
    assert judge("x", [], 1.0).status is Status.FAILED


def test_an_outcome_survives_its_journey_as_json() -> None:
    outcome = judge("x", [Figure("a", 1.0, "s", most=2), Figure("b", "no", wanted="yes")], 1.5, ["noted"])
    assert Outcome.from_dict(outcome.as_dict()) == outcome


def test_every_check_stands_once_in_both_orders() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert sorted(check.name for check in ordered(gpu=False)) == sorted(names)
    assert ordered(gpu=True) == CHECKS


def test_on_a_processor_nothing_needs_the_stand_that_the_kill_has_ended() -> None:
    here = ordered(gpu=False)
    after = here[[check.name for check in here].index("kill") + 1 :]
    assert not {check.stand for check in after} & {"starters", "shared"}
