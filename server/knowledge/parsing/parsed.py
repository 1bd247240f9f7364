"""What a parser makes of a file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a table, a listing or the like, which chunks keep together where they can.

    headings: those above it, outermost first. page: of a PDF, a slide or a sheet by its number, from 1. start: of a
    recording, milliseconds; None otherwise, and `end` likewise.
    """

    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    start: int | None = None
    end: int | None = None
