"""Where a recording may be cut: Whisper hears 30 seconds at once, and a window should begin and end in a pause."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from server.media.audio_decode import RATE

Wave = npt.NDArray[np.float32]
"""Mono samples at RATE, -1 to 1."""

Detector = Callable[[Wave], npt.NDArray[np.float32]]
"""The probability that somebody speaks, for each FRAME samples, the last of which may be cut short."""

LONGEST = 30 * RATE
"""Samples of the longest window: what Whisper hears at once."""

SHORTEST = 18 * RATE
"""Samples before which no window is cut: each costs the same, however little is in it."""

REST = 5 * RATE
"""Samples that are left to a recording's last window at least: of a word alone Whisper makes more than was said."""

FRAME = 512
"""Samples for each of the voice detector's probabilities."""

_SECONDS = FRAME / RATE

SILENT = 0.35
"""Probability below which nobody speaks: the voice detector's own threshold for the end of speech."""

_CLEAR = 0.5
"""Seconds of a pause beyond which a longer one is no better: then a sentence ends there."""

_LATER = 0.03
"""Seconds of pause that a second of a longer window is worth."""

_LEAD = 0.5
"""Most seconds of silence that are left to the next window."""


def cut(wave: Wave, detector: Detector) -> int:
    """Samples of the first window of a recording that goes on after `wave`: SHORTEST to the wave's.

    It ends in the pause that is long and late. Where nobody pauses, it ends where the detector is least sure.
    Example: of pauses of 0.2 s at 29 s and 0.5 s at 25 s the second is taken; of 0.2 s at 29 s and 0.25 s at 20 s the
    first.
    """
    speaks = detector(wave[SHORTEST:])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], speaks < SILENT, [False])).astype(np.int8)))
    best, place = 0.0, None
    for begin, end in zip(edges[::2] * _SECONDS, edges[1::2] * _SECONDS, strict=True):
        middle = max((begin + end) / 2, end - _LEAD)
        worth = min(end - begin, _CLEAR) + _LATER * middle
        if worth > best:
            best, place = worth, middle
    if place is None:
        half = speaks.size // 2
        place = (half + int(np.argmin(speaks[half:])) + 0.5) * _SECONDS
    return min(SHORTEST + round(place * RATE), wave.size)
