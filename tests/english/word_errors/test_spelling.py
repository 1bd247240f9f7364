"""Texts in one spelling: what is the same however it is written, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.english.word_errors.spelling import in_one_spelling


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("42", "forty-two"),
        ("the 42nd", "the forty second"),
        ("1,234", "one thousand two hundred and thirty-four"),
        ("100 times", "a hundred times"),
        ("120,000", "a hundred and twenty thousand"),
        ("1,000,001", "one million and one"),
        ("3.5%", "three point five percent"),
        ("0.25", "zero point two five"),
        ("1.2 billion", "one point two billion"),
        ("12,000,000", "twelve million"),
        ("$42.50", "forty-two dollars and fifty cents"),
        ("$1", "one dollar"),
        ("$3.5 million", "three point five million dollars"),
        ("£3", "three pounds"),
        ("1984", "nineteen eighty-four"),
        ("in the 1980s", "in the nineteen eighties"),
        ("2005", "two thousand and five"),
        ("2005", "twenty oh five"),
        ("2024", "twenty twenty-four"),
        ("July 4th", "July four"),
        ("555-0123", "five five five, oh one two three"),
        ("5:30 p.m.", "five thirty PM"),
        ("5:00", "five o'clock"),
        ("-5°", "minus five degrees"),
        ("#7", "number seven"),
        ("No. 7", "number seven"),
        ("No, 7", "no seven"),
        ("60 mph", "sixty miles per hour"),
        ("5km", "five kilometers"),
        ("5-10 km", "five to ten kilometers"),
        ("$5–10, $5-$10", "five to ten dollars, five to ten dollars"),
        ("the 737-800 of 9-11", "the seven hundred thirty seven eight hundred of nine eleven"),
        ("736-5000", "seven three six five zero zero zero"),
        ("Dr. Smith", "doctor Smith"),
        ("St. John's St.", "Saint Johns Street"),
        ("U.S.A.", "USA"),
        ("the U S A", "the USA"),
        ("It’s", "it is"),
        ("I can't", "I cannot"),
        ("they won't, we'll", "they will not we will"),
        ("salt & pepper", "Salt and pepper!"),
        ("Straße", "STRASSE"),
    ],
)
def test_one_spelling(written: str, said: str) -> None:
    assert in_one_spelling(written) == in_one_spelling(said)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("14", "forty"),
        ("1984", "1985"),
        ("$42.50", "$4,250"),
        ("twenty to three", "twenty-three"),
        ("15", "fifty"),
        ("two hundred", "200,000"),
        ("$5", "£5"),
        ("5 million", "5 billion"),
    ],
)
def test_what_is_not_the_same(one: str, other: str) -> None:
    assert in_one_spelling(one) != in_one_spelling(other)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        # No single number stands before the scale.
        ("one point 3.5 million", ["1.3.51000000"]),
        ("three point five point six thousand", ["3.5.61000"]),
        ("two point five nineties hundred", ["2.590s100"]),
        ("the 1980s point five million", ["the", "1980s.51000000"]),
        # One number does.
        ("three point five million", ["3500000"]),
        ("one point hundred", ["100"]),
        # More digits than Python makes an int of.
        ("㊿" * 3000 + "s", ["50" * 3000 + "s"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_odd_numbers_are_compared_too(said: str, words: list[str]) -> None:
    assert in_one_spelling(said) == words


NUMBER_WORDS = ("five", "twenty", "third", "nineties", "hundred", "million", "point", "oh", "a", "and", "3.5", "80s")


@given(st.lists(st.sampled_from(NUMBER_WORDS), max_size=9))
def test_any_run_of_number_words_has_a_spelling(said: list[str]) -> None:
    assert bool(in_one_spelling(" ".join(said))) == bool(said)
