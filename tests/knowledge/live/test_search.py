"""Which provider is asked, what of a question leaves, and that nothing is opened where nothing is configured."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from server.knowledge.live.provider import SearchTrouble
from server.knowledge.live.search import NO_PROVIDER, PAGES, QUERY, RESULTS, LiveSearch
from server.knowledge.records import Live, WebResult
from server.settings import Settings, SettingsError

pytestmark = pytest.mark.anyio


class Library:
    """A provider that finds `count` results, or is in trouble; pages in `silent` can't be read."""

    def __init__(self, count: int = 12, trouble: str = "", silent: Sequence[int] = ()) -> None:
        self.results = [WebResult(f"Title {n}", f"https://{n}.example/", f"Snippet {n}") for n in range(count)]
        self.trouble = trouble
        self.silent = silent
        self.asked: list[str] = []
        self.read_: list[str] = []

    async def search(self, query: str, most: int) -> Sequence[WebResult]:
        self.asked.append(query)
        if self.trouble:
            raise SearchTrouble(self.trouble, "a line for the operator")
        return self.results[:most]

    async def read(self, link: str) -> str:
        self.read_.append(link)
        if any(link == self.results[place].link for place in self.silent):
            raise SearchTrouble("the host answered with status 404")
        return f"Text of {link}"

    async def aclose(self) -> None: ...


async def test_level_0_asks_nobody_and_1_gives_results_without_pages() -> None:
    library = Library()
    live = LiveSearch([library])
    assert await live.search("lunch", 0) == Live()
    assert library.asked == []
    assert await live.search("lunch", 1) == Live(tuple(library.results[:RESULTS]))
    assert library.read_ == []


async def test_level_2_reads_the_first_pages_and_tells_which_it_could_not() -> None:
    library = Library(silent=[1])
    found = await LiveSearch([library]).search("lunch", 2)
    assert len(library.read_) == PAGES == 2
    assert [each.page for each in found.results] == ["Text of https://0.example/", *[None] * 9]
    assert found.unavailable == "The page of 1.example was not read: the host answered with status 404."


async def test_one_line_of_the_question_leaves_and_no_more() -> None:
    library = Library()
    await LiveSearch([library]).search("  When is\n\nlunch?\t" + "x" * 1000, 1)
    [asked] = library.asked
    assert asked.startswith("When is lunch? xxx")
    assert len(asked) == QUERY
    assert (await LiveSearch([library]).search(" \n", 1)).unavailable is not None
    assert len(library.asked) == 1


async def test_the_archive_is_asked_where_the_first_is_in_trouble_and_that_is_told() -> None:
    first, second = Library(trouble="The search engine could not be reached."), Library(2)
    found = await LiveSearch([first, second]).search("lunch", 1)
    assert found == Live(tuple(second.results), "The search engine could not be reached.")
    well, never = Library(0), Library()
    assert await LiveSearch([well, never]).search("x", 1) == Live(unavailable="Live search found nothing.")
    assert never.asked == []


async def test_nothing_configured_opens_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        opened.append(arguments)
        raise OSError("a test of this counts what is opened")

    live = LiveSearch.configured(Settings(live_hosts=("*",)))
    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    assert await live.search("lunch", 2) == Live(unavailable=NO_PROVIDER)
    await live.aclose()
    assert opened == []


async def test_what_is_configured_opens_nothing_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(searxng_url="http://127.0.0.1:9/", live_hosts=("*",))  # type: ignore[arg-type]
    opened: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        opened.append(arguments)
        raise OSError

    with monkeypatch.context() as counted:
        for name in ("socket", "create_connection", "getaddrinfo"):
            counted.setattr(socket, name, refuse)
        live = LiveSearch.configured(settings)
        assert await live.search("lunch", 0) == Live()
        assert opened == []
    assert (await live.search("lunch", 1)).unavailable == "The search engine could not be reached."
    await live.aclose()


def test_a_folder_without_archives_is_told_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"SAGEHOLD_ZIM_DIR: there is no \*\.zim in"):
        LiveSearch.configured(Settings(zim_dir=tmp_path))
