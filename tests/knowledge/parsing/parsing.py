"""Documents read without the process of their own, which takes a tenth of a second to start."""

import io

from server.knowledge.parsing.bounds import Allowance, Bounds
from server.knowledge.parsing.dispatch import parse_document
from server.knowledge.parsing.outline import Sink
from server.knowledge.parsing.parsed import Block
from server.knowledge.parsing.source import Source, suffix_of

USUAL = Bounds()


def blocks_of(filename: str, data: bytes, bounds: Bounds = USUAL) -> list[Block]:
    blocks: list[Block] = []
    source = Source(io.BytesIO(data), suffix_of(filename), bounds, Allowance(bounds))
    parse_document(source, Sink(blocks.append, bounds))
    return blocks


def shown(blocks: list[Block]) -> list[tuple[str, str]]:
    """Headings and text of each."""
    return [(" > ".join(block.headings), block.text) for block in blocks]
