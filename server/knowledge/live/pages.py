"""The pages behind results, read through the guard that fetched pictures go through too."""

from collections.abc import Sequence
from email.message import Message

import anyio

from server.knowledge.live.provider import PAGE, SearchTrouble
from server.outbound.fetch import Fetcher, FetchError, Refusal

LIMIT = 2 * 2**20
"""Most bytes of a page."""
TIMEOUT = 8.0
ACCEPT = "text/html, application/xhtml+xml, text/plain;q=0.8"
KINDS = ("text/html", "application/xhtml+xml", "text/plain")


class Pages:
    """hosts: those whose pages may be fetched; see `Fetcher`."""

    def __init__(self, hosts: Sequence[str], fetcher: Fetcher | None = None) -> None:
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
            # A page can be made so that parsing takes long: whoever asked need not wait for that.
            with anyio.move_on_after(TIMEOUT):
                text = await anyio.to_thread.run_sync(_main_text, fetched.data, charset, abandon_on_cancel=True)
                if not text:
                    raise SearchTrouble("there is no text in it")
                return text
            raise SearchTrouble(Refusal.TOO_SLOW.value)
        if not text:
            raise SearchTrouble("there is no text in it")
        return text


def _main_text(data: bytes, charset: str | None) -> str:
    # lxml is not for a server that searches no pages.
    from server.knowledge.live.page_text import page_text

    return page_text(data, charset)


def _decoded(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8", errors="replace")
    except LookupError:
        return data.decode("utf-8", errors="replace")
