"""From blocks to chunks of a size that the embedding model reads at once."""

from collections.abc import Callable, Sequence

from server.knowledge.parsing.parsed import Block
from server.knowledge.records import Chunk


def chunked(blocks: Sequence[Block], tokens: Callable[[str], int], most: int = 256, overlap: int = 32) -> list[Chunk]:
    """Chunks of at most `most` tokens, headings included. They end where a block does if they can, otherwise where a
    sentence does, otherwise a word; none goes over a page or under another heading. overlap: tokens of whole sentences
    that a chunk repeats of the one before it, within one block. tokens: counts a text's.
    """
    raise NotImplementedError
