"""The text of a document by its pages, headings included, taken from it in the reading process."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from anyio import to_thread

from server.api.services import Services
from server.knowledge.parsing import reader
from server.knowledge.parsing.parsed import BETWEEN


@dataclass(frozen=True, slots=True)
class Page:
    """number: None where the file has no pages."""

    number: int | None
    text: str


async def pages_of_file(services: Services, path: Path, name: str) -> Sequence[Page]:
    """name: its suffix says what the file is. Raises UnreadableDocument, Overloaded."""
    settings = services.settings
    async with services.reading.turn():
        blocks = await reader.read(path, name, timeout=settings.document_timeout, memory=settings.document_memory)
    pages: dict[int | None, list[str]] = {}
    above: tuple[str, ...] = ()
    for block in blocks:
        same = takewhile(lambda pair: pair[0] == pair[1], zip(above, block.headings, strict=False))
        pages.setdefault(block.page, []).extend((*block.headings[len(list(same)) :], block.text))
        above = block.headings
    return [Page(number, BETWEEN.join(texts)) for number, texts in pages.items()]


async def pages_of_bytes(services: Services, data: bytes, name: str) -> Sequence[Page]:
    """As `pages_of_file`."""
    # It has no name, so nothing is left of it, however this process ends.
    with tempfile.TemporaryFile(prefix="sagehold-") as kept:
        await to_thread.run_sync(kept.write, data)
        kept.flush()
        return await pages_of_file(services, Path(f"/proc/self/fd/{kept.fileno()}"), name)
