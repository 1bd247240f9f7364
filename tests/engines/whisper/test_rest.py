"""Whether what is left of a window is heard again."""

from types import SimpleNamespace
from typing import Any

import pytest

from server.engines.whisper.rest import without_short_rests

BEGIN = 50
TEXT = 7


def split(onward: int, tokens: list[int], whole: bool = False) -> tuple[list[dict[str, Any]], int, bool]:
    """Of a window from frame 1000 to 3500."""
    asked = {"tokenizer": SimpleNamespace(timestamp_begin=BEGIN), "tokens": tokens, "seek": 1000, "segment_size": 2500}
    seen: list[dict[str, Any]] = []

    def librarys(**given: Any) -> tuple[list[dict[str, Any]], int, bool]:
        seen.append(given)
        return [{"tokens": tokens}], onward, whole

    answer = without_short_rests(librarys, 100)(**asked)
    assert seen == [asked]
    return answer


@pytest.mark.parametrize(
    ("onward", "tokens", "after"),
    [
        (3400, [50, TEXT, 90, 90], (3500, True)),  # a second of silence
        (3300, [50, TEXT, 90, 90], (3300, False)),  # two seconds may hold words
        (3400, [50, TEXT, 90, 90, TEXT], (3400, False)),  # a segment that was begun
        (3500, [50, TEXT, 90], (3500, False)),
    ],
)
def test_a_short_rest_is_not(onward: int, tokens: list[int], after: tuple[int, bool]) -> None:
    assert split(onward, tokens) == ([{"tokens": tokens}], *after)
