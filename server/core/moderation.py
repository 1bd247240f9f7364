"""What texts are moderated for: the OpenAI API's categories, which every classifier's labels are mapped onto."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Category = Literal[
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
]

CATEGORIES: tuple[Category, ...] = get_args(Category)


@dataclass(frozen=True, slots=True)
class Moderation:
    """What was found of one text.

    scores: 0 to 1, of the categories that the model has a label for, and no others. flagged: those of them whose score
    reaches their threshold.
    """

    scores: Mapping[str, float]
    flagged: frozenset[str]
