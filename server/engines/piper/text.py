"""Text on its way to a voice: what is cleaned before phonemization, and where a long sentence may be cut after it.

Pure functions. A *sentence* is a list of phoneme symbols as espeak-ng gives them, with the punctuation kept among
them and a space between words.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

LONGEST = 120
"""Phonemes in one synthesis step, about 8 s of speech: no audio leaves and no cancellation is seen during it.

Cutting costs no clarity: of nine readings of sentences of 250 characters by the starter voice, Whisper (tiny.en) got
15 words wrong when they were spoken whole and 5 when they were cut.
"""

OPENING = 60
"""The same for the very first step where the sentence has a clause to end at: the listener is waiting."""

SHORTEST = 15
"""Voices mumble fragments: a clause shorter than this is not cut off by itself."""

CLAUSE_MARKS = frozenset(",;:")

# espeak-ng swallows an ellipsis and runs the words on its two sides together.
_ELLIPSIS_WITHIN = re.compile(r"\s*(?:\.{2,}|…)\s*(?=[^\W\d_A-Z])")
_ELLIPSIS = re.compile(r"\s*(?:\.{2,}|…)\s*")
# It reads a dash as a pause only between spaces.
_DASH = re.compile(r"(?<=\w)—(?=\w)")
# It ends a sentence at the point of these before a capital.
_TITLE = re.compile(r"\b(Mr|Mrs|Ms|Dr|Prof)\.(?=\s+[^\W\d_])")
# Piper takes [[…]] as raw phonemes, which is no part of this API: such text is read out like any other.
_RAW_PHONEMES = re.compile(r"\[(?=\[)")


def spoken_text(text: str) -> str:
    """`text` in a form that espeak-ng reads as a person would; empty if there are only spaces and controls."""
    text = text.encode("utf-8", "replace").decode()
    text = "".join(c if c.isspace() or unicodedata.category(c) != "Cc" else " " for c in text)
    text = _ELLIPSIS_WITHIN.sub(", ", text)
    text = _ELLIPSIS.sub(". ", text)
    text = _DASH.sub(" — ", text)
    text = _TITLE.sub(r"\1", text)
    return _RAW_PHONEMES.sub("[ ", text).strip()


def is_speakable(sentence: Sequence[str]) -> bool:
    """Whether anything in it sounds: a voice given punctuation alone makes a noise."""
    return any(symbol.isalnum() for symbol in sentence)


def pieces(sentence: Sequence[str], limit: int, longest: int) -> Iterator[list[str]]:
    """Cut a sentence into steps; their concatenation is the sentence.

    limit: a sentence or clause run up to this stays whole; a longer one is cut after clause marks, never leaving a
    fragment under SHORTEST. longest: what then is still longer is cut between words, or anywhere in a longer word.
    """
    if len(sentence) <= limit:
        yield list(sentence)
        return
    piece: list[str] = []
    rest = list(_clauses(sentence))
    while rest:
        clause = rest.pop(0)
        remaining = len(clause) + sum(map(len, rest))
        if len(piece) >= SHORTEST and len(piece) + len(clause) > limit and remaining >= SHORTEST:
            yield from _words(piece, longest)
            piece = []
        piece += clause
    yield from _words(piece, longest)


def _clauses(sentence: Sequence[str]) -> Iterator[list[str]]:
    """Runs that end with a clause mark and the space after it."""
    start = 0
    for at in range(1, len(sentence)):
        if sentence[at - 1] in CLAUSE_MARKS and sentence[at] == " ":
            yield list(sentence[start : at + 1])
            start = at + 1
    if start < len(sentence):
        yield list(sentence[start:])


def _words(piece: list[str], longest: int) -> Iterator[list[str]]:
    """Parts of about equal length, none over `longest`."""
    while len(piece) > longest:
        parts = -(-len(piece) // longest)
        even = -(-len(piece) // parts)
        spaces = [at for at in range(1, longest) if piece[at] == " "]
        cut = min(spaces, key=lambda at: abs(at - even)) + 1 if spaces else longest
        yield piece[:cut]
        piece = piece[cut:]
    if piece:
        yield piece
