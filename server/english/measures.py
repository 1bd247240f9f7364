"""Money and measures in English text as a person reads them aloud: "$5.50", "52 lb.", "30 km/h".

Pure and linear. Letters are a unit only right after a figure.
"""

import re

from server.english.context import GAP, is_attribute, is_name, point, word_after, words

_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,15})(?:\.\d{1,9})?(?![.,]?\d)"
_MONEY = re.compile(
    rf"(?<![\w$£€.,/])(?<!echo )(?<!print )([$£€])({_NUMBER})"
    r"(?:[^\S\n]?-?(hundred|thousand|million|billion|trillion)\b|(K|k|M|B|bn|mn)\b)?"
    r"(?:/([a-z]{1,12})\b)?(?![\w$£€/}=^]|[+*–-]\d)"
)
# A dash with a space beside it goes on with the sentence: "$20 - 3 times what I paid".
_MONEY_RANGE = re.compile(rf"(?<![\w$£€.,])([$£€])({_NUMBER})[-–]\1?(?=({_NUMBER}))")
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
}
_SCALES = {"K": "thousand", "k": "thousand", "M": "million", "mn": "million", "B": "billion", "bn": "billion"}

_UNITS = {
    sign: (one, many)
    for one, many, signs in (
        ("millimeter", "millimeters", "mm"),
        ("centimeter", "centimeters", "cm"),
        ("meter", "meters", "m"),
        ("kilometer", "kilometers", "km Km KM"),
        ("square meter", "square meters", "m² sqm"),
        ("square kilometer", "square kilometers", "km²"),
        ("inch", "inches", "in"),
        ("foot", "feet", "ft Ft FT"),
        ("square foot", "square feet", "sqft ft²"),
        ("yard", "yards", "yd yds"),
        ("mile", "miles", "mi"),
        ("mile per hour", "miles per hour", "mph MPH"),
        ("kilometer per hour", "kilometers per hour", "kph kmh"),
        ("gram", "grams", "g"),
        ("kilogram", "kilograms", "kg Kg KG kgs"),
        ("milligram", "milligrams", "mg"),
        ("microgram", "micrograms", "mcg µg μg"),
        ("pound", "pounds", "lb lbs Lb Lbs LB LBS"),
        ("ounce", "ounces", "oz Oz OZ"),
        ("liter", "liters", "l L"),
        ("milliliter", "milliliters", "ml mL"),
        ("deciliter", "deciliters", "dl dL"),
        ("gallon", "gallons", "gal"),
        ("quart", "quarts", "qt qts"),
        ("teaspoon", "teaspoons", "tsp"),
        ("tablespoon", "tablespoons", "tbsp"),
        ("millisecond", "milliseconds", "ms"),
        ("second", "seconds", "s sec secs"),
        ("minute", "minutes", "min mins"),
        ("hour", "hours", "h hr hrs"),
        ("hertz", "hertz", "Hz"),
        ("kilohertz", "kilohertz", "kHz"),
        ("megahertz", "megahertz", "MHz"),
        ("gigahertz", "gigahertz", "GHz"),
        ("kilobyte", "kilobytes", "KB kB"),
        ("megabyte", "megabytes", "MB"),
        ("gigabyte", "gigabytes", "GB"),
        ("terabyte", "terabytes", "TB"),
        ("megabit per second", "megabits per second", "Mbps"),
        ("gigabit per second", "gigabits per second", "Gbps"),
        ("kilowatt", "kilowatts", "kW"),
        ("megawatt", "megawatts", "MW"),
        ("kilowatt hour", "kilowatt hours", "kWh"),
        ("decibel", "decibels", "dB"),
        ("kilocalorie", "kilocalories", "kcal"),
    )
    for sign in signs.split()
}
# By themselves these letters mean too much else: "5m" may be five million, "5 L" a size.
_ONLY_IN_RATES = words("m g l L s h")
_EVERY = "|".join(sorted(_UNITS, key=len, reverse=True))
_ALONE = "|".join(sorted(_UNITS.keys() - _ONLY_IN_RATES, key=len, reverse=True))
_MEASURE = re.compile(
    rf"(?<![\w.,/$£€])({_NUMBER})({GAP}|-)?"
    rf"(?:((?:sq|cu)(?:\.[^\S\n]?|[^\S\n])(?=ft|in\.|mi|yd))?({_ALONE})|(?<=\s)(g)|({_EVERY})/({_EVERY}))(?![\w/²³'’-])"
    r"(\.(?![.\w]))?"
)
_FEET = re.compile(r"\d[^\S\n]?-?(?:ft\.?|feet|foot)[^\S\n]{1,3}\Z")


def spoken_measures(text: str) -> str:
    """`text` with its amounts of money and its measures written out; the figures stay figures."""
    text = _MONEY_RANGE.sub(_money_range, text)
    return _MEASURE.sub(_measure, _MONEY.sub(_money, text))


def _money_range(match: re.Match[str]) -> str:
    low, high = (float(number.replace(",", "")) for number in match.group(2, 3))
    return f"{match[2]} to {match[1]}" if low < high else match[0]


def _money(match: re.Match[str]) -> str:
    sign, number, scale, short, per = match.groups()
    one, many, small, smalls = _CURRENCIES[sign]
    scale = scale or _SCALES.get(short or "", "")
    rate = f" per {_UNITS[per][0] if per in _UNITS else per}" if per else ""
    whole, _, decimals = number.partition(".")
    attribute = "-" in match[0] or is_attribute(match.string, match.start(), match.end())
    if scale or len(decimals) != 2:
        unit = one if (number == "1" and not scale) or attribute else many
        return " ".join(filter(None, (number, scale, unit))) + rate
    cents = f"{int(decimals)} {small if decimals == '01' else smalls}"
    if whole == "0":
        return cents + rate
    unit = one if whole == "1" else many
    if decimals == "00":
        return f"{whole} {one if attribute else unit}{rate}"
    return f"{whole} {unit} and {cents}{rate}"


def _measure(match: re.Match[str]) -> str:
    text = match.string
    number, gap, area, alone, gram, over, per, pointed = match.groups()
    sign = alone or gram or over
    if sign == "in" and not _is_inch(match):
        return match[0]
    if sign == "Ft" and pointed and is_name(word_after(text, match.end())):
        return match[0]  # a fort
    one, many = _UNITS[sign]
    single = number == "1" or gap == "-" or is_attribute(text, match.start(), match.end())
    name = one if single else many
    if area:
        name = f"{'square' if area.startswith('sq') else 'cubic'} {name}"
    if per:
        name = f"{name} per {_UNITS[per][0]}"
    return f"{number} {name}{point(text, match.end())}"


def _is_inch(match: re.Match[str]) -> bool:
    """Whether "in" after a figure is no preposition: it has a point that ends no sentence, or follows feet."""
    text = match.string
    if match[3] or _FEET.search(text[max(0, match.start() - 12) : match.start()]):
        return True
    if not match[8]:
        return False
    return word_after(text, match.end())[:1].islower() or text[match.end() : match.end() + 1] in (",", ";", ")")
