"""Where a recording is cut into what Whisper hears at once."""

import numpy as np
import numpy.typing as npt
import pytest

from server.engines.whisper.handler import speaks
from server.engines.whisper.windows import FRAME, LONGEST, SHORTEST, Detector, Wave, cut
from server.media.audio_decode import RATE

WAVE: Wave = np.zeros(LONGEST, np.float32)


def speaker(*pauses: tuple[float, float], doubt: float | None = None) -> Detector:
    """Somebody speaks but for the pauses, in seconds of the window, and least surely at second `doubt`."""

    def detect(wave: Wave) -> npt.NDArray[np.float32]:
        seconds = (SHORTEST + np.arange(-(-wave.size // FRAME)) * FRAME) / RATE
        found = np.full(seconds.size, 0.9, np.float32)
        for start, end in pauses:
            found[(seconds >= start) & (seconds < end)] = 0.1
        if doubt is not None:
            found[np.argmin(abs(seconds - doubt))] = 0.6
        return found

    return detect


@pytest.mark.parametrize(
    ("pauses", "place"),
    [
        ([(25.0, 25.6)], 25.3),
        ([(20.0, 20.5), (25.0, 25.5)], 25.25),
        ([(25.0, 25.5), (29.0, 29.2)], 25.25),  # a sentence's end
        ([(20.0, 20.25), (29.0, 29.2)], 29.1),  # hardly longer, and much earlier
        ([(20.0, 26.0)], 25.5),  # of a long silence the next window gets half a second
        ([(3.0, 9.0), (24.0, 24.2)], 24.1),  # before the shortest window nobody looks
    ],
)
def test_it_is_cut_in_a_pause(pauses: list[tuple[float, float]], place: float) -> None:
    assert cut(WAVE, speaker(*pauses)) / RATE == pytest.approx(place, abs=0.05)


def test_where_nobody_pauses_it_is_cut_where_the_voice_is_least_sure() -> None:
    assert cut(WAVE, speaker(doubt=27.0)) / RATE == pytest.approx(27.0, abs=0.05)


def test_silence_is_one_window() -> None:
    assert LONGEST - RATE < cut(WAVE, speaker((0.0, 30.0))) <= LONGEST


def test_it_is_no_longer_than_the_wave() -> None:
    shorter = WAVE[: round(25.5 * RATE)]
    assert SHORTEST <= cut(shorter, speaker()) <= shorter.size
    assert cut(shorter, speaker((25.45, 26.0))) <= shorter.size


def test_the_voice_detector_says_how_sure_it_is_of_each_frame() -> None:
    found = speaks(np.zeros(10 * FRAME + 1, np.float32))
    assert found.shape == (11,)
    assert (found < 0.35).all()
