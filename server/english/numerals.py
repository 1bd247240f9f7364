"""English number words as digits, so that "forty-two", "42" and "42nd" are one word in a comparison of texts.

Pure functions over words in lower case. Numbers that follow each other without adding up are written in one, as they
are read out: "nineteen eighty-four" is 1984, "five thirty" is 530, "two oh five" is 205. Ordinals count as cardinals.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
    " fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"

SMALL = {
    **{name: value for names in (_NAMES, _ORDINALS) for value, name in enumerate(names.split())},
    **{name: value * 10 for value, name in enumerate(_TENS.split(), start=2)},
    **{f"{name[:-1]}ieth": value * 10 for value, name in enumerate(_TENS.split(), start=2)},
}
DECADES = {f"{name[:-1]}ies": value * 10 for value, name in enumerate(_TENS.split(), start=2)}
SCALES = {
    **{f"hundred{end}": 100 for end in ("", "s", "th")},
    **{f"{name}{end}": 1000**power for power, name in enumerate(("thousand", "million", "billion", "trillion"), 1)
       for end in ("", "s", "th")},
}  # fmt: skip
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_ORDINAL_DIGITS = re.compile(r"(\d+)(?:st|nd|rd|th)")
_DECADE_DIGITS = re.compile(r"(\d+)s")


class _Number:
    """A number as it is read, word by word. `text` is what it has come to, in digits."""

    def __init__(self) -> None:
        self._done = ""  # digits of the numbers before this one, which it does not add up with
        self._total = Decimal(0)  # thousands and more
        self._current: Decimal | None = None  # below a thousand
        self._written = ""  # the current one as it was written, which keeps leading zeros
        self._room = Decimal(0)  # a number below this may still be added to the current one
        self._scale = Decimal(10**18)  # of the last thousand, million …: the next must be less
        self._point = False

    @property
    def text(self) -> str:
        if self._written:
            return self._done + self._written
        if self._current is None and not self._total:
            return self._done
        whole = f"{self._total + (self._current or 0):f}"
        return self._done + (whole.rstrip("0").rstrip(".") if "." in whole else whole)

    def add(self, value: int) -> None:
        """A word below a hundred."""
        if self._point:
            self._done += str(value)
        elif self._current is not None and 0 < value < self._room:
            self._current += value
            self._room = Decimal(10) if value >= 20 and value % 10 == 0 else Decimal(0)
        else:
            if self._current is not None:
                self._close()
            self._current = Decimal(value)
            self._room = Decimal(10) if value >= 20 and value % 10 == 0 else Decimal(0)

    def write(self, digits: str) -> None:
        """A number in digits, such as 7, 0042 or 3.5."""
        if self._point:
            self._done += digits
            return
        if self._current is not None:
            self._close()
        if not self._total:
            self._written = digits
        self._current, self._room = Decimal(digits), Decimal(0)

    def multiply(self, scale: int) -> None:
        """Hundred, thousand, million …"""
        if self._point:  # three point five million
            self._current, self._done, self._point = Decimal(self._done), "", False
        self._written = ""
        if scale == 100:
            self._current = (Decimal(1) if self._current is None else self._current) * 100
            self._room = Decimal(100)
            return
        if scale >= self._scale or (self._total and self._current is None):
            self._close()
        self._total += (Decimal(1) if self._current is None else self._current) * scale
        self._current, self._room, self._scale = None, Decimal(0), Decimal(scale)

    def point(self) -> None:
        """The decimal point; all that follows is read digit by digit."""
        self._close()
        self._done += "."
        self._point = True

    def decade(self, value: int) -> None:
        self.add(value)
        self._close()
        self._done += "s"

    def _close(self) -> None:
        self._done = self.text
        self._total, self._current, self._written = Decimal(0), None, ""
        self._room, self._scale = Decimal(0), Decimal(10**18)


def with_digits(words: Sequence[str]) -> list[str]:
    """`words` with each run of number words as one word of digits."""
    told: list[str] = []
    number: _Number | None = None
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        before = words[place - 1] if place else ""
        if _is_number(word):
            number = number or _Number()
            _read(number, word)
        elif word == "a" and number is None and following in SCALES:
            continue  # "a hundred" is 100
        elif number is not None and word == "and" and before in SCALES and _is_number(following):
            continue  # "a hundred and five"
        elif number is not None and word in ("o", "oh"):
            number.write("0")
        elif number is not None and word == "point" and _is_number(following):
            number.point()
        else:
            if number is not None:
                told.append(number.text)
                number = None
            told.append(word)
    return told if number is None else [*told, number.text]


def _is_number(word: str) -> bool:
    return word in SMALL or word in SCALES or word in DECADES or (word[:1].isdigit() and _digits(word) is not None)


def _digits(word: str) -> re.Match[str] | None:
    return _DIGITS.fullmatch(word) or _ORDINAL_DIGITS.fullmatch(word) or _DECADE_DIGITS.fullmatch(word)


def _read(number: _Number, word: str) -> None:
    if word in SMALL:
        number.add(SMALL[word])
    elif word in SCALES:
        number.multiply(SCALES[word])
    elif word in DECADES:
        number.decade(DECADES[word])
    elif match := _DECADE_DIGITS.fullmatch(word):
        number.decade(int(match[1]))
    else:
        match = _ORDINAL_DIGITS.fullmatch(word)
        number.write(match[1] if match else word)
