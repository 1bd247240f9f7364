"""Is an answer right? Lenient on the words around it where a question is about content, strict where it is about form.

Each takes the answer and what was expected. They share no code with the server, which compares drafts by rules of its
own: what is measured must not be the judge.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
_STATED = re.compile(
    rf"\b(?:answer|result|total|sum|difference|product)\b[^.\n\d]*?(?:is|:|=)\D{{0,12}}?({_NUMBER})", re.IGNORECASE
)
_EQUALS = re.compile(rf"=\s*\D{{0,3}}?({_NUMBER})(?!\s*[-+*/×÷=])")
_ANY = re.compile(_NUMBER)


def number(text: str, expected: float) -> bool:
    """The number that the answer comes to: the one it states, else that behind the last `=`, else its last one."""
    for pattern in (_STATED, _EQUALS, _ANY):
        if found := pattern.findall(text):
            return abs(float(found[-1].replace(",", "")) - expected) < 1e-9
    return False


def named(text: str, expected: Mapping[str, Any]) -> bool:
    """`right` is there, as whole words and in any case, and none of `wrong` is."""
    return _holds(text, expected["right"]) and not any(_holds(text, wrong) for wrong in expected["wrong"])


def _holds(text: str, words: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(words)}(?!\w)(?!\.\d)", text, re.IGNORECASE) is not None


def exactly(text: str, expected: str) -> bool:
    """The words, letter by letter; white space at the ends is nothing."""
    return text.strip() == expected


def one_word(text: str, expected: Sequence[str]) -> bool:
    """One word and nothing else, of those expected; a full stop is allowed."""
    return text.strip().removesuffix(".").casefold() in {word.casefold() for word in expected}


def numbered(text: str, expected: int) -> bool:
    """So many lines, `1. …` and on, and no other."""
    lines = _lines(text)
    marks = [re.match(r"\s*(\d+)[.)]\s+\S", line) for line in lines]
    return [int(mark[1]) if mark else None for mark in marks] == list(range(1, expected + 1))


def json_object(text: str, expected: Mapping[str, Any]) -> bool:
    """A JSON object and nothing else, with these keys and values; values in any case, numbers in quotes or not."""
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and _plain(found) == _plain(expected)


def _plain(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value).casefold() for key, value in values.items()}


def sentences(text: str, expected: int) -> bool:
    """So many sentences in one paragraph; each ends with a mark."""
    found = re.findall(r"[^.!?]+[.!?]+(?=\s|$)", text.strip())
    return "\n" not in text.strip() and text.strip()[-1:] in ".!?" and len(found) == expected


def sentence_with(text: str, expected: str) -> bool:
    """One sentence that holds the word."""
    return sentences(text, 1) and _holds(text, expected)


def _lines(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line.strip()]


CHECKERS: Mapping[str, Callable[[str, Any], bool]] = {
    check.__name__: check
    for check in (
        number, named, exactly, one_word, numbered, json_object, sentences, sentence_with,
    )
}  # fmt: skip
"""By their names, which the questions hold."""
