"""Facts that no model can know, made by a seed: five kinds of things with invented names, and a question for each fact.

Things of even number are for choosing, those of odd number are told.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

SEED = 20260101
OF_EACH_KIND = 6

_STARTS = (
    "Bram",
    "Cor",
    "Del",
    "Ered",
    "Fen",
    "Gal",
    "Hol",
    "Ister",
    "Jor",
    "Kel",
    "Lind",
    "Mar",
    "Nor",
    "Ober",
    "Pel",
)
_ENDS = ("dale", "essa", "ford", "ick", "in", "low", "moor", "ona", "rath", "sund", "tova", "und", "vik", "wyn", "zano")
_FIRST = ("Ada", "Bruno", "Clara", "Dario", "Edith", "Felix", "Greta", "Hugo", "Ines", "Jonas", "Karin", "Leon", "Mira")
_FAMILY = (
    "Abt",
    "Borg",
    "Castle",
    "Dorn",
    "Ekman",
    "Falk",
    "Grimes",
    "Hale",
    "Iversen",
    "Juhl",
    "Kovac",
    "Lund",
    "Moss",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_METALS = ("copper", "zinc", "brass", "tin", "nickel", "lead", "silver", "bronze")

_KINDS = (
    (
        "{name} depot",
        (
            "The {name} depot was opened in {year} on the edge of {town}. It is managed by {person}, who answers for "
            "all of its {count} lorries. The lorries are serviced every {day}."
        ),
        (
            ("Who is in charge of the {name} depot?", "{person}"),
            ("How many lorries does the {name} depot have?", "{count}"),
            ("On which day of the week are lorries serviced at the {name} depot?", "{day}"),
        ),
    ),
    (
        "{name} pump",
        (
            "Maintenance of the {name} pump: its filter is changed after {count} hours of work, and the housing, made "
            "of {metal}, is cleaned at the same time. Spare filters are ordered by the part number {code}."
        ),
        (
            ("After how many hours is the filter of the {name} pump changed?", "{count}"),
            ("What is the housing of the {name} pump made of?", "{metal}"),
            ("Which part number do spare filters for the {name} pump have?", "{code}"),
        ),
    ),
    (
        "{name} agreement",
        (
            "The {name} agreement was signed in {town} in {year}. {person} signed for the suppliers. Invoices under "
            "the agreement are due within {count} days of delivery."
        ),
        (
            ("In which year was the {name} agreement signed?", "{year}"),
            ("Who signed the {name} agreement for the suppliers?", "{person}"),
            ("Within how many days are invoices due under the {name} agreement?", "{count}"),
        ),
    ),
    (
        "{name} office",
        (
            "Visitors of the {name} office report at the desk in room {count}. The office is closed on {day}. Its "
            "guest network is called {code}, and {person} hands out the passwords."
        ),
        (
            ("What is the guest network of the {name} office called?", "{code}"),
            ("On which day is the {name} office closed?", "{day}"),
            ("Who hands out passwords at the {name} office?", "{person}"),
        ),
    ),
    (
        "{name} expedition",
        (
            "In {year} the {name} expedition set out from {town} under {person}. It found a seam of {metal} at a depth "
            "of {count} metres, and returned in the same winter."
        ),
        (
            ("Who led the {name} expedition?", "{person}"),
            ("From which town did the {name} expedition set out?", "{town}"),
            ("Which metal did the {name} expedition find?", "{metal}"),
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """A question, its answer, the text of the thing that it is about and that of the others, most like it first.

    place: of the right text among those that are shown, as a share of their number, 0 to 1.
    """

    ask: str
    answer: str
    title: str
    text: str
    others: Sequence[tuple[str, str]]
    place: float
    told: bool

    def shown(self, number: int, *, best: bool = False) -> list[tuple[str, str]]:
        """Titles and texts of `number` sources, of which one is right: the first, or one by lot."""
        sources = list(self.others[: number - 1])
        sources.insert(0 if best else int(self.place * number), (self.title, self.text))
        return sources


def facts(seed: int = SEED) -> list[Fact]:
    drawn = random.Random(seed)
    names = [start + end for start in _STARTS for end in _ENDS]
    drawn.shuffle(names)
    things = []
    for kind, (title, text, questions) in enumerate(_KINDS):
        # No two of a kind share an answer.
        people = [
            f"{first} {family}"
            for first, family in zip(*(drawn.sample(of, OF_EACH_KIND) for of in (_FIRST, _FAMILY)), strict=True)
        ]
        years, counts = drawn.sample(range(1931, 2009), OF_EACH_KIND), drawn.sample(range(12, 98), OF_EACH_KIND)
        days, metals = drawn.sample(_DAYS, OF_EACH_KIND), drawn.sample(_METALS, OF_EACH_KIND)
        for number in range(OF_EACH_KIND):
            name, town = names.pop(), names.pop()
            fields = {
                "name": name,
                "town": town,
                "person": people[number],
                "year": years[number],
                "count": counts[number],
                "day": days[number],
                "metal": metals[number],
                "code": f"{name[:2].upper()}-{drawn.randrange(1000, 9999)}",
            }
            asked = [(ask.format(**fields), answer.format(**fields)) for ask, answer in questions]
            things.append((kind, number, title.format(**fields), text.format(**fields), asked))
    found = []
    for kind, number, title, text, asked in things:
        like = [(one[2], one[3]) for one in things if one[0] == kind and one[1] != number]
        unlike = [(one[2], one[3]) for one in things if one[0] != kind]
        for ask, answer in asked:
            others = drawn.sample(like, 2) + drawn.sample([one for one in unlike if answer not in one[1]], 7)
            found.append(Fact(ask, answer, title, text, others, drawn.random(), bool(number % 2)))
    drawn.shuffle(found)
    return found
