"""English text on its way to a voice of espeak-ng, with what a person reads otherwise than it is written spelled out.

espeak-ng spells many abbreviations as letters, ends a sentence at their points, and reads years, money and telephone
numbers as plain numbers. The words are here; figures, measures and letters have files of their own. Pure functions,
linear, and in practice idempotent: the rules run until nothing changes, but at most `_PASSES` times. What stays
ambiguous stays as it is: "no." before no number is a word. A wrong reading is worse than one left to espeak-ng.

Packages for this were tried and not taken: the small ones write "5 inch" and turn "I sat." into Saturday, the others
need 0.1 s and more for a sentence, which is time to the first sound, or bring a compiler of grammars.
"""

import re
from collections.abc import Callable

from server.english.context import (
    GAP,
    follows_first,
    is_name,
    is_over,
    opens_sentence,
    point,
    word_after,
    word_before,
    words,
)
from server.english.figures import MONTHS, spoken_figures
from server.english.letters import spoken_letters
from server.english.measures import spoken_measures

_TITLES = {
    "Lt": "Lieutenant",
    "Sgt": "Sergeant",
    "Capt": "Captain",
    "Cpl": "Corporal",
    "Cmdr": "Commander",
    "Prof": "Professor",
    "Mt": "Mount",
    "Ft": "Fort",
    # "Miss" is another title.
    "Ms": "Miz",
}
_POINTED_TITLES = {
    "Col": "Colonel", "Maj": "Major", "Gen": "General", "Adm": "Admiral", "Pvt": "Private", "Gov": "Governor",
    "Sen": "Senator", "Rep": "Representative", "Rev": "Reverend", "Hon": "Honorable", "Pres": "President",
    "Supt": "Superintendent", "Messrs": "Messers",
}  # fmt: skip
_ALONE = {name: word.lower() for name, word in (_TITLES | _POINTED_TITLES).items() if name in
          ("Lt", "Sgt", "Capt", "Cpl", "Cmdr", "Prof", "Gov")}  # fmt: skip
# A single letter is no name: "PCB Rev. B", "Gen. X".
_TITLE = re.compile(rf"\b(?:({'|'.join(_TITLES)})\.?|({'|'.join(_POINTED_TITLES)})\.)(?={GAP}[A-Z][\w.'’])")
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
_WAYS = {
    "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Ct": "Court", "Pl": "Place", "Sq": "Square",
    "Ter": "Terrace", "Pkwy": "Parkway", "Hwy": "Highway", "Fwy": "Freeway", "Mts": "Mountains",
}  # fmt: skip
_WAY = re.compile(rf"\b({'|'.join(_WAYS)}){_POINT}")
_ANYWHERE = frozenset({"Blvd", "Pkwy", "Hwy", "Fwy"})

_FOLLOWERS = {
    "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Corp": "Corporation", "Ltd": "Limited", "Co": "Company",
    "Bros": "Brothers", "Assn": "Association", "Univ": "University",
}  # fmt: skip
_FOLLOWER = re.compile(rf"\b({'|'.join(_FOLLOWERS)}){_POINT}")

_PLAIN = {
    "dept": "department", "depts": "departments", "govt": "government", "approx": "approximately",
    "misc": "miscellaneous", "incl": "including", "avg": "average", "vs": "versus", "cf": "compare", "viz": "namely",
    "i.e": "that is", "e.g": "for example", "et al": "et al",
}  # fmt: skip
_PLAIN_WORD = re.compile(
    rf"(?<![\w.@/-])(?:({'|'.join(map(re.escape, _PLAIN))})\.(?![.\w@])|(vs)(?=\s))", re.IGNORECASE
)
_ENDS_SENTENCES = frozenset({"dept", "depts", "govt", "et al"})

_NUMBERED = {
    "no": "number", "nos": "numbers", "p": "page", "pp": "pages", "vol": "volume", "vols": "volumes", "fig": "figure",
    "figs": "figures", "ch": "chapter", "sec": "section", "apt": "apartment", "bldg": "building", "rm": "room",
    "ste": "suite", "ext": "extension", "op": "opus", "rte": "route", "ca": "circa", "est": "established",
}  # fmt: skip
_NUMBERED_WORD = re.compile(rf"(?<![\w.@/-])({'|'.join((*_NUMBERED, *map(str.capitalize, _NUMBERED)))})\.{GAP}?(?=\d)")
_ALSO_WORDS = words("sec fig figs apt est ca")
_BEFORE_WORDS = words(
    """a an another any be been each every had her his is its just looked looks my one our quick quite seemed seems so
    that the their this very was were your"""
)
_COUNTED = re.compile(
    rf"[\d,]{{1,12}}(?:%|[.!?](?!\d)|{GAP}(?!is\b|was\b|has\b|does\b)(?:[a-z]{{1,20}}s|people|men|women|children|percent)\b)"
)
_ANSWERS = re.compile(r"[?\"“][^\S\n]{0,3}\Z")
# Before a small "no." these tell that a number is meant; after "said", say, it is an answer.
_BEFORE_NUMBERS = words(
    """at in to of by on from and the room house item order flight bus line lot chapter page exhibit article track
    serial account phone invoice part model case patent gate platform"""
)

_DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Weds": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_DATES = MONTHS | _DAYS
_DATE = re.compile(rf"\b({'|'.join(sorted(_DATES, key=len, reverse=True))})\.(?![.\w])")
_NEVER_A_WORD = words("Feb Apr Aug Sept Oct Nov Tues Weds Thur Thurs")
_BEFORE_DATES = words("last next every each late early mid until till since through")
_DATE_FOLLOWS = re.compile(
    rf"[,;:)–-]|{GAP}(?:\d|[a-z]|(?:{'|'.join(sorted({*_DATES, *_DATES.values(), 'May'}, key=len, reverse=True))})\b)"
)

_ABBREVIATED = _TITLES.keys() | _POINTED_TITLES.keys() | _WAYS.keys() | _DATES.keys() | {"Dr", "St", "Jr", "Sr"}


_PASSES = 5
"""At most: what one pass writes out may tell what stands beside it. Most texts are done after one."""


# Markup, code, formulas; then whole tokens, of which addresses stay as they are.
_FOREIGN = re.compile(r"</?[A-Za-z!][^<>]{0,200}>|`[^`\n]{1,200}`|\$[^\s$]{1,40}\$(?!\d)|(?<![^\s<>`])[^\s<`]+|\ue000")


def spoken_english(text: str) -> str:
    """`text` with abbreviations, figures and measures as a careful person would read them aloud."""
    foreign: list[str] = []

    def hide(match: re.Match[str]) -> str:
        token = match[0]
        if token[0] in "<`\ue000" or token[-1] == "$" or "://" in token or "@" in token:
            foreign.append(token)
            return "\ue000"
        return token

    text = _FOREIGN.sub(hide, text)
    for _ in range(_PASSES):
        before, text = text, _once(text)
        if text == before:
            break
    shown = iter(foreign)
    return re.sub("\ue000", lambda _: next(shown), text)


def _once(text: str) -> str:
    text = spoken_figures(spoken_measures(text))
    for pattern, told in _RULES:
        text = pattern.sub(told, text)
    return spoken_letters(text)


def _title(match: re.Match[str]) -> str:
    text, word = match.string, _TITLES[match[1]] if match[1] else _POINTED_TITLES[match[2]]
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
    return (is_name(before) and before not in _DAYS.values()) or _ORDINAL.fullmatch(before) is not None


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
    return _WAYS[match[1]] + ("" if after in _AFTER_STREETS else point(text, match.end()))


def _follower(match: re.Match[str]) -> str:
    text, name = match.string, match[1]
    joined = text[max(0, match.start() - 2) : match.start()] == "& "
    before = word_before(text, match.start(), marks=".,")
    if not (joined or is_name(before)) or (name == "Co" and not match[2]) or before == "El":
        return match[0]
    return _FOLLOWERS[name] + point(text, match.end(), before_names=name in ("Bros", "Univ"))


def _plain(match: re.Match[str]) -> str:
    text, name = match.string, match[1] or match[2]
    ends = point(text, match.end()) if name.lower() in _ENDS_SENTENCES or is_over(text, match.end()) else ""
    return _cased(name, _PLAIN[name.lower()]) + ends


def _numbered(match: re.Match[str]) -> str:
    text, name = match.string, match[1]
    before = word_before(text, match.start())
    if name == "no" and before.lower() not in _BEFORE_NUMBERS:
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
    word = _NUMBERED[name.lower()]
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
        or (before in ("on", "On") and name in _DAYS)
        or (before in ("in", "In") and name in MONTHS)
        or _DATE_FOLLOWS.match(text, match.end())
    )
    if not known:
        return match[0]
    # A month before a day, and a day before a month, go on.
    after = word_after(text, match.end())
    goes_on = after[:1].isdigit() or after.startswith((*_DATES, "May"))
    return _DATES[name] + ("" if goes_on else point(text, match.end()))


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_DOCTOR, _doctor),
    (_SAINT, _saint),
    (_WAY, _way),
    (_TITLE, _title),
    (_TITLE_ALONE, _title_alone),
    (_FOLLOWER, _follower),
    (_PLAIN_WORD, _plain),
    (_NUMBERED_WORD, _numbered),
    (_DATE, _date),
)
