"""Telephone numbers, times, years and ranges in English text as a person reads them aloud.

Pure and linear. What stands beside a figure shows what it means. Where that is not plain, the figure stays as it is,
and the voice reads it as a number.
"""

import re

from server.english.abbreviations import DAYS, MONTHS
from server.english.number_words import CURRENCY_SIGNS, DECADES, HUNDRED, NUMBER, O_CLOCK, ZERO_LETTERS
from server.english.read_aloud.neighbours import FUNCTION_WORDS, GAP, is_name, point, word_after, word_before, words

_MONTH = rf"(?:May|{'|'.join(MONTHS.values())}|(?:{'|'.join(MONTHS)})\b\.?)"

_PHONE = re.compile(
    rf"(?<![\w.,/{CURRENCY_SIGNS}+-])"
    r"(?:(\+?\d{1,3})[-. ])?(?:\((\d{3})\)[ -]?|(\d{3})[-. ])?(\d{3})([-. ])(\d{4})"
    r"(?![\w/@-]|[.,]\d|[^\S\n]\d{3})"
)
_CALLING = re.compile(
    r"\b(?:call|phone|telephone|tel|dial|fax|cell|contact|ring|hotline)\b[.:]{0,2}"
    r"(?:(?:[^\S\n](?:me|us|him|her|them|at|on|is|number|now)\b:?){0,4}|(?:[^\S\n][\w'’]{1,16}){1,3}[^\S\n](?:at|on))"
    r"[^\S\n]{0,2}\Z",
    re.IGNORECASE,
)

_CLOCK = re.compile(rf"(?<![\w:.,/–-])([01]?\d|2[0-3]):0(\d)(?![\w:/–-]|\.\d)(?=(?:{GAP}?([AaPp])\.?[Mm]\b)?)")
_AT_AN_HOUR = words("about after around at before by from since till until")
_ELAPSED = re.compile(
    rf"{GAP}(?:pace|mark|minutes|into|left|remaining|(?:in|of){GAP}(?:the|this){GAP}(?:video|clip|song|film|game))\b"
)
_HALF_OF_DAY = re.compile(rf"(?<=\d){GAP}?([ap])(?:\.m\.|m\.(?!\w))(?!\.)", re.IGNORECASE)
_TIME_ZONES = words("Eastern Pacific Central Mountain Greenwich EST EDT ET CST CDT CT MST MDT PST PDT GMT UTC")

