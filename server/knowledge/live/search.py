"""`live` of a question: which provider is asked, and what is said where there is none."""

from server.knowledge.records import Live

RESULTS = 10
PAGES = 2


class LiveSearch:
    """Never raises for a provider in trouble: an answer without it, which says so, is better than none."""

    async def search(self, query: str, level: int) -> Live:
        """level: 0 gives nothing and asks nobody; 1 up to RESULTS results; 2 the text of the first PAGES besides."""
        raise NotImplementedError

    async def aclose(self) -> None: ...
