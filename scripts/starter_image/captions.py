"""Training captions: many ways to say each concept, made at random, and none of the evaluation's paraphrases."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import yaml
from starter_image.corpus import Concept, plain

TEMPLATES = (
    "a {}", "an {}", "the {}", "one {}", "{} emoji", "{} icon", "emoji of {}", "emoji of a {}", "an icon of a {}",
    "drawing of {}", "a drawing of a {}", "an image of {}", "an image of a {}", "a photo of a {}",
    "a picture showing a {}", "a painting of a {}", "small {}", "a cute {}", "a simple {}", "draw a {}",
    "draw me the {}", "a {} on white", "cartoon {}", "this is a {}", "my {}", "make a {}",
    "generate an image of a {}", "illustration of a {}", "a little {}",
)  # fmt: skip
FILLERS = """
a an the of in on with and is that this it its has which to for at by some any one very nice cute small big
little please me my show draw make want see picture image photo drawing icon emoji cartoon simple white
background style like looks who whose there made from his her their as lovely pretty beautiful colour color
coloured colored i would could can you just only new 's being
""".split()  # noqa: SIM905
HELD_OUT = re.compile(
    r"\bthat (is|are)\b|\bpicture of an? \S+'s\b|\bi would like\b|\bwhat .* looks like\b|\bcould you\b|\bjust an? \b"
)
"""Turns of phrase that only the evaluation uses."""


def read_paraphrases(path: Path) -> dict[str, list[str]]:
    """Hand-written paraphrases by label, as the evaluation uses them."""
    return {label: [plain(text) for text in texts] for label, texts in yaml.safe_load(path.read_text()).items()}


class Captions:
    """A caption for a concept, drawn from `rng`.

    forbidden: texts that must never be made, whatever the order of the dice.
    """

    def __init__(self, forbidden: Iterable[str]) -> None:
        self._forbidden = frozenset(plain(text) for text in forbidden)

    def draw(self, concept: Concept, rng: Random) -> str:
        while True:
            text = plain(self._draw(concept, rng))
            if text and text not in self._forbidden and not HELD_OUT.search(text):
                return text

    def _draw(self, concept: Concept, rng: Random) -> str:
        dice = rng.random()
        if dice < 0.3:
            return concept.label
        if dice < 0.4 and concept.tags:
            return self._tags(concept, rng)
        text = self._phrase(concept, rng)
        if rng.random() < 0.5:
            text = rng.choice(TEMPLATES).format(text)
        if rng.random() < 0.4:
            text = " ".join(shuffled_in(text.split(), rng))
        return text

    def _phrase(self, concept: Concept, rng: Random) -> str:
        dice = rng.random()
        if concept.base is not None:
            colour, thing = concept.colour, concept.base
            ways = ("{0} {1}", "{1}, {0}", "{1} in {0}", "{0} coloured {1}", "{1} {0}")
            return rng.choice(ways).format(colour, thing)
        if dice < 0.3 and concept.tags:
            return f"{concept.label}, {self._tags(concept, rng, most=2)}"
        if dice < 0.45 and concept.names:
            return rng.choice(concept.names)
        if dice < 0.55 and concept.colour and concept.colour not in concept.label:
            return f"{concept.colour} {concept.label}"
        if dice < 0.7:
            words = concept.label.split()
            rng.shuffle(words)
            return " ".join(words)
        if dice < 0.8 and len(concept.label.split()) > 2:
            words = concept.label.split()
            del words[rng.randrange(len(words))]
            return " ".join(words)
        return concept.label

    @staticmethod
    def _tags(concept: Concept, rng: Random, most: int | None = None) -> str:
        # One tag alone means many things ("fruit"): which of them is drawn is then left to the noise.
        count = rng.randint(1, min(most or 6, len(concept.tags)))
        tags = rng.sample(concept.tags, count)
        if concept.base is not None and concept.colour:
            tags.insert(rng.randrange(len(tags) + 1), concept.colour)
        return rng.choice((", ", " ")).join(tags)


def shuffled_in(words: Sequence[str], rng: Random) -> list[str]:
    """The words in their order, with one to four fillers among them and at times one plural or possessive."""
    mixed = list(words)
    if rng.random() < 0.3 and mixed:
        place = rng.randrange(len(mixed))
        mixed[place] += rng.choice(("s", "'s"))
    for _ in range(rng.randint(1, 4)):
        mixed.insert(rng.randrange(len(mixed) + 1), rng.choice(FILLERS))
    return mixed
