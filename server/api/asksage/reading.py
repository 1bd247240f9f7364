"""The text of a file that came with a request: it is put nowhere."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from server.api.body import Upload
from server.api.services import Services
from server.errors import Overloaded
from server.knowledge.parsing import reader
from server.knowledge.parsing.parsed import Block


async def blocks_of(services: Services, file: Upload, name: str) -> Sequence[Block]:
    """Read in a process of its own, of which there are so many at once as `Services.readers` lets in.

    Raises Overloaded after the time that requests wait for a model, UnreadableDocument.
    """
    settings = services.settings
    try:
        async with asyncio.timeout(settings.queue_timeout):
            await services.readers.acquire()
    except TimeoutError:
        raise Overloaded("Too many files are being read right now. Please try again shortly.") from None
    try:
        with tempfile.TemporaryDirectory(prefix="sagehold-") as folder:
            path = Path(folder) / "file"
            await to_thread.run_sync(path.write_bytes, file.data)
            return await reader.read(path, name, timeout=settings.document_timeout, memory=settings.document_memory)
    finally:
        services.readers.release()
