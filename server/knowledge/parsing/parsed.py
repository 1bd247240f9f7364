"""What a parser makes of a file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a table, a listing or the like, which chunks keep together where they can.

    headings: those above it, outermost first. page: of a PDF, a slide or a sheet by its number, from 1. start: of a
    recording, milliseconds; None otherwise, and `end` likewise. lines: its lines are rows or code, and are cut apart
    only where one is longer than a chunk; else they are prose, which is cut between sentences.
    """

    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    start: int | None = None
    end: int | None = None
    lines: bool = False


BETWEEN = "\n\n"
"""A document's whole text is its blocks' texts with this between them."""
