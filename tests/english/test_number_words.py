"""Reading aloud and comparing share their number words: what the one writes is the same number to the other."""

import random
import re

import pytest

from server.english.number_words import (
    BELOW_A_HUNDRED,
    CARDINALS,
    CURRENCIES,
    DECADES,
    HUNDRED,
    NUMBER,
    O_CLOCK,
    SCALE_FORMS,
    SCALES,
    TENS,
    UNITS,
    ZERO_LETTERS,
    Unit,
)
from server.english.read_aloud.text import spoken_english
from server.english.word_errors.spelling import in_one_spelling

COINS = tuple(unit for pair in CURRENCIES.values() for unit in pair)

TABLE = {
    *BELOW_A_HUNDRED,
    *SCALE_FORMS,
    *DECADES,
    *ZERO_LETTERS,
    O_CLOCK,
    NUMBER,
    *(word for unit in (*UNITS, *COINS) for name in (unit.one, unit.many) for word in name.split()),
}
"""Every number word that there is."""

JOINING = {"and", "to", "per", "in", "at", "the", "of", "it", "people"}
"""Words around the numbers here, which are no numbers."""

NOT_COMPARED_ALIKE = {"khz", "mhz"}
"""Signs that stand alone in their row: "5kHz" is "5 kHz", but no kilohertz."""


def spread(rng: random.Random, below: int) -> list[int]:
    """Numbers of every length, and those round which names change."""
    edges = {*range(121), *(10**power + step for power in range(2, 16) for step in (-1, 0, 1))}
    drawn = {rng.randrange(10 ** rng.randrange(1, 16)) for _ in range(400)}
    return sorted(number for number in edges | drawn if number < below)


def in_words(number: int) -> str:
    """The cardinal, written by the table alone: 1,234 as "one thousand two hundred thirty-four"."""
    for name, scale in sorted(SCALES.items(), key=lambda item: -item[1]):
        if number >= scale:
            rest = f" {in_words(number % scale)}" if number % scale else ""
            return f"{in_words(number // scale)} {name}{rest}"
    small = CARDINALS.split()
    if number < len(small):
        return small[number]
    ten = next(name for name, value in TENS.items() if value == number // 10 * 10)
    return f"{ten}-{small[number % 10]}" if number % 10 else ten


def texts() -> list[str]:
    """Numbers as they are written, each kind that the reader writes out."""
    rng = random.Random(20)
    written = [f"in {year}" for year in range(1100, 2100)]
    # The 1910s are "19 tens", and tens are compared as a count of ten.
    written += [f"the {decade}s" for decade in range(1120, 2100, 10) if decade // 10 % 10 > 1]
    written += [f"the {decade}s" for decade in range(20, 100, 10)]
    written += [f"in {year}-{year + rng.randrange(1, 90)}" for year in range(1500, 1900, 7)]
    written += [f"at {hour}:0{minute}" for hour in range(1, 24) for minute in range(1, 10)]
    written += [f"at {hour}:00" for hour in range(1, 13)]
    written += [f"#{number} of it" for number in range(1, 400, 3)]
    written += [f"{low}-{low + rng.randrange(1, 50)} people" for low in range(1, 95)]
    written += [f"(212) 555-{rng.randrange(10_000):04d}" for _ in range(50)]
    for sign in CURRENCIES:
        written += [f"{sign}{number:,}" for number in spread(rng, 10**15)]
        written += [f"{sign}{rng.randrange(1, 10**6):,}.{rng.randrange(10, 100)}" for _ in range(100)]
        written += [f"{sign}{rng.randrange(1, 100)} {scale}" for scale in SCALES for _ in range(5)]
        written += [f"{sign}{number}-{sign}{number + 5}" for number in range(1, 200, 9)]
    for unit in UNITS:
        signs = [sign for sign in unit.signs.split() if sign.lower() in unit.compared.split(", ")]
        for sign in set(signs) - {sign for sign in signs if sign.lower() in NOT_COMPARED_ALIKE}:
            written += [f"{number:,} {sign} of it" for number in spread(rng, 10**15) if number != 1]
    return written


def test_what_is_read_aloud_is_compared_as_the_number_it_was() -> None:
    different = {text: spoken_english(text) for text in texts() if wrong(text)}
    assert different == {}


def wrong(text: str) -> bool:
    return in_one_spelling(spoken_english(text)) != in_one_spelling(text)


def test_every_word_that_is_read_for_a_number_stands_in_the_table() -> None:
    rates = [f"{number} {sign} of it" for unit in UNITS for sign in unit.signs.split() for number in ("1", "5")]
    coins = [f"{sign}{amount}" for sign in CURRENCIES for amount in ("0.01", "0.50", "1.01", "3k", "3M", "3bn")]
    others = ["the 1910s", "at 17:00", "No. 5 of it"]
    read = {word for text in (*texts(), *rates, *coins, *others) for word in words_of(spoken_english(text))}
    signs = {sign for unit in UNITS for sign in unit.signs.split()}
    assert {word for word in read if word.lower() not in TABLE} - JOINING - signs == set()
    assert {HUNDRED, O_CLOCK, ZERO_LETTERS[0], *DECADES} <= read


def words_of(text: str) -> list[str]:
    return re.findall(r"[^\W\d_][\w'²]*", text)


def test_every_number_in_words_is_compared_as_its_digits() -> None:
    for number in spread(random.Random(21), 10**15):
        assert in_one_spelling(in_words(number)) == [str(number)]


def test_every_number_word_of_the_table_is_compared_as_a_number() -> None:
    for word, value in (BELOW_A_HUNDRED | SCALE_FORMS).items():
        assert in_one_spelling(word) == [str(value)]
    for word, value in DECADES.items():
        assert in_one_spelling(word) == ([f"{value}s"] if value > 10 else [word])


OTHER_WORDS = (
    "dozen dozens score gross grand half quarter once twice thrice naught nought nil couple pair umpteen umpteenth"
    " thousandfold quadrillion quintillion gazillion tenner quid bucks lakh crore single double triple firstly onesies"
)


def test_no_other_word_is_compared_as_a_number() -> None:
    """A number word that the comparer alone knew would be missing from the table, and from what is read aloud."""
    outside = [word for word in OTHER_WORDS.split() if word not in TABLE]
    assert [in_one_spelling(word) for word in outside] == [[word] for word in outside]


@pytest.mark.parametrize("unit", [unit for unit in (*UNITS, *COINS) if unit.compared], ids=lambda unit: unit.many)
def test_the_spellings_of_a_unit_count_as_one(unit: Unit) -> None:
    spellings = unit.compared.split(", ")
    assert {tuple(in_one_spelling(f"5 {spelling}")) for spelling in spellings} == {("5", spellings[0])}
