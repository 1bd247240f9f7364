"""What is wrong with a chat model's config, field by field."""

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class Complaint(NamedTuple):
    """field: the way to it from the config's top, such as ("extra", "enforce_eagr")."""

    field: tuple[str | int, ...]
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.field))}: {self.message}"


def unknown(
    field: tuple[str | int, ...], name: str, what: str, allowed: Iterable[str], *, listed: bool = True
) -> Complaint:
    """`name` is none of `allowed`. listed: whether the message names all of those, or only the nearest."""
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    others = f"{'' if close else ';'} allowed: {', '.join(names)}" if listed else ""
    return Complaint(field, f"this vLLM knows no {what} {name!r}{hint}{others}")
