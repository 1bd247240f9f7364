"""Source code, settings and logs: what stands together between empty lines, with its indentation."""

import json
import re

from server.knowledge.parsing import clean
from server.knowledge.parsing.formats.text import text_of
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.source import Source

LONGEST_LINE = 2_000
"""Characters. JSON with a longer line is written out anew with its structure on lines."""
LARGEST_JSON = 10_000_000
_CLOSING = re.compile(r"\s*(?:[)\]}>]|end\b|else\b|except\b|finally\b|catch\b)")
"""A line that ends what the lines before it began."""
_NAMED = re.compile(
    r"(?:export |public |abstract |final |static |pub )*"
    r"(?:class|interface|struct|impl|trait|enum|namespace|module|object) \S"
)


def parse(source: Source, outline: Outline) -> None:
    text = text_of(source, outline)
    if source.suffix == ".json":
        text = _on_lines(text)
    for part in parts(clean.listing(text)):
        _put(part, outline)
    outline.flush()


def parts(text: str) -> list[str]:
    """What begins at the left margin after an empty line, with all that is indented below it."""
    found: list[list[str]] = []
    empty = True
    for line in text.split("\n"):
        begins = line and empty and not line[0].isspace() and not _CLOSING.match(line)
        if begins or not found:
            found.append([])
        found[-1].append(line)
        empty = not line
    return ["\n".join(part).rstrip() for part in found]


def _put(part: str, outline: Outline) -> None:
    """A class or the like becomes a heading over its parts, so that a method is known by its class."""
    first = part.split("\n", 1)[0]
    if _NAMED.match(first) and "\n\n" in part:
        inner = Outline(outline.sink, (*outline.headings, clean.line(first.rstrip(" {:"), 120)))
        for paragraph in part.split("\n\n"):
            inner.text(paragraph, lines=True)
    else:
        outline.text(part, lines=True)


def _on_lines(text: str) -> str:
    if len(text) > LARGEST_JSON or max(map(len, text.split("\n"))) <= LONGEST_LINE:
        return text
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
