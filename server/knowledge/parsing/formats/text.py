"""Plain text: paragraphs between empty lines."""

from server.knowledge.parsing.decoding import decoded
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.source import Source


def parse(source: Source, outline: Outline) -> None:
    outline.paragraphs(text_of(source, outline))


def text_of(source: Source, outline: Outline, declared: str | None = None) -> str:
    """The file's text. What is far over the bounds is refused before it is read."""
    outline.sink.foresee(source.size // 4)
    return decoded(source.data(), declared)
