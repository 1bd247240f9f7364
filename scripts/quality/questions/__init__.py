"""The chat questions: made from a seed, each with the checker that knows its answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from scripts.quality.frame import Item
from scripts.quality.questions.arithmetic import ARITHMETIC
from scripts.quality.questions.extraction import EXTRACTION
from scripts.quality.questions.form import FORM
from scripts.quality.questions.made import Made

GROUPS: Mapping[str, Mapping[str, Callable[[Random], Made]]] = {
    "arithmetic": ARITHMETIC,
    "extraction": EXTRACTION,
    "form": FORM,
}

TRIES = 1000
"""For a question that was not asked yet."""


@dataclass(frozen=True, kw_only=True)
class Question(Item):
    """kind: the group; sort: which maker of the group it comes from. check: a name in checkers.CHECKERS."""

    sort: str
    prompt: str
    check: str
    expected: Any


def questions(size: int, seed: int) -> list[Question]:
    """As many questions, the groups and their makers by turns, and none twice.

    The first ones are the same whatever the size. Raises ValueError where a maker has no more.
    """
    rng = Random(seed)
    makers = _by_turns()
    asked: set[str] = set()
    found: list[Question] = []
    while len(found) < size:
        kind, sort, make = makers[len(found) % len(makers)]
        made = next((new for _ in range(TRIES) if (new := make(rng)).prompt not in asked), None)
        if made is None:
            raise ValueError(f"there are not {size} different questions: {sort} has no more")
        asked.add(made.prompt)
        number = f"{len(found):04}"
        found.append(
            Question(id=number, kind=kind, sort=sort, prompt=made.prompt, check=made.check, expected=made.expected)
        )
    return found


def _by_turns() -> list[tuple[str, str, Callable[[Random], Made]]]:
    """All makers, such that each group has the same share: the makers of a small one come more often."""
    turns = max(map(len, GROUPS.values()))
    lists = {kind: list(makers.items()) for kind, makers in GROUPS.items()}
    return [(kind, *makers[turn % len(makers)]) for turn in range(turns) for kind, makers in lists.items()]
