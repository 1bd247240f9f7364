"""The number words of English, in one table: text is read aloud with them, and texts are compared by them.

A word that is added here is known to both directions. Pure data; each direction derives its patterns from it.
"""

from dataclasses import dataclass

CARDINALS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
    " fifteenth sixteenth seventeenth eighteenth nineteenth"
)
"""Each stands at its value, from 0."""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = {name: ten * 10 for ten, name in enumerate(_TENS.split(), start=2)}
BELOW_A_HUNDRED = {
    **{name: value for names in (CARDINALS, ORDINALS) for value, name in enumerate(names.split())},
    **TENS,
    **{f"{name[:-1]}ieth": value for name, value in TENS.items()},
}
"""Every single word for a number below a hundred, cardinal or ordinal → its value."""

DECADES = {"tens": 10, **{f"{name[:-1]}ies": value for name, value in TENS.items()}}
"""1980s are "19 eighties"."""

HUNDRED = "hundred"
SCALES = {
    HUNDRED: 100,
    **{name: 1000**power for power, name in enumerate(["thousand", "million", "billion", "trillion"], 1)},
}
SCALE_FORMS = {f"{name}{end}": value for name, value in SCALES.items() for end in ("", "s", "th")}
SCALE_SIGNS = {"K": "thousand", "k": "thousand", "M": "million", "mn": "million", "B": "billion", "bn": "billion"}
"""How a scale is written right after an amount of money: $5k."""

ZERO_LETTERS = ("oh", "o")
"""A zero among other digits, read as the letter that it looks like: 1905 is "19 oh 5". The first is the one written."""

O_CLOCK = "o'clock"
NUMBER = "number"
"""What # and No. stand for before a figure."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts: a measure, a currency or its coin.

    one, many: the names after 1 and after any other number.
    signs: how it is written after a figure, with spaces between.
    compared: the spellings that count as one when texts are compared, with commas between; the first stands for all.
      What is not among them is compared as it is written: every "mile" stays a mile, but "miles per hour" is "mph".
    """

    one: str
    many: str
    signs: str = ""
    compared: str = ""


UNITS = (
    Unit("millimeter", "millimeters", "mm", "mm, millimeter, millimeters, millimetre, millimetres"),
    Unit("centimeter", "centimeters", "cm", "cm, centimeter, centimeters, centimetre, centimetres"),
    Unit("meter", "meters", "m"),
    Unit("kilometer", "kilometers", "km Km KM", "km, kilometer, kilometers, kilometre, kilometres"),
    Unit("square meter", "square meters", "m² sqm"),
    Unit("square kilometer", "square kilometers", "km²"),
    Unit("inch", "inches", "in"),
    Unit("foot", "feet", "ft Ft FT", "ft, foot, feet"),
    Unit("square foot", "square feet", "sqft ft²"),
    Unit("yard", "yards", "yd yds"),
    Unit("mile", "miles", "mi"),
    Unit("mile per hour", "miles per hour", "mph MPH", "mph, miles per hour, miles an hour"),
    Unit("kilometer per hour", "kilometers per hour", "kph kmh"),
    Unit("gram", "grams", "g"),
    Unit("kilogram", "kilograms", "kg Kg KG kgs", "kg, kilogram, kilograms, kilo, kilos"),
    Unit("milligram", "milligrams", "mg"),
    Unit("microgram", "micrograms", "mcg µg μg"),
    Unit("pound", "pounds", "lb lbs Lb Lbs LB LBS", "lb, lbs, pound, pounds"),
    Unit("ounce", "ounces", "oz Oz OZ", "oz, ounce, ounces"),
    Unit("liter", "liters", "l L"),
    Unit("milliliter", "milliliters", "ml mL"),
    Unit("deciliter", "deciliters", "dl dL"),
    Unit("gallon", "gallons", "gal"),
    Unit("quart", "quarts", "qt qts"),
    Unit("teaspoon", "teaspoons", "tsp"),
    Unit("tablespoon", "tablespoons", "tbsp"),
    Unit("millisecond", "milliseconds", "ms"),
    Unit("second", "seconds", "s sec secs"),
    Unit("minute", "minutes", "min mins"),
    Unit("hour", "hours", "h hr hrs"),
    Unit("hertz", "hertz", "Hz", "hz, hertz"),
    Unit("kilohertz", "kilohertz", "kHz", "khz"),
    Unit("megahertz", "megahertz", "MHz", "mhz"),
    Unit("gigahertz", "gigahertz", "GHz"),
    Unit("kilobyte", "kilobytes", "KB kB"),
    Unit("megabyte", "megabytes", "MB", "mb, megabyte, megabytes"),
    Unit("gigabyte", "gigabytes", "GB", "gb, gigabyte, gigabytes"),
    Unit("terabyte", "terabytes", "TB"),
    Unit("megabit per second", "megabits per second", "Mbps"),
    Unit("gigabit per second", "gigabits per second", "Gbps"),
    Unit("kilowatt", "kilowatts", "kW"),
    Unit("megawatt", "megawatts", "MW"),
    Unit("kilowatt hour", "kilowatt hours", "kWh"),
    Unit("decibel", "decibels", "dB"),
    Unit("kilocalorie", "kilocalories", "kcal"),
    # espeak-ng reads the signs of these well by itself.
    Unit("degree", "degrees", compared="degrees, degree"),
    Unit("percent", "percent", compared="percent, per cent"),
)

CURRENCIES = {
    "$": (Unit("dollar", "dollars", compared="dollars, dollar"), Unit("cent", "cents", compared="cents, cent")),
    # A pound of money is compared as one of weight: as words they are the same.
    "£": (Unit("pound", "pounds", compared="lb, pound, pounds"), Unit("penny", "pence")),
    "€": (Unit("euro", "euros", compared="euros, euro"), Unit("cent", "cents", compared="cents, cent")),
}
"""The sign before an amount → the currency and its coin, of which a hundred make one."""

CURRENCY_SIGNS = "".join(CURRENCIES)
"""For a pattern's character class."""
