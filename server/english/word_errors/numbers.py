"""English number words as digits, so that "forty-two", "42" and "42nd" are one word in a comparison of texts.

Pure functions over words in lower case. Numbers that follow each other without adding up are written in one, as they
are read out: "nineteen eighty-four" is 1984, "five thirty" is 530, "two oh five" is 205. Ordinals count as cardinals.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from server.english.number_words import BELOW_A_HUNDRED, DECADES, HUNDRED, SCALE_FORMS, SCALES, ZERO_LETTERS

# "Tens of people" are no decade.
_DECADES = {name: value for name, value in DECADES.items() if value > 10}
_NAMES = BELOW_A_HUNDRED.keys() | SCALE_FORMS.keys() | _DECADES.keys()
_DECADE_DIGITS = re.compile(r"(\d{1,1000})s")  # Python's int takes no more than 4,300 digits
_DIGITS = re.compile(r"(\d+)(?:st|nd|rd|th)|\d+(?:\.\d+)?")
_WITH_POINT = re.compile(r"\d+\.\d*")
_ABOVE_ALL_SCALES = 10**18


class _Number:
    """A number as it is read, word by word. `text` is what it has come to, in digits."""

    def __init__(self) -> None:
        self._done = ""  # digits of the numbers before this one, which it does not add up with
        self._point = False
        self._begin()

    def _begin(self) -> None:
        self._total = Decimal(0)  # thousands and more
        self._current: Decimal | None = None  # below a thousand
        self._written = ""  # the current one as it was written, which keeps leading zeros
        self._room = 0  # a number below this may still be added to the current one: 10 after "twenty"
        self._scale = _ABOVE_ALL_SCALES  # the last thousand, million …: the next must be less

    def _close(self) -> None:
        """What is read from here on adds up with nothing before it."""
        self._done = self.text
        self._begin()

    @property
    def text(self) -> str:
        if self._written:
            return self._done + self._written
        if self._current is None and not self._total:
            return self._done
        whole = f"{self._total + (self._current or 0):f}"
        return self._done + (whole.rstrip("0").rstrip(".") if "." in whole else whole)

    def read(self, word: str) -> None:
        """A word that `_is_number`."""
        if word in BELOW_A_HUNDRED:
            self._add(BELOW_A_HUNDRED[word])
        elif word in SCALE_FORMS:
            self._multiply(SCALE_FORMS[word])
        elif word in _DECADES:
            self._decade(_DECADES[word])
        elif match := _DECADE_DIGITS.fullmatch(word):
            self._decade(int(match[1]))
        else:
            ordinal = _DIGITS.fullmatch(word)
            self.write(ordinal[1] if ordinal and ordinal[1] else word)

    def write(self, digits: str) -> None:
        """A number in digits, such as 7, 0042 or 3.5."""
        if self._point:
            self._done += digits
            return
        if self._current is not None:
            self._close()
        if not self._total:
            self._written = digits
        self._current, self._room = Decimal(digits), 0

    def point(self) -> None:
        """The decimal point; all that follows is read digit by digit."""
        self._close()
        self._done += "."
        self._point = True

    def _add(self, value: int) -> None:
        if self._point:
            self._done += str(value)
            return
        if self._current is not None and 0 < value < self._room:
            self._current += value
        else:
            if self._current is not None:
                self._close()
            self._current = Decimal(value)
        self._room = 10 if value >= 20 and value % 10 == 0 else 0

    def _multiply(self, scale: int) -> None:
        if self._point:
            self._point = False
            # "three point five million" is one number; the "six million" of "3.5.6 million" is none.
            if _WITH_POINT.fullmatch(self._done):
                self._current, self._done = Decimal(self._done), ""
        self._written = ""
        if scale == SCALES[HUNDRED]:
            self._current = (Decimal(1) if self._current is None else self._current) * scale
            self._room = scale
            return
        if scale >= self._scale or (self._total and self._current is None):
            self._close()
        self._total += (Decimal(1) if self._current is None else self._current) * scale
        self._current, self._room, self._scale = None, 0, scale

    def _decade(self, value: int) -> None:
        self._add(value)
        self._close()
        self._done += "s"


def with_digits(words: Sequence[str]) -> list[str]:
    """`words` with each run of number words as one word of digits."""
    written: list[str] = []
    number: _Number | None = None
    for before, word, following in zip(["", *words], words, [*words[1:], ""], strict=False):
        if _is_number(word):
            number = number or _Number()
            number.read(word)
        elif word == "a" and number is None and following in SCALE_FORMS:
            continue  # "a hundred" is 100
        elif number is not None and word == "and" and before in SCALE_FORMS and _is_number(following):
            continue  # "a hundred and five"
        elif number is not None and word in ZERO_LETTERS:
            number.write("0")
        elif number is not None and word == "point" and _is_number(following):
            number.point()
        else:
            if number is not None:
                written.append(number.text)
                number = None
            written.append(word)
    return written if number is None else [*written, number.text]


def _is_number(word: str) -> bool:
    return word in _NAMES or _DIGITS.fullmatch(word) is not None or _DECADE_DIGITS.fullmatch(word) is not None
