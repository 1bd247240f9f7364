"""The text of a file that comes with a request, and is kept nowhere."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from server.api.body import Upload
from server.api.services import Services
from server.knowledge.parsing import reader
from server.knowledge.prompt import File


async def read_text(services: Services, file: Upload, name: str) -> Sequence[File]:
    """The text of each page, or of the whole where there are none. Raises UnreadableDocument, Overloaded."""
    settings = services.settings
    async with services.reading.turn():
        # It has no name, so nothing is left of it, however this process ends.
        with tempfile.TemporaryFile(prefix="sagehold-") as kept:
            await to_thread.run_sync(kept.write, file.data)
            kept.flush()
            path = Path(f"/proc/self/fd/{kept.fileno()}")
            blocks = await reader.read(path, name, timeout=settings.document_timeout, memory=settings.document_memory)
    pages: dict[int | None, list[str]] = {}
    for block in blocks:
        pages.setdefault(block.page, []).append(block.text)
    return [File(name, "\n\n".join(texts), page) for page, texts in pages.items()]
