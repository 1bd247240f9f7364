"""How far two texts are from each other, in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.english.word_errors.rate import distance, word_error_rate


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("The cat sat.", "the cat sat", 0.0),
        ("The cat sat.", "The hat sat.", 1 / 3),
        ("The cat sat.", "The cat.", 1 / 3),
        ("The cat sat.", "The cat sat down.", 1 / 3),
        ("yes", "no way", 2.0),
        ("The cat sat.", "", 1.0),
        ("...", "", 0.0),
        ("...", "Thank you.", 1.0),
    ],
)
def test_the_word_error_rate(said: str, heard: str, rate: float) -> None:
    assert word_error_rate(said, heard) == pytest.approx(rate)


words = st.lists(st.sampled_from("abcd"), max_size=9)


@given(words, words)
def test_the_distance_is_levenshtein_s(a: list[str], b: list[str]) -> None:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above = row
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y)))
    assert distance(a, b) == row[-1]


@given(st.text(alphabet="0123456789.,:$%-'aot hundredmilionpcs", max_size=40))
def test_any_text_has_a_spelling_that_stays(text: str) -> None:
    """Nothing in it fails, and a text is always itself."""
    assert word_error_rate(text, text) == 0.0
