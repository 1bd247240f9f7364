"""Tables as text: comma-, semicolon- or tab-separated values."""

import csv
import io

from server.errors import UnreadableDocument
from server.knowledge.parsing.formats.text import text_of
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.source import Source
from server.knowledge.parsing.tabular import put_rows

LARGEST_CELL = 1_000_000


def parse(source: Source, outline: Outline) -> None:
    text = text_of(source, outline)
    csv.field_size_limit(LARGEST_CELL)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, source.suffix))
    try:
        put_rows(rows, outline)
    except csv.Error as error:
        raise UnreadableDocument(
            f"The table can't be read: a cell has more than {LARGEST_CELL:,} characters, or a quote is left open."
        ) from error


def _delimiter(text: str, suffix: str) -> str:
    """The one that the first lines have most of."""
    if suffix == ".tsv":
        return "\t"
    start = text[:10_000]
    return max(",;\t|", key=start.count)
