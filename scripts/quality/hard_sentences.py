"""Sentences that are hard to say and to understand, made by a seed: numbers, names, abbreviations."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

Rng = np.random.Generator

_TEMPLATES: Mapping[str, Sequence[str]] = {
    kind: text.strip().splitlines()
    for kind, text in {
        "numbers": """
The invoice comes to {money}, due on {month} {nth}, {year}.
Flight {four} leaves gate {two} at {time} and lands at {time}.
Call {phone} before {time}, or {phone} after that.
The population grew from {thousands} to {thousands} in {teen} years.
Take {decimal} milligrams every {teen} hours, but never more than {two} a day.
Room {four} is on the {nth} floor, and room {four} on the {nth}.
The battery holds {thousands} units and charges to {two}% in {two} minutes.
In {year} the tower was {two} meters tall; in {year} it was only {two}.
Chapter {teen} begins on page {three} and ends on page {three}.
They paid ${decimal} million for {two} acres, and {money} for the barn.
Bus {two} runs every {teen} minutes, bus {teen} every {two}.
He ran {decimal} miles in {teen} minutes and {two} seconds.
Order number {five} has {teen} boxes of {two} and {two} boxes of {teen}.
Only {decimal}% of the {thousands} voters were under {two}.
She was born on {month} {nth}, {year}, and moved here in {year}.
Lot {two} sold for {money}, lot {two} for {money}.
""",
        "names": """
{first} {last} and {first} {last} sailed from {place} to {place}.
Mayor {last} thanked {first} {last} for her work in {place}.
{first} {last} plays the cello in {place} with {first}.
{first} met {first} {last} at a bakery in {place}.
Uncle {first} painted the cliffs of {place} for Lord {last}.
{first} {last} sold his vineyard near {place} to {first} {last}.
{first} drove from {place} to {place} in the rain.
The river runs past {place} and {place}, where {first} {last} fishes.
{first} wrote to {first} {last} about the opera in {place}.
Aunt {first} lost her hat between {place} and {place}.
Professor {last} teaches history in {place} and in {place}.
{first} {last} climbed the mountain with {first} and {first}.
{first} {last} inherited a castle near {place} from {first}.
Captain {last} won the regatta in {place} against {first} {last}.
""",
        "abbreviations": """
