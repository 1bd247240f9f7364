"""Archives on this machine as what is searched: ZIM files (openzim.org), by libzim."""

import threading
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, TypeVar

import anyio

from server.knowledge.live.provider import LINK, PAGE, TITLE, SearchTrouble
from server.knowledge.records import WebResult
from server.settings import PREFIX, SettingsError

TIMEOUT = 8.0
SNIPPET_OF_ARTICLE = 300
LARGEST = 8 * 2**20
"""Most bytes of an article that is read."""
WORDS = 12
"""Most words of a question that are searched for."""
SCHEME = "zim:"
"""Of links: `zim:wikipedia_en/Paris` is the article Paris of wikipedia_en.zim."""

T = TypeVar("T")


class ZimArchives:
    """All `*.zim` of a folder as they are when the server starts."""

    def __init__(self, folder: Path) -> None:
        """Raises SettingsError, worded for the operator: no libzim, no folder, no archive, or a damaged one."""
        try:
            from libzim.reader import Archive
        except ImportError:
            message = (
                f"{PREFIX}ZIM_DIR: archives need libzim, which is under the GPL 3 and not installed: "
                "pip install 'sagehold[zim]', or unset it."
            )
            raise SettingsError(message) from None
        files = sorted(folder.absolute().glob("*.zim"))
        if not files:
            raise SettingsError(f"{PREFIX}ZIM_DIR: there is no *.zim in {folder.absolute()}")
        self._archives: dict[str, Any] = {}
        for file in files:
            try:
                self._archives[file.stem] = Archive(file)
            except RuntimeError as error:
                raise SettingsError(f"{PREFIX}ZIM_DIR: {file} is no ZIM archive that can be read: {error}") from None
        # libzim's searchers are not made for several threads.
        self._turn = threading.Lock()

    async def search(self, query: str, most: int) -> Sequence[WebResult]:
        """The best of each archive in turn. Raises SearchTrouble."""
        return await _in_time(lambda: self._search(query, most))

    async def read(self, link: str) -> str:
        """An article's text. Raises SearchTrouble."""
        return await _in_time(lambda: self._read(link))

    async def aclose(self) -> None:
        pass

    def _search(self, query: str, most: int) -> Sequence[WebResult]:
        with self._turn:
            orders = [
                [(name, path) for path in _paths(archive, query, most)] for name, archive in self._archives.items()
            ]
        found = dict.fromkeys(each for each in chain.from_iterable(zip_longest(*orders)) if each is not None)
        results: list[WebResult] = []
        for name, path in found:
            if len(results) == most:
                break
            title, text = _article(self._archives[name], path, SNIPPET_OF_ARTICLE)
            link = f"{SCHEME}{name}/{path}"
            if text and len(link) <= LINK:
                results.append(WebResult(title[:TITLE], link, " ".join(text.split())))
        return results

    def _read(self, link: str) -> str:
        name, _, path = link.removeprefix(SCHEME).partition("/")
        text = _article(self._archives[name], path, PAGE)[1]
        if not text:
            raise SearchTrouble("there is no text in it")
        return text


async def _in_time(work: Callable[[], T]) -> T:
    try:
        with anyio.fail_after(TIMEOUT):
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    except TimeoutError:
        raise SearchTrouble("The archive did not answer in time.", "an archive took too long") from None
    except (RuntimeError, KeyError) as error:  # what libzim raises for damaged clusters and missing entries
        raise SearchTrouble("The archive can't be read.", f"an archive can't be read: {error}") from None


def _paths(archive: Any, query: str, most: int) -> Sequence[str]:
    """Articles by their text where the archive has an index of it, then by the beginnings of their titles."""
    words = list(dict.fromkeys("".join(sign if sign.isalnum() else " " for sign in query).split()))[:WORDS]
    found = _by_text(archive, words, most) if archive.has_fulltext_index else []
    if len(found) < most and archive.has_title_index:
        found = [*found, *_by_title(archive, words, most)]
    return list(dict.fromkeys(found))[:most]


def _by_text(archive: Any, words: Sequence[str], most: int) -> Sequence[str]:
    """libzim finds what has all words of a query, and a question has words that no article has: those are left out
    first, then the commonest, until something is found.
    """
    from libzim.search import Query, Searcher

    searcher = Searcher(archive)

    def search(some: Sequence[str]) -> Any:
        return searcher.search(Query().set_query(" ".join(some)))

    counts = {word: search([word]).getEstimatedMatches() for word in words}
    left = sorted((word for word in words if counts[word]), key=lambda word: counts[word])
    found: list[str] = []
    while left and len(found) < most:
        found += search(left).getResults(0, most)
        left = left[:-1]
    return list(dict.fromkeys(found))


def _by_title(archive: Any, words: Sequence[str], most: int) -> Sequence[str]:
    """As `_by_text`, by titles' beginnings: of all words, else of single ones, the longest first."""
    from libzim.suggestion import SuggestionSearcher

    searcher = SuggestionSearcher(archive)
    singles = sorted((word for word in words if len(word) > 3), key=len, reverse=True)
    found: list[str] = []
    for some in [" ".join(words), *singles]:
        if some and len(found) < most:
            found += searcher.suggest(some).getResults(0, most)
    return found


def _article(archive: Any, path: str, most: int) -> tuple[str, str]:
    """Title and text; no text for what is no page."""
    entry = archive.get_entry_by_path(path)
    item = entry.get_item()  # of a redirect, what it leads to
    kind = item.mimetype.partition(";")[0].strip().lower()
    if item.size > LARGEST or kind not in ("text/html", "application/xhtml+xml", "text/plain"):
        return entry.title, ""
    data = bytes(item.content)
    if kind == "text/plain":
        return entry.title, data.decode("utf-8", errors="replace")[:most].strip()
    # lxml is not for a server that searches no archives.
    from server.knowledge.parsing.page_text import page_text

    return entry.title, page_text(data, "utf-8", most)