_YEAR = r"(?:1[1-9]\d\d|20[1-9]\d)"
_ALONE = rf"(?![\w%°{CURRENCY_SIGNS}/]|[.,:’'–-]\w|-)"
_YEARS = rf"({_YEAR})(?:([-–]|,?{GAP}(?:and|or|to|until|through){GAP})({_YEAR}))?{_ALONE}"
_DATED = re.compile(rf"\b({_MONTH}(?:{GAP}\d{{1,2}}(?:st|nd|rd|th)?(?!\w))?(?:,?{GAP}|{GAP}of{GAP})){_YEARS}")
_IN_YEAR = re.compile(
    rf"(?:\b(in|since|by|until|till|from|between|circa|ca\.|before|after|during|year|early|late|mid|born|died|founded"
    rf"|established|copyright"
    rf"|(?:summer|spring|autumn|fall|winter|end|beginning|start|revolution|war|crisis|election|class){GAP}of)"
    rf"(?:{GAP}|-)|[(©]{GAP}?){_YEARS}",
    re.IGNORECASE,
)
_ERA = re.compile(rf"(?<![\w.,{CURRENCY_SIGNS}/-])({_YEAR})(?={GAP}(?:AD|A\.D\.|BC|B\.C\.|BCE|CE)(?!\w))")
_DECADE = re.compile(rf"(?<![\w.,{CURRENCY_SIGNS}/])(1[1-9]|20)([1-9])0['’]?s(?!\w)")
_SHORT_DECADE = re.compile(
    r"(?:(?<![\w'’])['’]|(?<=\bthe )|(?<=\bhis )|(?<=\bher )|(?<=\btheir )|(?<=\bmy )|(?<=\bmid-)|(?<=\bearly )"
    r"|(?<=\blate ))([2-9])0['’]?s(?!\w)"
)
_DECADE_NAMES = {str(value // 10): name for name, value in DECADES.items()}
_PLURAL_COUNTED = words("after before by during from since until")
_UPPER_COMPLETE = words("AD BC BCE CE GMT UTC")
_CHANGES = words("divided multiplied up down rose rises fell falls grew grown increased decreased reduced cut won lost")

_RANGE = re.compile(
    rf"(?<![\w.,:/{CURRENCY_SIGNS}+=?&–-])"
    r"(?<!= )(?<!\w\[)(?![79][-–]11\b)([1-9]\d{0,3})[-–]([1-9]\d{0,3})(?![\w:/=–-]|[.,]\d)"
)
_RANGED = words("Ages Chapters Days Grades Levels Lines Nos Numbers Pages Paragraphs Sections Steps Verses Weeks Years")
_LABELS = words("apartment case code figure flight form item model no number part room rule section table type unit")
_NOT_RANGED = words("decision defeat defense loss punch record start victory vote win")
_PEOPLE = words("people men women children")
_HASH = re.compile(r"(?<![\w#&/])#(?=[1-9]\d{0,3}(?![\w#]))")


def spoken_figures(text: str) -> str:
    """`text` with times, years, decades and telephone numbers in words. espeak-ng would read them as plain numbers.

    Other numbers stay figures: espeak-ng reads them as people do.
    """
    text = _HALF_OF_DAY.sub(_half_of_day, _CLOCK.sub(_clock, text))
    text = _PHONE.sub(_phone, text)
    text = _DATED.sub(_years, text)
    text = _IN_YEAR.sub(_years, text)
    text = _ERA.sub(lambda match: _pairs(match[1]), text)
    text = _DECADE.sub(lambda match: f"{match[1]} {_DECADE_NAMES[match[2]]}", text)
    text = _SHORT_DECADE.sub(lambda match: _DECADE_NAMES[match[1]], text)
    return _HASH.sub(f"{NUMBER} ", _RANGE.sub(_range, text))


def _phone(match: re.Match[str]) -> str:
    country, bracketed, area, exchange, separator, line = match.groups()
    certain = bracketed or (area and separator != " ") or (separator == "-" and (exchange == "555" or line[0] == "0"))
    before = match.string[max(0, match.start() - 48) : match.start()]
    if not certain and (_counts(match) or not _CALLING.search(before)):
        return match[0]  # it may as well be a range
    groups = (country, bracketed or area, exchange, line)
    return ", ".join(" ".join(group.lstrip("+")) for group in groups if group)


def _counts(match: re.Match[str]) -> bool:
    after = word_after(match.string, match.end())
    return after in _PEOPLE or (after.islower() and after.endswith("s") and after not in FUNCTION_WORDS)


def _clock(match: re.Match[str]) -> str:
    hour, minute, half = int(match[1]), match[2], match[3]
    if not hour:
        return match[0]
    if minute != "0":
        return f"{match[1]} {ZERO_LETTERS[0]} {minute}"
    if half:
        return match[1]
    # Without such a word it may be a duration or a ratio.
    before = word_before(match.string, match.start()).lower()
    if before not in _AT_AN_HOUR or _ELAPSED.match(match.string, match.end()):
        return match[0]
    return f"{hour} {HUNDRED}" if hour > 12 else f"{hour} {O_CLOCK}"


def _half_of_day(match: re.Match[str]) -> str:
    after = word_after(match.string, match.end())
    if match[0][-2:] in ("m.", "M.") and match[0].count(".") == 1 and after.isdigit():
        return f" {match[1].upper()}M."
    goes_on = after in _TIME_ZONES or after.startswith((*DAYS, *MONTHS, "May"))
    return f" {match[1].upper()}M" + ("" if goes_on else point(match.string, match.end()))


def _pairs(year: str) -> str:
    """1847 as 18 47: espeak-ng reads two numbers of two figures just as a person reads a year."""
    century, rest = year[:2], year[2:]
    if rest == "00":
        return f"{century} {HUNDRED}"
    return f"{century} {ZERO_LETTERS[0]} {rest[1]}" if rest[0] == "0" else f"{century} {rest}"


def _is_complete(match: re.Match[str]) -> bool:
    """Whether nothing that could be counted follows: "in 1500 cases" names no year, nor does "by 1500 Americans"."""
    after = word_after(match.string, match.end())
    if len(after) > 1 and after.isupper():
        return after in _UPPER_COMPLETE
    if is_name(after) and after.endswith("s"):
        return (match[1] or "").strip(" -").lower() not in _PLURAL_COUNTED
    return not after or after[0].isupper() or after in FUNCTION_WORDS


def _years(match: re.Match[str]) -> str:
    _, year, joined, other = match.groups()
    if not _is_complete(match) or word_before(match.string, match.start()).lower() in _CHANGES:
        return match[0]
    read = match.string[match.start() : match.start(2)] + _pairs(year)
    if not other:
        return read
    return read + (" to " if joined in "-–" else joined) + _pairs(other)


def _range(match: re.Match[str]) -> str:
    before = word_before(match.string, match.start(), marks=".")
    # A name before it makes a model's number of it, such as an airplane's.
    labelled = (is_name(before) and before not in _RANGED) or before in _LABELS
    phone = len(match[1]) == 3 and len(match[2]) == 4 and not _counts(match)
    if int(match[1]) >= int(match[2]) or labelled or phone or word_after(match.string, match.end()) in _NOT_RANGED:
        return match[0]
    return f"{match[1]} to {match[2]}"