Dr. {last} will see Mrs. {last} at {time} in St. {saint}'s Hospital.
The {org} and the {org} met in {city} in {mon} {year}.
Mr. {last}, the CEO of {org}, sent the PDF to the IT dept. on {day} {mon} {nth}.
Prof. {last} teaches at {school}, and her husband works for {org}.
Turn left on {saint} St., then right on {last} Ave., and park at No. {two}.
The {org} agent flew from LAX to JFK with a {two} lb. suitcase.
Lt. {last} and Sgt. {last} drove {two} mph in the old SUV.
Mt. {last} is {thousands} ft. high and about {two} km from {city}.
Bring pens, paper, tape, etc. to the {org} by {time}.
The {thing} costs ${two} vs. ${two} for the {thing} and the {thing}.
Gov. {last} told the {org} that prices rose approx. {decimal}% in {year}.
{first} {last} Jr. met Capt. {last} at Ft. {last} on {mon} {nth}.
The HR dept. of {last} Bros. Inc. is on the {nth} floor, above the ATM.
Ms. {last} has a PhD from {school} and an MBA from {school}.
Send the {thing} ASAP to Dr. and Mrs. {last}, {two} {saint} Blvd.
The {thing} on the {thing} blinks if the HDMI cable is loose.
""",
    }.items()
}

_WORDS: Mapping[str, Sequence[str]] = {
    slot: text.split("|")
    for slot, text in {
        "first": "Eleanor|Tobias|Priya|Siobhan|Matthias|Yuki|Winifred|Ignacio|Beatrix|Agnieszka|Cornelius|Hamish"
        "|Nikolai|Anastasia|Octavia|Wolfgang|Kwame|Imogen|Leopold|Marguerite|Rafael|Gudrun|Cordelia|Barnaby|Thaddeus|Ximena"
        "|Desmond|Josephine|Penelope|Giuseppe|Rosalind|Hezekiah|Ophelia|Ferdinand",
        "last": "Whitfield|Lindqvist|Okonkwo|Gallagher|Oberhauser|Tanaka|Abernathy|Featherstone|Villanueva|Kowalski"
        "|Threlkeld|Macgregor|Pemberton|Steinmetz|Asante|Hartley|Fitzgerald|Delacroix|Echeverria|Blackwood|Greenbaum"
        "|Castellanos|Achebe|Vandersloot|Marchetti|Quigley|Thornbury|Nakamura|Eichelberger|Alvarez|Penn|Osborne|Haines",
        "place": "Halifax|Reykjavik|Tallahassee|Ljubljana|Albuquerque|Aberystwyth|Mendoza|Madagascar|Inverness|Verona"
        "|Poughkeepsie|Cappadocia|Schenectady|Saratoga|Edinburgh|Uppsala|Kilimanjaro|Llandudno|Winnipeg|Annapolis"
        "|Aleppo|Chattanooga|Dubrovnik|Sheboygan|Oswego|Montevideo|Ouagadougou|Valparaiso|Helsinki|Tuscaloosa",
        "org": "FBI|BBC|NATO|NASA|CNN|YMCA|WHO|EU|UN|NBA|IRS|FDA|CIA|IBM",
        "school": "MIT|UCLA|NYU|USC|LSE",
        "thing": "DVD|CD|USB stick|GPS|TV|LED|MRI scan|PDF|DNA test|SUV",
        "city": "Washington, D.C.|the U.S.|the U.K.|St. Louis|St. Paul|Seattle",
        "saint": "Luke|Mary|John|James|Oak|Elm|Birch",
        "month": "January|February|March|April|May|June|July|August|September|October|November|December",
        "mon": "Jan.|Feb.|Aug.|Sept.|Oct.|Nov.|Dec.",
        "day": "Mon.,|Tues.,|Wed.,|Thurs.,|Fri.,",
    }.items()
}

_SLOT = re.compile(r"\{(\w+)\}")


def _between(low: int, high: int) -> Callable[[Rng], str]:
    return lambda rng: str(rng.integers(low, high + 1))


def _nth(rng: Rng) -> str:
    number = int(rng.integers(1, 29))
    ending = "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


_NUMBERS: Mapping[str, Callable[[Rng], str]] = {
    "two": _between(20, 99),
    "teen": _between(11, 19),
    "three": _between(101, 999),
    "four": _between(1001, 9899),
    "five": _between(10_001, 98_999),
    "thousands": lambda rng: f"{rng.integers(1001, 99_999):,}",
    "decimal": lambda rng: f"{rng.integers(1, 40)}.{rng.integers(1, 10)}",
    "money": lambda rng: f"${rng.integers(2, 9999):,}.{rng.integers(10, 100)}",
    "year": _between(1801, 1999),
    "nth": _nth,
    "time": lambda rng: f"{rng.integers(1, 13)}:{rng.integers(10, 60)} {('a.m.', 'p.m.')[rng.integers(2)]}",
    "phone": lambda rng: f"555-{rng.integers(100, 200):04d}",
}

KINDS = tuple(_TEMPLATES)


def hard_sentence(kind: str, number: int, rng: Rng) -> str:
    """The kind's template `number`, counted round, with its slots filled by chance, each word used once."""
    templates = _TEMPLATES[kind]
    left = {slot: list(rng.permutation(words)) for slot, words in _WORDS.items()}

    def filled(slot: re.Match[str]) -> str:
        name = slot[1]
        return _NUMBERS[name](rng) if name in _NUMBERS else str(left[name].pop())

    return _SLOT.sub(filled, templates[number % len(templates)]).replace("..", ".")
