"""What is counted of Whisper's fallback, and the recordings that it is counted on."""

from math import inf

import numpy as np
import pytest

from scripts.quality.clips import RATE
from scripts.quality.fallback import Count, Heard, Rung, counts, unbounded
from scripts.quality.recordings import recording
from scripts.quality.sentences import PLAIN
from server.engines.whisper.bounded import Ladder
from server.engines.whisper.fallback import WHISPER, Budget, Hearing, next_temperature


def heard(*windows: list[Rung]) -> Heard:
    return Heard(kind="noisy", mode="high", audio=5.0, words=20, errors=4, seconds=1.0, windows=list(windows))


def test_a_temperature_wins_what_the_first_hearing_got_wrong() -> None:
    found = counts(
        [
            heard([Rung(0.0, 30, taken=True, errors=5)]),
            heard([Rung(0.0, 224, taken=False, errors=90), Rung(0.2, 40, taken=True, errors=8)]),
            heard([Rung(0.0, 30, taken=True, errors=9), Rung(0.2, 35, taken=False, errors=7)]),
            heard([Rung(0.0, 30, taken=False, errors=6), Rung(0.2, 35, taken=True, errors=7)]),
        ]
    )
    assert found[:3] == [Count(0.0, 4, 314, 2, 0), Count(0.2, 3, 110, 2, 81), Count(0.4, 0, 0, 0, 0)]
    assert [one.temperature for one in found] == list(WHISPER)


def test_unbounded_is_the_whole_ladder() -> None:
    found: list[Hearing] = []
    with unbounded():
        budget = Budget(1.0)
        while (temperature := next_temperature(found, Ladder(1.0), budget)) is not None:
            found.append(
                Hearing(
                    temperature=temperature,
                    sample=0,
                    text="No no.",
                    tokens=9,
                    whole=True,
                    logprob=-1.5,
                    compression=3.0,
                    no_speech=0.1,
                )
            )
            budget.spend(found[-1])
        assert budget.left == inf
    assert [one.temperature for one in found] == list(WHISPER)
    assert next_temperature(found[:2], WHISPER, Budget(1.0)) is None


def test_a_recording_holds_the_sentences_that_it_says() -> None:
    made = recording("accented", 8.0, 5)
    again = recording("accented", 8.0, 5)
    assert 8.0 <= made.sound.size / RATE < 16.0
    assert np.abs(made.sound).max() == pytest.approx(0.7)
    assert made.text == again.text != recording("accented", 8.0, 6).text
    assert all(sentence + "." in {*PLAIN} for sentence in made.text.rstrip(".").split(". "))
