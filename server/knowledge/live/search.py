"""`live` of a question: which provider is asked, and what is said where there is none."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self
from urllib.parse import urlsplit

import anyio

from server.knowledge.live.pages import Pages
from server.knowledge.live.provider import Provider, SearchTrouble
from server.knowledge.live.searxng import Searxng
from server.knowledge.live.zim import ZimArchives
from server.knowledge.records import Live, WebResult
from server.settings import Settings

log = logging.getLogger(__name__)

RESULTS = 10
PAGES = 2
QUERY = 400
"""Most characters of a question that are sent to a search engine."""
NO_PROVIDER = "No search engine is configured on this server, so the answer is given without live search."
LOG_AGAIN = 60.0
"""Seconds after which a trouble that goes on is logged once more."""


class LiveSearch:
    """Never raises for a provider in trouble: an answer without it, which says so, is better than none.

    providers: the first is asked; each other one only where those before it are in trouble.
    """

    def __init__(self, providers: Sequence[Provider] = (), *, tick: Callable[[], float] = time.monotonic) -> None:
        self._providers = tuple(providers)
        self._tick = tick
        self._logged: dict[str, float] = {}

    @classmethod
    def configured(cls, settings: Settings) -> Self:
        """What the settings name: SearXNG first, then archives. Opens no connection. Raises SettingsError."""
        providers: list[Provider] = []
        if settings.searxng_url is not None:
            providers.append(Searxng(str(settings.searxng_url), Pages(settings.live_hosts)))
        if settings.zim_dir is not None:
            providers.append(ZimArchives(settings.zim_dir))
        return cls(providers)

    async def search(self, query: str, level: int) -> Live:
        """level: 0 gives nothing and asks nobody; 1 up to RESULTS results; 2 the text of the first PAGES besides.

        query: the question; of it one line of QUERY characters leaves this server, and nothing else.
        """
        asked = " ".join(query.split())[:QUERY].strip()
        if level <= 0:
            return Live()
        if not self._providers:
            return Live(unavailable=NO_PROVIDER)
        if not asked:
            return Live(unavailable="There is no text in the question that could be searched for.")
        troubles: list[str] = []
        for provider in self._providers:
            try:
                results = tuple(await provider.search(asked, RESULTS))[:RESULTS]
            except SearchTrouble as trouble:
                self._note(trouble)
                troubles.append(str(trouble))
                continue
            if not results:
                troubles.append("Live search found nothing.")
            elif level > 1:
                results, unread = await self._with_pages(provider, results)
                troubles += unread
            return Live(results, " ".join(troubles) or None)
        return Live(unavailable=" ".join(troubles))

    async def aclose(self) -> None:
        for provider in self._providers:
            await provider.aclose()

    async def _with_pages(
        self, provider: Provider, results: tuple[WebResult, ...]
    ) -> tuple[tuple[WebResult, ...], list[str]]:
        """The first PAGES with their texts, and why some are without."""
        made = list(results)
        unread: dict[int, str] = {}

        async def read(place: int) -> None:
            link = made[place].link
            try:
                made[place] = replace(made[place], page=await provider.read(link))
            except SearchTrouble as trouble:
                host = urlsplit(link).hostname or link
                unread[place] = f"The page of {host} was not read: {trouble}."

        async with anyio.create_task_group() as group:
            for place in range(min(PAGES, len(made))):
                group.start_soon(read, place)
        return tuple(made), list(dict.fromkeys(unread[place] for place in sorted(unread)))

    def _note(self, trouble: SearchTrouble) -> None:
        """Tell the operator, once a while of each trouble. Questions are in no log."""
        now = self._tick()
        if now >= self._logged.get(trouble.log, float("-inf")):
            self._logged = {log: until for log, until in self._logged.items() if until > now}
            self._logged[trouble.log] = now + LOG_AGAIN
            log.warning("live search: %s", trouble.log or trouble)
