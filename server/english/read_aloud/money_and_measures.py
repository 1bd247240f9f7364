"""Money and measures in English text as a person reads them aloud: "$5.50", "52 lb.", "30 km/h".

Pure and linear. Letters are a unit only right after a figure.
"""

import re

from server.english.number_words import CURRENCIES, CURRENCY_SIGNS, SCALE_SIGNS, SCALES, UNITS
from server.english.read_aloud.neighbours import GAP, is_attribute, is_name, point, word_after, words

_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,15})(?:\.\d{1,9})?(?![.,]?\d)"
_MONEY = re.compile(
    rf"(?<![\w{CURRENCY_SIGNS}.,/])(?<!echo )(?<!print )([{CURRENCY_SIGNS}])({_NUMBER})"
    rf"(?:[^\S\n]?-?({'|'.join(SCALES)})\b|({'|'.join(SCALE_SIGNS)})\b)?"
    rf"(?:/([a-z]{{1,12}})\b)?(?![\w{CURRENCY_SIGNS}/}}=^]|[+*–-]\d)"
)
# A dash with a space beside it goes on with the sentence: "$20 - 3 times what I paid".
_MONEY_RANGE = re.compile(rf"(?<![\w{CURRENCY_SIGNS}.,])([{CURRENCY_SIGNS}])({_NUMBER})[-–]\1?(?=({_NUMBER}))")
_UNITS = {sign: unit for unit in UNITS for sign in unit.signs.split()}
# By themselves these letters mean too much else: "5m" may be five million, "5 L" a size.
_ONLY_IN_RATES = words("m g l L s h")
_EVERY = "|".join(sorted(_UNITS, key=len, reverse=True))
_ALONE = "|".join(sorted(_UNITS.keys() - _ONLY_IN_RATES, key=len, reverse=True))
_MEASURE = re.compile(
    rf"(?<![\w.,/{CURRENCY_SIGNS}])({_NUMBER})({GAP}|-)?"
    rf"(?:((?:sq|cu)(?:\.[^\S\n]?|[^\S\n])(?=ft|in\.|mi|yd))?({_ALONE})|(?<=\s)(g)|({_EVERY})/({_EVERY}))(?![\w/²³'’-])"
    r"(\.(?![.\w]))?"
)
_FEET = re.compile(r"\d[^\S\n]?-?(?:ft\.?|feet|foot)[^\S\n]{1,3}\Z")


def spoken_money_and_measures(text: str) -> str:
    """`text` with its amounts of money and its measures written out; the figures stay figures."""
    text = _MONEY_RANGE.sub(_money_range, text)
    return _MEASURE.sub(_measure, _MONEY.sub(_money, text))


def _money_range(match: re.Match[str]) -> str:
    low, high = (float(number.replace(",", "")) for number in match.group(2, 3))
    return f"{match[2]} to {match[1]}" if low < high else match[0]


def _money(match: re.Match[str]) -> str:
    sign, number, scale, short, per = match.groups()
    unit, coin = CURRENCIES[sign]
    scale = scale or SCALE_SIGNS.get(short or "", "")
    rate = f" per {_UNITS[per].one if per in _UNITS else per}" if per else ""
    whole, _, decimals = number.partition(".")
    attribute = "-" in match[0] or is_attribute(match.string, match.start(), match.end())
    if scale or len(decimals) != 2:
        name = unit.one if (number == "1" and not scale) or attribute else unit.many
        return " ".join(filter(None, (number, scale, name))) + rate
    coins = f"{int(decimals)} {coin.one if decimals == '01' else coin.many}"
    if whole == "0":
        return coins + rate
    if decimals == "00":
        return f"{whole} {unit.one if whole == '1' or attribute else unit.many}{rate}"
    return f"{whole} {unit.one if whole == '1' else unit.many} and {coins}{rate}"


def _measure(match: re.Match[str]) -> str:
    text = match.string
    number, gap, area, alone, gram, over, per, pointed = match.groups()
    sign = alone or gram or over
    if sign == "in" and not _is_inch(match):
        return match[0]
    if sign == "Ft" and pointed and is_name(word_after(text, match.end())):
        return match[0]  # a fort
    single = number == "1" or gap == "-" or is_attribute(text, match.start(), match.end())
    name = _UNITS[sign].one if single else _UNITS[sign].many
    if area:
        name = f"{'square' if area.startswith('sq') else 'cubic'} {name}"
    if per:
        name = f"{name} per {_UNITS[per].one}"
    return f"{number} {name}{point(text, match.end())}"


def _is_inch(match: re.Match[str]) -> bool:
    """Whether "in" after a figure is no preposition: it has a point that ends no sentence, or follows feet."""
    text = match.string
    if match[3] or _FEET.search(text[max(0, match.start() - 12) : match.start()]):
        return True
    if not match[8]:
        return False
    return word_after(text, match.end())[:1].islower() or text[match.end() : match.end() + 1] in (",", ";", ")")
