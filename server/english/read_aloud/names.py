"""Names in English text as a person reads them aloud: titles, doctors and drives, saints and streets, companies.

Pure and linear. What stays ambiguous stays as it is.
"""

import re
from collections.abc import Callable

from server.english.abbreviations import DAYS, FOLLOWERS, MONTHS, POINTED_TITLES, TITLES, WAYS
from server.english.read_aloud.neighbours import (
    GAP,
    follows_first,
    is_name,
    opens_sentence,
    point,
    word_after,
    word_before,
    words,
)

_ALONE = {name: word.lower() for name, word in (TITLES | POINTED_TITLES).items() if name in
          ("Lt", "Sgt", "Capt", "Cpl", "Cmdr", "Prof", "Gov")}  # fmt: skip
# A single letter is no name: "PCB Rev. B", "Gen. X".
_TITLE = re.compile(rf"\b(?:({'|'.join(TITLES)})\.?|({'|'.join(POINTED_TITLES)})\.)(?={GAP}[A-Z][\w.'’])")
_TITLE_ALONE = re.compile(rf"\b({'|'.join(_ALONE)})\.(?!\.)(?={GAP}[a-z]|[,;:!?)]|\s{{0,3}}\Z)")

# Never a point that a word or another point follows at once.
_POINT = r"\b(?:(\.)(?![.\w])|(?!\.))"
_DOCTOR = re.compile(rf"\bDr{_POINT}")
_AND_A_TITLE = re.compile(rf"{GAP}(?:and|&){GAP}(?:Dr|Mr|Mrs|Ms|Miz|Prof)\b")
_SAINT = re.compile(rf"\bSt{_POINT}(?!-)")
_SAINTS = words(
    """Andrew Anthony Augustine Bernard Catharines Charles Clair Cloud Croix Elizabeth Francis George Helens James
    John Johns Joseph Lawrence Louis Lucia Lucie Luke Mark Martin Mary Matthew Michael Moritz Nicholas Patrick Paul
    Peter Petersburg Stephen Thomas Valentine Vincent"""
)
_POSSESSIVE = re.compile(rf"{GAP}\w{{1,20}}['’]s\b")
_NUMBERED_NAME = re.compile(r"\b\d{1,6}[A-Za-z]?[^\S\n](?:[NSEW]\.?[^\S\n])?[A-Z]\w{0,30}[^\S\n]\Z")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_AFTER_STREETS = words(
    """N S E W NE NW SE SW North South East West Apt Apartment Suite Ste Unit Bridge Station Journal Market Theater
    Theatre School Gallery Exit Bus"""
)
_WAY = re.compile(rf"\b({'|'.join(WAYS)}){_POINT}")
_ANYWHERE = frozenset({"Blvd", "Pkwy", "Hwy", "Fwy"})

_FOLLOWER = re.compile(rf"\b({'|'.join(FOLLOWERS)}){_POINT}")

_ABBREVIATED = (TITLES | POINTED_TITLES | WAYS | DAYS | MONTHS).keys() | {"Dr", "St", "Jr", "Sr"}


def spoken_names(text: str) -> str:
    """`text` with the abbreviated parts of names written out."""
    for pattern, written_out in _RULES:
        text = pattern.sub(written_out, text)
    return text


def _title(match: re.Match[str]) -> str:
    text, word = match.string, TITLES[match[1]] if match[1] else POINTED_TITLES[match[2]]
    before, opens = word_before(text, match.start()), opens_sentence(word_after(text, match.end()))
    if (match[1] == "Ft" and before.isdigit()) or (match[2] == "Hon" and opens):
        return match[0]
    if opens and before.lower() in ("a", "the", "my", "our", "his", "her", "their"):
        return word.lower() + point(text, match.end())
    return word


def _title_alone(match: re.Match[str]) -> str:
    return _ALONE[match[1]] + point(match.string, match.end())


def _names_a_way(text: str, start: int) -> bool:
    before = word_before(text, start)
    if not before:
        return word_before(text, start, marks=".") in _ABBREVIATED
    return (is_name(before) and before not in DAYS.values()) or _ORDINAL.fullmatch(before) is not None


def _doctor(match: re.Match[str]) -> str:
    text, after = match.string, word_after(match.string, match.end())
    first = follows_first(text, match.start()) and after not in ("NE", "NW", "SE", "SW")
    way = _names_a_way(text, match.start()) and not first
    if after.isdigit() and not way:
        return match[0]
    if _AND_A_TITLE.match(text, match.end()) or (after[:1].isupper() and not (way and _ends_way(after))):
        return "Doctor"
    if way:
        return "Drive" + point(text, match.end())
    # "Ask Dr. about it" or "Elm Dr. is closed".
    return "doctor" + point(text, match.end()) if match[1] and not first else match[0]


def _saint(match: re.Match[str]) -> str:
    text, after = match.string, word_after(match.string, match.end())
    way = _names_a_way(text, match.start())
    if after[:1].isupper() and not opens_sentence(after) and not (way and _ends_way(after)):
        ordinal = _ORDINAL.fullmatch(word_before(text, match.start()))
        street = (
            text[match.end() : match.end() + 1] == "\n"
            or _NUMBERED_NAME.search(text, max(0, match.start() - 45), match.start())
            or (ordinal and after not in _SAINTS)
        )
        if not way or (after in _SAINTS and not street and (not ordinal or _POSSESSIVE.match(text, match.end()))):
            return "Saint"
        if not street:
            return match[0]  # "Wall St. Stocks fell."
    if not way:
        return match[0]
    return "Street" + ("" if after in _AFTER_STREETS else point(text, match.end()))


def _ends_way(after: str) -> bool:
    return after in _AFTER_STREETS or after in ("Dr", "Mr", "Mrs", "Ms") or opens_sentence(after)


def _way(match: re.Match[str]) -> str:
    text, after = match.string, word_after(match.string, match.end())
    if match[1] not in _ANYWHERE and not _names_a_way(text, match.start()):
        return match[0]
    if not match[2] and (match[1] in ("Ct", "Pl", "Sq", "Ter") or (is_name(after) and after not in _AFTER_STREETS)):
        return match[0]
    return WAYS[match[1]] + ("" if after in _AFTER_STREETS else point(text, match.end()))


def _follower(match: re.Match[str]) -> str:
    text, name = match.string, match[1]
    joined = text[max(0, match.start() - 2) : match.start()] == "& "
    before = word_before(text, match.start(), marks=".,")
    if not (joined or is_name(before)) or (name == "Co" and not match[2]) or before == "El":
        return match[0]
    return FOLLOWERS[name] + point(text, match.end(), before_names=name in ("Bros", "Univ"))


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_DOCTOR, _doctor),
    (_SAINT, _saint),
    (_WAY, _way),
    (_TITLE, _title),
    (_TITLE_ALONE, _title_alone),
    (_FOLLOWER, _follower),
)
