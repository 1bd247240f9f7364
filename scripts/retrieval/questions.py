"""The questions, what answers each, and which of them may be tuned on."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter
from yaml import safe_load

from scripts.retrieval.corpus import Document

QUESTIONS = Path(__file__).with_name("questions.yaml")
DEV_SHARE = 0.3

Split = Literal["dev", "test"]


@dataclass(frozen=True)
class Question:
    """kind: keyword (words of the passage), paraphrase (others than the passage's), name, or number.

    passages: ids of those that answer it (2) or help (1). answers: any of these words in a text makes it right.
    """

    ask: str
    kind: Literal["keyword", "paraphrase", "name", "number"]
    passages: Mapping[str, int]
    answers: tuple[str, ...]

    @property
    def split(self) -> Split:
        """By the question's text alone, so that new ones move no other."""
        drawn = int.from_bytes(hashlib.sha256(self.ask.encode()).digest()[:4], "big") / 2**32
        return "dev" if drawn < DEV_SHARE else "test"

    @cached_property
    def documents(self) -> frozenset[str]:
        """Files of which any answers it."""
        return frozenset(f"{one.partition('/')[0]}.md" for one, grade in self.passages.items() if grade == 2)

    def answered_by(self, text: str) -> bool:
        """Whether one of the answers stands in the text, at the beginning of a word."""
        return any(re.search(rf"(?<!\w){re.escape(one)}", text, re.IGNORECASE) for one in self.answers)


def questions(path: Path = QUESTIONS) -> list[Question]:
    return TypeAdapter(list[Question]).validate_python(safe_load(path.read_text()))


def of(split: Split | Literal["all"], some: Sequence[Question]) -> list[Question]:
    return [one for one in some if split in ("all", one.split)]


def faults(some: Iterable[Question], documents: Iterable[Document]) -> list[str]:
    """Questions that hold their own answer, or whose passages don't exist or don't hold an answer, one line each."""
    texts = {passage.id: f"{document.title}\n{passage.text}" for document in documents for passage in document.passages}
    wrong = []
    for one in some:
        if one.answered_by(one.ask):
            wrong.append(f"holds its own answer: {one.ask}")
        for passage, grade in one.passages.items():
            if passage not in texts:
                wrong.append(f"{passage} does not exist: {one.ask}")
            elif grade == 2 and not one.answered_by(texts[passage]):
                wrong.append(f"{passage} does not hold {', '.join(one.answers)}: {one.ask}")
    return wrong
