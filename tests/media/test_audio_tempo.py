"""Slower speech at the same pitch."""

import numpy as np
import pytest

from server.media.audio_decode import RATE, Samples
from server.media.audio_tempo import slowed

SECONDS = 4


def tone() -> Samples:
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(SECONDS * RATE) / RATE)).astype(np.int16)


@pytest.mark.parametrize("tempo", [0.5, 0.8])
def test_slower_is_longer_at_the_same_pitch(tempo: float) -> None:
    slow = slowed(tone(), tempo)
    assert slow.dtype == np.int16
    assert slow.size == pytest.approx(SECONDS * RATE / tempo, rel=0.01)
    assert np.abs(np.fft.rfft(slow)).argmax() * RATE / slow.size == pytest.approx(440, abs=2)


def test_what_comes_when_is_kept() -> None:
    """A beep at second 3 is at second 4 when three quarters as fast."""
    samples = np.zeros(SECONDS * RATE, np.int16)
    samples[3 * RATE : 3 * RATE + 800] = tone()[:800]
    slow = slowed(samples, 0.75)
    assert np.abs(slow.astype(int)).argmax() / RATE == pytest.approx(4.0, abs=0.1)


def test_nothing_to_do() -> None:
    samples = tone()
    assert slowed(samples, 1.0) is samples
    assert slowed(np.empty(0, np.int16), 0.5).size == 0
