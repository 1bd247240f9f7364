"""English text on its way to a voice of espeak-ng, with what a person reads otherwise than it is written spelled out.

espeak-ng spells many abbreviations as letters, ends a sentence at their points, and reads years, money and telephone
numbers as plain numbers. The words are here; figures, measures and letters have files of their own. Pure functions,
idempotent and linear. What stays ambiguous stays as it is: "no." before no number is a word.

Packages for this were tried and not taken: the small ones write "5 inch" and turn "I sat." into Saturday, the others
need 0.1 s and more for a sentence, which is time to the first sound, or bring a compiler of grammars.
"""

import re
from collections.abc import Callable

from server.engines.speech_context import GAP, is_name, is_over, opens_sentence, point, word_after, word_before, words
from server.engines.speech_figures import MONTHS, spoken_figures
from server.engines.speech_letters import spoken_letters
from server.engines.speech_measures import spoken_measures

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
    "Col": "Colonel",
    "Maj": "Major",
    "Gen": "General",
    "Adm": "Admiral",
    "Pvt": "Private",
    "Gov": "Governor",
    "Sen": "Senator",
    "Rep": "Representative",
    "Rev": "Reverend",
    "Hon": "Honorable",
    "Pres": "President",
    "Supt": "Superintendent",
    "Messrs": "Messers",
}
_ALONE = {name: word.lower() for name, word in (_TITLES | _POINTED_TITLES).items() if name in
          ("Lt", "Sgt", "Capt", "Cpl", "Cmdr", "Prof", "Gov")}  # fmt: skip
_TITLE = re.compile(rf"\b(?:({'|'.join(_TITLES)})\.?|({'|'.join(_POINTED_TITLES)})\.)(?={GAP}[A-Z])")
_TITLE_ALONE = re.compile(rf"\b({'|'.join(_ALONE)})\.(?!\.)(?={GAP}[a-z]|[,;:!?)]|\s{{0,3}}\Z)")

_DOCTOR = re.compile(r"\bDr\b(\.(?!\.))?")
_AND_A_TITLE = re.compile(rf"{GAP}(?:and|&){GAP}(?:Dr|Mr|Mrs|Ms|Miz|Prof)\b")
_SAINT = re.compile(r"\bSt\b(\.(?!\.))?(?!-)")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_AFTER_STREETS = words(
    """N S E W NE NW SE SW North South East West Apt Apartment Suite Ste Unit Bridge Station Journal Market Theater
    Theatre School Gallery Exit Bus"""
)
_WAYS = {
    "Ave": "Avenue",
    "Blvd": "Boulevard",
    "Rd": "Road",
    "Ln": "Lane",
    "Ct": "Court",
    "Pl": "Place",
    "Sq": "Square",
    "Ter": "Terrace",
    "Pkwy": "Parkway",
    "Hwy": "Highway",
    "Fwy": "Freeway",
    "Mts": "Mountains",
}
_WAY = re.compile(rf"\b({'|'.join(_WAYS)})\b(\.(?!\.))?")
_ANYWHERE = frozenset({"Blvd", "Pkwy", "Hwy", "Fwy"})

_FOLLOWERS = {
    "Jr": "Junior",
    "Sr": "Senior",
    "Inc": "Incorporated",
    "Corp": "Corporation",
    "Ltd": "Limited",
    "Co": "Company",
    "Bros": "Brothers",
    "Assn": "Association",
    "Univ": "University",
}
_FOLLOWER = re.compile(rf"\b({'|'.join(_FOLLOWERS)})\b(\.(?!\.))?")

_PLAIN = {
    "dept": "department",
    "depts": "departments",
    "govt": "government",
    "approx": "approximately",
    "misc": "miscellaneous",
    "incl": "including",
    "avg": "average",
    "vs": "versus",
    "cf": "compare",
    "viz": "namely",
    "i.e": "that is",
    "e.g": "for example",
    "et al": "et al",
}
_PLAIN_WORD = re.compile(
    rf"(?<![\w.@/-])(?:({'|'.join(map(re.escape, _PLAIN))})\.(?![.\w@])|(vs)(?=\s))", re.IGNORECASE
)
_ENDS_SENTENCES = frozenset({"dept", "depts", "govt", "et al"})

