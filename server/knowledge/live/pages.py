"""The pages behind results, read through the guard that fetched pictures go through too."""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from email.message import Message
from pathlib import Path

import anyio

from server.errors import UnreadableDocument
from server.knowledge.live.provider import PAGE, SearchTrouble
from server.knowledge.parsing import reader
from server.knowledge.parsing.parsed import BETWEEN
from server.outbound.fetch import Fetcher, FetchError, Refusal

LIMIT = 2 * 2**20
"""Most bytes of a page."""
TIMEOUT = 8.0
MEMORY = 256 * 2**20
"""Bytes that reading a page may take."""
AT_ONCE = 4
"""Pages that are read at once."""
PAGE_NAME = f"x{reader.PAGE}"
ACCEPT = "text/html, application/xhtml+xml, text/plain;q=0.8"
KINDS = ("text/html", "application/xhtml+xml", "text/plain")


class Pages:
    """hosts: those whose pages may be fetched; see `Fetcher`."""

    def __init__(self, hosts: Sequence[str], fetcher: Fetcher | None = None) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._fetcher = fetcher or Fetcher(hosts, limit=LIMIT, timeout=TIMEOUT)

    async def read(self, link: str) -> str:
        """A page's main text. Raises SearchTrouble."""
        try:
            fetched = await self._fetcher.fetch(link, ACCEPT, KINDS)
        except FetchError as error:
            if error.refusal is Refusal.NOTHING_ALLOWED:
                raise SearchTrouble("this server fetches no pages: its operator allowed no host") from None
            raise SearchTrouble(str(error)) from None
        header = Message()
        header["Content-Type"] = fetched.media_type
        charset = header.get_content_charset()
        if header.get_content_type() == "text/plain":
            text = _decoded(fetched.data, charset)[:PAGE].strip()
        else:
            text = await self._parsed(fetched.data, charset)
        if not text:
            raise SearchTrouble("there is no text in it")
        return text

    async def _parsed(self, data: bytes, charset: str | None) -> str:
        """In a process that may take long, grow or die by a page that was made for it."""
        with suppress(LookupError):
            if charset is not None:  # a byte order mark comes before what the page itself says
                data = "\ufeff".encode() + data.decode(charset, errors="replace").encode("utf-8", "replace")
        try:
            async with self._turns:
                with tempfile.TemporaryFile(prefix="sagehold-") as kept:
                    await anyio.to_thread.run_sync(kept.write, data)
                    kept.flush()
                    path = Path(f"/proc/self/fd/{kept.fileno()}")
                    blocks = await reader.read(path, PAGE_NAME, timeout=TIMEOUT, memory=MEMORY)
        except UnreadableDocument as error:
            raise SearchTrouble("no text could be read in it") from error
        return BETWEEN.join(block.text for block in blocks)[:PAGE]


def _decoded(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8", errors="replace")
    except LookupError:
        return data.decode("utf-8", errors="replace")
