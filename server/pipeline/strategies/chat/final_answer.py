"""The final answer in a text, in one spelling, so that two texts can be compared. Pure string work."""

import json
import re
from decimal import Decimal, InvalidOperation

SHORT = 12
"""Words up to which a single line is an answer as a whole."""

_TOLD = re.compile(r"(?:final answer|answer|result|total)\s*(?:is|are|=|:)\s*\**\s*([^\n]+)", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\{([^{}]+)\}")
_HASHES = re.compile(r"^####\s*(.+)$", re.MULTILINE)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_CLAUSE_END = re.compile(r"[,;.]\s|\s(?:because|since|as)\s", re.IGNORECASE)
_EDGES = " \t\r\n.,;:!?\"'`*_()[]{}$€£"
_ARTICLES = re.compile(r"\b(?:a|an|the)\b\s*")


def final_answer(text: str, *, numeric: bool = False) -> str | None:
    """The answer that `text` comes to, None where it is not of a kind that can be compared.

    numeric: a number is asked for, and the last one is the answer. JSON is compared as JSON, short lines as a whole.
    """
    text = text.strip()
    if not text:
        return None
    if (found := canonical(text)) is not None:
        return found
    stated = _stated(text)
    if numeric:
        return number(stated or "") or number(text)
    if stated is not None and len(stated.split()) <= SHORT:
        return plain(stated)
    if "\n" not in text and len(text.split()) <= SHORT:
        return plain(text)
    return None


def canonical(text: str) -> str | None:
    """JSON objects and lists in one spelling; None for what is neither."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None


def number(text: str) -> str | None:
    """The last number in a text: `1,234.50` as 1234.5."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    try:
        return f"{Decimal(found[-1].replace(',', '')).normalize():f}"
    except InvalidOperation:
        return None


def plain(text: str) -> str | None:
    """Without case, punctuation at the edges, and articles; a lone number as `number` gives it."""
    bare = " ".join(_ARTICLES.sub("", text.casefold()).split()).strip(_EDGES)
    return (number(bare) if _NUMBER.fullmatch(bare) else bare) or None


def _stated(text: str) -> str | None:
    for pattern in (_BOXED, _HASHES, _TOLD):
        if found := pattern.findall(text):
            return _CLAUSE_END.split(str(found[-1]).strip(), maxsplit=1)[0]
    return None
