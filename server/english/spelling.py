"""How far one text is from another as it is heard: both in one spelling, then the word error rate.

Numbers, ordinals, amounts of money, percentages and common abbreviations are spelled alike on both sides, since a
transcriber writes "$42.50" or "forty-two dollars and fifty cents" as it likes. For English; texts in other languages
are compared as they are written, but for case and punctuation.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

from server.english.numerals import with_digits

_MONEY = {"$": ("dollars", "cents"), "£": ("pounds", "pence"), "€": ("euros", "cents")}
_AMOUNT = re.compile(r"([$£€])\s?(\d+)(?:\.(\d\d)(?!\d))?(\.\d+)?(\s(?:hundred|thousand|million|billion|trillion))?\b")
_RANGE = re.compile(
    r"(?<![\w.:/$£€–-])([$£€]?)(?!\d{3}-\d{4}\b|\d\d[1-9]-\d{3}\b|[79]-11\b)(\d{1,4})[-–][$£€]?(\d{1,4})(?![\d:/–-]|[.,]\d)"
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_SIGNS = {
    "%": " percent ", "°": " degrees ", "&": " and ", "@": " at ", "=": " equals ", "¢": " cents ", "№": " number ",
}  # fmt: skip
_CONTRACTIONS = (
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"\bit's\b"), "it is"),
)
_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(?<=\d):00\b"), ""),  # 5:00
    (re.compile(r"(?<=\d):(?=\d\d\b)"), " "),  # 5:30
    (re.compile(r"(?<!\w)-(?=\d)"), "minus "),
    (re.compile(r"(?<=\d)\s*\+\s*(?=\d)"), " plus "),
    (re.compile(r"(?:#|\bno\.)\s?(?=\d)"), "number "),
    (re.compile(r"\b(?:[a-z]\.){2,}(?!\w)|\b(?:[a-z]\.)+[a-z]\b"), lambda match: match[0].replace(".", "")),  # u.s.a.
    (re.compile(r"(?<=\d)(?=(?:am|pm|km|kg|cm|mm|mph|ft|lbs?|oz|mb|gb|hz|khz|mhz)\b)"), " "),  # 5pm
    (re.compile(r"\bo'clock\b"), ""),
    (re.compile(r"'"), ""),
    (re.compile(r"\.(?!\d)|(?<!\d)\.|[^\w\s.]|_"), " "),
)
# The short form stands for whatever it may be short for, so that nothing has to be guessed: St is a saint or a street.
_ONE_SPELLING = {
    long: short
    for short, longs in {
        "dr": "doctor drive",
        "mr": "mister",
        "mrs": "missus misses",
        "ms": "miss",
        "st": "saint street",
        "ave": "avenue",
        "rd": "road",
        "blvd": "boulevard",
        "mt": "mount",
        "ft": "fort foot feet",
        "prof": "professor",
        "capt": "captain",
        "lt": "lieutenant",
        "sgt": "sergeant",
        "gen": "general",
        "gov": "governor",
        "sen": "senator",
        "rep": "representative",
        "rev": "reverend",
        "jr": "junior",
        "sr": "senior",
        "vs": "versus",
        "etc": "etcetera",
        "dept": "department",
        "approx": "approximately",
        "inc": "incorporated",
        "ltd": "limited",
        "corp": "corporation",
        "co": "company",
        "jan": "january",
        "feb": "february",
        "aug": "august",
        "sept": "september",
        "oct": "october",
        "nov": "november",
        "dec": "december",
        "mon": "monday",
        "tues": "tuesday tue",
        "wed": "wednesday",
        "thurs": "thursday thu",
        "fri": "friday",
        "km": "kilometer kilometers kilometre kilometres",
        "kg": "kilogram kilograms kilo kilos",
        "cm": "centimeter centimeters centimetre centimetres",
        "mm": "millimeter millimeters millimetre millimetres",
        "lb": "pound pounds lbs",
        "oz": "ounce ounces",
        "hz": "hertz",
        "mb": "megabyte megabytes",
        "gb": "gigabyte gigabytes",
        "dollars": "dollar",
        "cents": "cent",
        "euros": "euro",
        "degrees": "degree",
        "ok": "okay",
    }.items()
    for long in longs.split()
}
_PHRASES = (
    (("per", "cent"), ("percent",)),
    (("et", "cetera"), ("etc",)),
    (("miles", "per", "hour"), ("mph",)),
    (("miles", "an", "hour"), ("mph",)),
)
_CURRENCIES = {"dollars", "lb", "euros"}


def in_one_spelling(text: str) -> list[str]:
    """The words of `text` in lower case, without punctuation, and in one of the ways to write each."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("‘", "'")
    text = _AMOUNT.sub(_amount, _RANGE.sub(_range, _THOUSANDS.sub("", text)))
    for sign, word in _SIGNS.items():
        text = text.replace(sign, word)
    for pattern, plain in (*_CONTRACTIONS, *_PATTERNS):
        text = pattern.sub(plain, text)
    words = [_ONE_SPELLING.get(word, word) for word in _phrases(text.split())]
    words = [word for i, word in enumerate(words) if not (word == "and" and i and words[i - 1] in _CURRENCIES)]
    return _letters(with_digits(words))


def word_error_rate(said: str, heard: str) -> float:
    """Words put in, left out or changed on the way from `said` to `heard`, for each word said; 0 for none.

    Where nothing was said, 1 if anything was heard.
    """
    wanted, got = in_one_spelling(said), in_one_spelling(heard)
    if not wanted:
        return float(bool(got))
    return distance(wanted, got) / len(wanted)


def distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's distance in words. Bit-parallel (Myers 1999, in the form of Hyyrö 2003), so that a long text does
    not hold up the event loop: a column of the matrix is two integers."""
    if not a:
        return len(b)
    places: dict[str, int] = {}
    for i, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << i
    mask, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    up, down, found = mask, 0, len(a)
    for word in b:
        equal = places.get(word, 0)
        vertical = equal | down
        across = (((equal & up) + up) ^ up) | equal
        more = down | (~(across | up) & mask)
        less = up & across
        found += bool(more & last) - bool(less & last)
        more = (more << 1 | 1) & mask
        less = less << 1 & mask
        up = less | (~(vertical | more) & mask)
        down = more & vertical
    return found


def _amount(match: re.Match[str]) -> str:
    """$5.50 as 5 dollars 50 cents, and $1.2 million as 1.2 million dollars."""
    sign, whole, cents, fraction, scale = match.groups()
    unit, small = _MONEY[sign]
    if cents and not scale:
        return f"{whole} {unit} {cents} {small} "
    decimals = f".{cents}" if cents else fraction or ""
    return f"{whole}{decimals}{scale or ''} {unit} "


def _range(match: re.Match[str]) -> str:
    """5-10 as "5 to 10", and $5-10 as "5 to $10"; a falling one is a score or a label."""
    sign, low, high = match.groups()
    return f"{low} to {sign}{high}" if int(low) < int(high) else match[0]


def _phrases(words: Sequence[str]) -> list[str]:
    told: list[str] = []
    place = 0
    while place < len(words):
        for phrase, short in _PHRASES:
            if tuple(words[place : place + len(phrase)]) == phrase:
                told += short
                place += len(phrase)
                break
        else:
            told.append(words[place])
            place += 1
    return told


def _letters(words: Sequence[str]) -> list[str]:
    """Letters that stand alone side by side in one word: "u s a" as "usa"."""
    told: list[str] = []
    spelled = False
    for word in words:
        letter = len(word) == 1 and word.isalpha()
        if letter and spelled:
            told[-1] += word
        else:
            told.append(word)
        spelled = letter
    return told
