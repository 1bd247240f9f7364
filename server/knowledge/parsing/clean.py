"""Text as it is kept: without what nobody sees, and without what a database or JSON can't carry."""

import re

_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # control characters
    "\u00ad\u200b\u2060\ufeff"  # soft hyphens, zero-width spaces, byte order marks
    "\u202a-\u202e\u2066-\u2069"  # changes of the writing's direction, by which text reads otherwise than it looks
    "\ud800-\udfff\ufdd0-\ufdef\ufff9-\ufffc\ufffe\uffff\U000e0000-\U000e007f"  # half characters, none, and tags
    "]"
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_LIGATURE = re.compile("[ﬀ-ﬆ]")


def clean(text: str) -> str:
    """Line ends are newlines, spaces are spaces, ligatures are letters; what is not seen is gone."""
    text = _UNSEEN.sub("", _LINE_ENDS.sub("\n", text))
    if text.isascii():
        return text
    return _LIGATURE.sub(lambda found: _LIGATURES[found[0]], _SPACES.sub(" ", text))


def prose(text: str) -> str:
    """Cleaned, each line with single spaces, without empty lines at either end."""
    return "\n".join(" ".join(line.split()) for line in clean(text).split("\n")).strip("\n")


def listing(text: str) -> str:
    """Cleaned, each line as it is but for spaces at its end, without empty lines at either end."""
    return "\n".join(line.rstrip() for line in clean(text).split("\n")).strip("\n")


def line(text: str, most: int | None = None) -> str:
    """Cleaned, in one line. most: characters; what is longer ends in an ellipsis."""
    text = " ".join(clean(text).split())
    return text if most is None or len(text) <= most else text[: most - 1].rstrip() + "…"
