"""Texts in one spelling, so that only what was heard differently counts as an error.

Numbers, ordinals, amounts of money, percentages and common abbreviations are spelled alike on both sides, since a
transcriber writes "$42.50" or "forty-two dollars and fifty cents" as it likes. For English; texts in other languages
are compared as they are written, but for case and punctuation.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import groupby

from server.english import abbreviations
from server.english.number_words import CURRENCIES, CURRENCY_SIGNS, NUMBER, O_CLOCK, SCALES, UNITS
from server.english.word_errors.numbers import with_digits

_AMOUNT = re.compile(rf"([{CURRENCY_SIGNS}])\s?(\d+)(?:\.(\d\d)(?!\d))?(\.\d+)?(\s(?:{'|'.join(SCALES)}))?\b")
_RANGE = re.compile(
    rf"(?<![\w.:/{CURRENCY_SIGNS}–-])([{CURRENCY_SIGNS}]?)(?!\d{{3}}-\d{{4}}\b|\d\d[1-9]-\d{{3}}\b|[79]-11\b)"
    rf"(\d{{1,4}})[-–][{CURRENCY_SIGNS}]?(\d{{1,4}})(?![\d:/–-]|[.,]\d)"
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_SIGNS = {
    "%": " percent ", "°": " degrees ", "&": " and ", "@": " at ", "=": " equals ", "¢": " cents ", "№": f" {NUMBER} ",
}  # fmt: skip
_CONTRACTIONS = [
    (re.compile(contraction), words)
    for contraction, words in (
        (r"\bwon't\b", "will not"), (r"\bcan't\b|\bcannot\b", "can not"), (r"n't\b", " not"), (r"'re\b", " are"),
        (r"'ll\b", " will"), (r"'ve\b", " have"), (r"'m\b", " am"), (r"\bit's\b", "it is"),
    )
]  # fmt: skip

_UNITS = (*UNITS, *(unit for pair in CURRENCIES.values() for unit in pair))
_COMPARED = [(unit, unit.compared.split(", ")) for unit in _UNITS if unit.compared]
_ALIKE = abbreviations.COMPARED | {other: first for _, (first, *others) in _COMPARED for other in others}
_PHRASE = re.compile(rf"(?<!\S)(?:{'|'.join(phrase for phrase in _ALIKE if ' ' in phrase)})(?!\S)")
# The "and" of "five dollars and fifty cents" is left out, as it is in $5.50.
_DROPS_AND = {unit.compared.partition(",")[0] for unit, _ in CURRENCIES.values()}
_AFTER_DIGITS = {sign for unit, alike in _COMPARED for sign in unit.signs.casefold().split() if sign in alike}

_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(?<=\d):00\b"), ""),  # 5:00
    (re.compile(r"(?<=\d):(?=\d\d\b)"), " "),  # 5:30
    (re.compile(r"(?<!\w)-(?=\d)"), "minus "),
    (re.compile(r"(?<=\d)\s*\+\s*(?=\d)"), " plus "),
    (re.compile(r"(?:#|\bno\.)\s?(?=\d)"), f"{NUMBER} "),
    (re.compile(r"\b(?:[a-z]\.){2,}(?!\w)|\b(?:[a-z]\.)+[a-z]\b"), lambda match: match[0].replace(".", "")),  # u.s.a.
    (re.compile(rf"(?<=\d)(?=(?:am|pm|{'|'.join(sorted(_AFTER_DIGITS))})\b)"), " "),  # 5pm
    (re.compile(rf"\b{O_CLOCK}\b"), ""),
    (re.compile(r"'"), ""),
    (re.compile(r"\.(?!\d)|(?<!\d)\.|[^\w\s.]|_"), " "),
)


def in_one_spelling(text: str) -> list[str]:
    """The words of `text` in lower case, without punctuation, and in one of the ways to write each.

    "Just $5.50!" and "just five dollars and fifty cents" both give `["just", "5", "dollars", "50", "cents"]`.
    """
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("‘", "'")
    text = _AMOUNT.sub(_amount, _RANGE.sub(_range, _THOUSANDS.sub("", text)))
    for sign, word in _SIGNS.items():
        text = text.replace(sign, word)
    for pattern, plain in (*_CONTRACTIONS, *_PATTERNS):
        text = pattern.sub(plain, text)
    text = _PHRASE.sub(lambda phrase: _ALIKE[phrase[0]], " ".join(text.split()))
    words = [_ALIKE.get(word, word) for word in text.split()]
    words = [word for i, word in enumerate(words) if not (word == "and" and i and words[i - 1] in _DROPS_AND)]
    return _with_joined_letters(with_digits(words))


def _amount(match: re.Match[str]) -> str:
    """$5.50 as 5 dollars 50 cents, and $1.2 million as 1.2 million dollars."""
    sign, whole, cents, fraction, scale = match.groups()
    unit, coin = CURRENCIES[sign]
    if cents and not scale:
        return f"{whole} {unit.many} {cents} {coin.many} "
    decimals = f".{cents}" if cents else fraction or ""
    return f"{whole}{decimals}{scale or ''} {unit.many} "


def _range(match: re.Match[str]) -> str:
    """5-10 as "5 to 10", and $5-10 as "5 to $10"; a falling one is a score or a label."""
    sign, low, high = match.groups()
    return f"{low} to {sign}{high}" if int(low) < int(high) else match[0]


def _with_joined_letters(words: Sequence[str]) -> list[str]:
    """`words` with letters that stand alone side by side as one word: "u s a" as "usa"."""
    joined: list[str] = []
    for letters, run in groupby(words, lambda word: len(word) == 1 and word.isalpha()):
        alike = list(run)
        joined += ["".join(alike)] if letters else alike
    return joined
