"""How datasets are named: by the short name that their owner gave them, or by the full one, which tells the owner."""

import re
import unicodedata
from dataclasses import dataclass

from server.errors import InvalidRequest

ALL, NONE = "all", "none"
"""What a question says for every dataset that its caller may read, and for no dataset."""
SHORTEST, LONGEST = 4, 100
MOST_DIGITS = 10
# Clients' documentation has `user_content_…`, and the service `user_custom_…` (contract C16).
FULL = re.compile(r"user_(?:custom|content)_(\d+)_(.+)_content", re.ASCII)


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a dataset may have. owner_number: of a full one; None of a short one, which may be anybody's."""

    short: str
    owner_number: int | None = None


def checked_name(name: str) -> str:
    """The name of a new dataset. Raises InvalidRequest."""
    name = unicodedata.normalize("NFC", name)
    if not SHORTEST <= len(name) <= LONGEST:
        raise _refused(f"it has {SHORTEST} to {LONGEST} characters")
    if not name.isprintable() or name.strip() != name:
        raise _refused("it has printable characters, and no space before or after them")
    if "," in name:
        raise _refused("it has no comma, which separates names in a question")
    if name.casefold() in (ALL, NONE):
        raise _refused(f"in a question, {name.casefold()} means something else")
    if FULL.fullmatch(name):
        raise _refused("give the short one: user_custom_…_content is what the server makes of it")
    return name


def read_name(text: str) -> Name | None:
    """What a caller calls a dataset; None for what is no dataset's name."""
    if len(text) > 2 * LONGEST or not text.isprintable():
        return None
    text = unicodedata.normalize("NFC", text)
    if (full := FULL.fullmatch(text)) is None:
        return Name(text)
    number, short = full.groups()
    return Name(short, int(number)) if len(number) <= MOST_DIGITS else None


def _refused(rule: str) -> InvalidRequest:
    return InvalidRequest(f"That is no name for a dataset: {rule}.", param="dataset")
