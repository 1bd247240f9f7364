"""RTF documents."""

from striprtf.striprtf import rtf_to_text

from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.source import Source


def parse(source: Source, outline: Outline) -> None:
    outline.sink.foresee(source.size // 40)  # most of such a file is pictures
    for line in rtf_to_text(source.data().decode("latin-1"), errors="replace").split("\n"):
        outline.text(line)
