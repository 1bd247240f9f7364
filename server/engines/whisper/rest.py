"""What is left of a window after its last segment. faster-whisper hears it again, at the price of a whole window."""

from collections.abc import Callable
from typing import Any

SHORT = 1.5
"""Seconds of a rest that is not heard again if Whisper has said that nothing is in it."""

Split = Callable[..., tuple[list[dict[str, Any]], int, bool]]
"""`WhisperModel._split_segments_by_timestamps`: the segments, the frame to go on from, and whether all was heard."""


def without_short_rests(split: Split, frames_per_second: int) -> Split:
    """The same, but a window is done where Whisper ended it by the end of a segment and hardly anything is left.

    Windows are cut in pauses, so a short rest is silence, of which Whisper invents something or nothing. A segment that
    it began and did not end is heard again, however short.
    """

    def split_and_finish(**asked: Any) -> tuple[list[dict[str, Any]], int, bool]:
        segments, onward, whole = split(**asked)
        end = asked["seek"] + asked["segment_size"]
        begin = asked["tokenizer"].timestamp_begin
        ended = all(token >= begin for token in asked["tokens"][-2:])
        if ended and end - onward < SHORT * frames_per_second:
            return segments, end, True
        return segments, onward, whole

    return split_and_finish
