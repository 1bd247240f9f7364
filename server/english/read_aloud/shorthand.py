"""Shorthand in English text as a person reads it aloud: "dept.", "e.g.", "No. 52", "on Sat.", "Sept. 5".

Pure and linear. What stays ambiguous stays as it is: "no." before no number is a word.
"""

import re

from server.english.abbreviations import BEFORE_NUMBERS, DAYS, MONTHS, PLAIN
from server.english.read_aloud.neighbours import GAP, is_over, point, word_after, word_before, words

_PLAIN_WORD = re.compile(rf"(?<![\w.@/-])(?:({'|'.join(map(re.escape, PLAIN))})\.(?![.\w@])|(vs)(?=\s))", re.IGNORECASE)
_ENDS_SENTENCES = frozenset({"dept", "depts", "govt", "et al"})

_EITHER_CASE = "|".join((*BEFORE_NUMBERS, *map(str.capitalize, BEFORE_NUMBERS)))
_NUMBERED_WORD = re.compile(rf"(?<![\w.@/-])({_EITHER_CASE})\.{GAP}?(?=\d)")
_ALSO_WORDS = words("sec fig figs apt est ca")
_BEFORE_WORDS = words(
    """a an another any be been each every had her his is its just looked looks my one our quick quite seemed seems so
    that the their this very was were your"""
)
_COUNTED = re.compile(
    rf"[\d,]{{1,12}}(?:%|[.!?](?!\d)|{GAP}(?!is\b|was\b|has\b|does\b)(?:[a-z]{{1,20}}s|people|men|women|children|percent)\b)"
)
_ANSWERS = re.compile(r"[?\"“][^\S\n]{0,3}\Z")
# Before a small "no." a number is meant; after "said", say, it is an answer.
_BEFORE_A_NUMBER = words(
    """at in to of by on from and the room house item order flight bus line lot chapter page exhibit article track
    serial account phone invoice part model case patent gate platform"""
)

_DATES = MONTHS | DAYS
_DATE = re.compile(rf"\b({'|'.join(sorted(_DATES, key=len, reverse=True))})\.(?![.\w])")
_NEVER_A_WORD = words("Feb Apr Aug Sept Oct Nov Tues Weds Thur Thurs")
_BEFORE_DATES = words("last next every each late early mid until till since through")
_DATE_FOLLOWS = re.compile(
    rf"[,;:)–-]|{GAP}(?:\d|[a-z]|(?:{'|'.join(sorted({*_DATES, *_DATES.values(), 'May'}, key=len, reverse=True))})\b)"
)


def spoken_shorthand(text: str) -> str:
    """`text` with plain words, words before numbers, months and weekdays written out."""
    return _DATE.sub(_date, _NUMBERED_WORD.sub(_numbered, _PLAIN_WORD.sub(_plain, text)))


def _plain(match: re.Match[str]) -> str:
    text, name = match.string, match[1] or match[2]
    ends = point(text, match.end()) if name.lower() in _ENDS_SENTENCES or is_over(text, match.end()) else ""
    return _cased(name, PLAIN[name.lower()]) + ends


def _numbered(match: re.Match[str]) -> str:
    text, name = match.string, match[1]
    before = word_before(text, match.start())
    if name == "no" and before.lower() not in _BEFORE_A_NUMBER:
        return match[0]
    if name == "No" and not before:
        answers = _ANSWERS.search(text, max(0, match.start() - 4), match.start())
        if answers or _COUNTED.match(text, match.end()):
            return match[0]
    if name.lower() in _ALSO_WORDS and before.lower() in _BEFORE_WORDS:
        return match[0]
    if name in ("op", "sec", "p", "Op", "P") and before[:1].isdigit():
        return match[0]
    # A number is mostly some name's: "At No. 52" needs no capital to be heard.
    word = BEFORE_NUMBERS[name.lower()]
    return f"{word if before else _cased(name, word)} "


def _cased(name: str, word: str) -> str:
    return word[0].upper() + word[1:] if name[0].isupper() else word


def _date(match: re.Match[str]) -> str:
    text, name = match.string, match[1]
    before = word_before(text, match.start())
    known = (
        name in _NEVER_A_WORD
        or before.lower() in _BEFORE_DATES
        or before.isdigit()
        or (before in ("on", "On") and name in DAYS)
        or (before in ("in", "In") and name in MONTHS)
        or _DATE_FOLLOWS.match(text, match.end())
    )
    if not known:
        return match[0]
    # A month before a day, and a day before a month, go on.
    after = word_after(text, match.end())
    goes_on = after[:1].isdigit() or after.startswith((*_DATES, "May"))
    return _DATES[name] + ("" if goes_on else point(text, match.end()))
