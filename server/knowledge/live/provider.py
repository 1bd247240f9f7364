"""What live search asks of a provider."""

from collections.abc import Sequence
from typing import Protocol

from server.knowledge.records import WebResult

TITLE = 300
SNIPPET = 1000
LINK = 2000
PAGE = 20_000
"""Most characters of each; a longer link's result is left out."""


class SearchTrouble(Exception):
    """Nothing was found because of the provider, or a page was not read. Its message is for the client: no address of
    the provider, and nothing that it wrote. log: for the operator besides.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class Provider(Protocol):
    async def search(self, query: str, most: int) -> Sequence[WebResult]:
        """The best first. Raises SearchTrouble."""
        ...

    async def read(self, link: str) -> str:
        """The text behind one of its results. Raises SearchTrouble."""
        ...

    async def aclose(self) -> None: ...
