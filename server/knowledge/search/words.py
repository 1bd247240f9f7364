"""Texts as words, the same way for what is indexed and for what is asked, on both databases.

The databases' own parsers disagree on hyphens, paths and numbers, and neither finds words within a script that is
written without spaces: so they get words with one space between them, and add their stemming only.
"""

import re
import unicodedata

MOST_TERMS = 32
"""Of a query; those that come first. A term costs time by the chunks that hold it, and there may be 1 MB of them."""
MOST_READ = 20_000
"""Characters of a query that are looked at."""
LONGEST = 64
"""Characters of a word that are kept, of keys and Base64 for instance."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai and Lao, Burmese, Khmer, kana, Han, Hangul."""
_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f\u0900-\u0dff])*")
_RUN = re.compile(f"([{_UNSPACED}]+)")
_MARKS = re.compile("[\u0300-\u036f]+")

STOPWORDS = frozenset(
    """a about above after again against all am an and any are as at be because been before being below between both
    but by can could did do does doing down during each few for from further had has have having he her here hers him his
    how i if in into is it its just me more most my no nor not now of off on once only or other our out over own please
    same she should so some such tell than that the their them then there these they this those through to too under
    until up very was we were what when where which while who whom whose why will with would you your""".split()
)
"""English words that nearly every chunk holds: they cost the most and tell the least."""


def indexed(text: str) -> str:
    """What is given to the database of a chunk's text."""
    return " ".join(_words(text, single=True))


def asked(query: str) -> tuple[str, ...]:
    """The terms of a query, each once; without stopwords, unless it has nothing else."""
    words = tuple(dict.fromkeys(_words(query[:MOST_READ], single=False)))
    telling = tuple(word for word in words if word not in STOPWORDS)
    return (telling or words)[:MOST_TERMS]


def _words(text: str, *, single: bool) -> list[str]:
    """single: whether each character of a script without spaces is a word too, beside each two neighbours."""
    if text.isascii():
        return [word[:LONGEST] for word in _WORD.findall(text.lower())]
    plain = unicodedata.normalize("NFKC", _MARKS.sub("", unicodedata.normalize("NFKD", text))).casefold()
    if _RUN.search(plain) is None:
        return [word[:LONGEST] for word in _WORD.findall(plain)]
    words: list[str] = []
    for part in _RUN.split(plain):
        if not _RUN.match(part):
            words.extend(word[:LONGEST] for word in _WORD.findall(part))
            continue
        if single or len(part) == 1:
            words.extend(part)
        words.extend(part[at : at + 2] for at in range(len(part) - 1))
    return words
