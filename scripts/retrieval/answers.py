"""What references are worth to answers: `/server/query` with the dataset and without, on a running server."""

import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from scripts.retrieval.corpus import DATASET
from scripts.retrieval.questions import Question

LONGEST_ANSWER = 600.0
AT_ONCE = 8
QUALITY = "low"
"""The mode that bounds an answer, by the model's config: an answer of a small model that goes on has no end."""
FILE = re.compile(r'"filename": ("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True, slots=True)
class Answered:
    """right: whether the text holds a known answer. named: whether its references name a right document; first: whether
    the first of them does.
    """

    ask: str
    text: str
    right: bool
    named: bool
    first: bool


def asked(
    url: str,
    some: Sequence[Question],
    *,
    with_dataset: bool,
    references: int | None = None,
    advance: Callable[[], None] = lambda: None,
) -> list[Answered]:
    """Each question once, greedily, in their order. references: the most; None is the server's own number.

    Raises httpx.HTTPError, and ValueError for an answer that is none.
    """
    with httpx.Client(base_url=url, timeout=LONGEST_ANSWER, trust_env=False) as client:

        def ask(one: Question) -> Answered:
            fields = {"message": one.ask, "dataset": DATASET if with_dataset else "none", "temperature": 0}
            more = {"quality": QUALITY} | ({} if references is None else {"limit_references": references})
            answer = client.post("/server/query", json=fields | more).raise_for_status().json()
            advance()
            return judged(one, answer)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(ask, some))


def judged(question: Question, answer: Any) -> Answered:
    """Raises ValueError for an answer that is none."""
    if answer["status"] != 200:
        raise ValueError(f"{question.ask}: {answer['response']}")
    files = [json.loads(one) for one in FILE.findall(answer["references"])]
    return Answered(
        question.ask,
        answer["message"],
        question.answered_by(answer["message"]),
        bool(question.documents & set(files)),
        bool(files) and files[0] in question.documents,
    )
