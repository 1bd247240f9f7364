"""Pages of live search: the main text, a paragraph for each line."""

from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.page_text import page_text
from server.knowledge.parsing.source import Source


def parse(source: Source, outline: Outline) -> None:
    outline.text(page_text(source.data(), None), lines=True)