_NUMBERED = {
    "no": "number",
    "nos": "numbers",
    "p": "page",
    "pp": "pages",
    "vol": "volume",
    "vols": "volumes",
    "fig": "figure",
    "figs": "figures",
    "ch": "chapter",
    "sec": "section",
    "apt": "apartment",
    "bldg": "building",
    "rm": "room",
    "ste": "suite",
    "ext": "extension",
    "op": "opus",
    "rte": "route",
    "ca": "circa",
    "est": "established",
}
_NUMBERED_WORD = re.compile(rf"(?<![\w.@/-])({'|'.join(_NUMBERED)})\.{GAP}?(?=\d)", re.IGNORECASE)
_COUNTED = re.compile(rf"[\d,]{{1,12}}{GAP}(?!is\b|was\b|has\b|does\b)(?:[a-z]{{1,20}}s|people|men|women|children)\b")
# Before a small "no." these tell that a number is meant; after "said", say, it is an answer.
_BEFORE_NUMBERS = words(
    """at in to of by on from and the room house item order flight bus line lot chapter page exhibit article track
    serial account phone invoice part model case patent gate platform"""
)

_DAYS = {
    "Mon": "Monday",
    "Tue": "Tuesday",
    "Tues": "Tuesday",
    "Wed": "Wednesday",
    "Weds": "Wednesday",
    "Thu": "Thursday",
    "Thur": "Thursday",
    "Thurs": "Thursday",
    "Fri": "Friday",
    "Sat": "Saturday",
    "Sun": "Sunday",
}
_DATES = MONTHS | _DAYS
_DATE = re.compile(rf"\b({'|'.join(sorted(_DATES, key=len, reverse=True))})\.(?![.\w])")
_NEVER_A_WORD = words("Feb Apr Aug Sept Oct Nov Tues Weds Thur Thurs")
_BEFORE_DATES = words("last next every each late early mid until till since through")
_DATE_FOLLOWS = re.compile(
    rf"[,;:)–-]|{GAP}(?:\d|[a-z]|(?:{'|'.join(sorted({*_DATES, *_DATES.values(), 'May'}, key=len, reverse=True))})\b)"
)

_ABBREVIATED = _TITLES.keys() | _POINTED_TITLES.keys() | _WAYS.keys() | _DATES.keys() | {"Dr", "St"}


_PASSES = 5
"""At most: what one pass writes out may tell what stands beside it. Most texts are done after one."""


def spoken_english(text: str) -> str:
    """`text` with abbreviations, figures and measures as a careful person would read them aloud."""
    for _ in range(_PASSES):
        before, text = text, _once(text)
        if text == before:
            break
    return text


def _once(text: str) -> str:
    text = spoken_letters(spoken_measures(spoken_figures(text)))
    for pattern, told in _RULES:
        text = pattern.sub(told, text)
    return text


def _title(match: re.Match[str]) -> str:
    text, word = match.string, _TITLES[match[1]] if match[1] else _POINTED_TITLES[match[2]]
    unnamed = word_before(text, match.start()).lower() in ("a", "the", "my", "our", "his", "her", "their")
    if unnamed and opens_sentence(word_after(text, match.end())):
        return word.lower() + point(text, match.end())
    return word


def _title_alone(match: re.Match[str]) -> str:
    return _ALONE[match[1]] + point(match.string, match.end())


def _names_a_way(text: str, start: int) -> bool:
    before = word_before(text, start)
    if not before:
        return word_before(text, start, marks=".") in _ABBREVIATED
    return is_name(before) or _ORDINAL.fullmatch(before) is not None


def _doctor(match: re.Match[str]) -> str:
    text, after = match.string, word_after(match.string, match.end())
    way = _names_a_way(text, match.start())
    if after.isdigit() and not way:
        return match[0]
    if _AND_A_TITLE.match(text, match.end()) or (after[:1].isupper() and not (way and _ends_way(after))):
        return "Doctor"
    if way:
        return "Drive" + point(text, match.end())
    return "doctor" + point(text, match.end()) if match[1] else match[0]


def _saint(match: re.Match[str]) -> str:
    text, after = match.string, word_after(match.string, match.end())
    way = _names_a_way(text, match.start())
    if after[:1].isupper() and not opens_sentence(after) and not (way and _ends_way(after)):
        # "42nd St. Paul" is nobody's name either.
        return "Street." if _ORDINAL.fullmatch(word_before(text, match.start())) else "Saint"
    if not way:
        return match[0]
    return "Street" + ("" if after in _AFTER_STREETS else point(text, match.end()))


def _ends_way(after: str) -> bool:
    return after in _AFTER_STREETS or opens_sentence(after)


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
    if not (joined or is_name(word_before(text, match.start(), marks=".,"))) or (name == "Co" and not match[2]):
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
    if name == "No" and not before and _COUNTED.match(text, match.end()):
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
