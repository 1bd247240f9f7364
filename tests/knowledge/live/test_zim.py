"""Archives: searched by their texts where they have an index, else by titles; read; told where they are damaged."""

import sys
from pathlib import Path

import pytest
from libzim.writer import Creator, Hint, Item, StringProvider

from server.knowledge.live.search import LiveSearch
from server.knowledge.live.zim import ZimArchives
from server.knowledge.records import WebResult
from server.settings import Settings, SettingsError

pytestmark = pytest.mark.anyio

ARTICLES = {
    "Paris": "Paris is the capital of France. It lies on the Seine.",
    "Berlin": "Berlin is the capital of Germany.",
    "Seine": "The Seine is a river.",
    "Otter": "Otters eat fish.",
}


class Article(Item):  # type: ignore[misc]
    def __init__(self, title: str, text: str, kind: str = "text/html") -> None:
        super().__init__()
        self.title, self.text, self.kind = title, text, kind

    def get_path(self) -> str:
        return self.title

    def get_title(self) -> str:
        return self.title

    def get_mimetype(self) -> str:
        return self.kind

    def get_contentprovider(self) -> StringProvider:
        return StringProvider(self.text)

    def get_hints(self) -> dict[Hint, bool]:
        return {Hint.FRONT_ARTICLE: self.kind == "text/html"}


def make(file: Path, *, indexed: bool = True, articles: dict[str, str] = ARTICLES) -> None:
    with Creator(file).config_indexing(indexed, "eng") as creator:
        creator.set_mainpath("Paris")
        for title, text in articles.items():
            html = f"<html><body><nav>Menu</nav><h1>{title}</h1><p>{text}</p></body></html>"
            creator.add_item(Article(title, html))
        creator.add_item(Article("style.css", "capital {}", "text/css"))
        creator.add_redirection("Lutetia", "Lutetia", "Paris", {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("zim")
    make(made / "places.zim")
    return made


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("What is the capital of France?", "Paris"),
        ("which fish do otters eat", "Otter"),
        ("Seine river", "Seine"),
        ('capital* AND "germany" OR (', "Berlin"),
    ],
)
async def test_questions_find_articles(folder: Path, question: str, first: str) -> None:
    results = await ZimArchives(folder).search(question, 10)
    assert results[0] == WebResult(first, f"zim:places/{first}", f"{first} {ARTICLES[first]}")
    assert len({each.link for each in results}) == len(results)


@pytest.mark.parametrize("question", ["xyzzy", "?!", ")(*:", "capital-of-nothing " * 300])
async def test_odd_questions_do_no_harm(folder: Path, question: str) -> None:
    assert all(each.title in ARTICLES for each in await ZimArchives(folder).search(question, 10))


async def test_level_2_has_the_articles_texts(folder: Path) -> None:
    live = LiveSearch.configured(Settings(zim_dir=folder))
    found = await live.search("What is the capital of France?", 2)
    assert found.unavailable is None
    assert found.results[0].page == f"Paris\n{ARTICLES['Paris']}"
    await live.aclose()


async def test_without_an_index_titles_are_searched(tmp_path: Path) -> None:
    make(tmp_path / "plain.zim", indexed=False)
    results = await ZimArchives(tmp_path).search("Where does the Otter live?", 10)
    assert [each.title for each in results] == ["Otter"]


async def test_several_archives_are_asked_in_turn(tmp_path: Path) -> None:
    make(tmp_path / "a.zim", articles={"Paris": "A city.", "Paris (Texas)": "Another city."})
    make(tmp_path / "b.zim", articles={"Paris": "The city of light, and of Paris."})
    results = await ZimArchives(tmp_path).search("Paris", 10)
    assert {each.link.partition("/")[0] for each in results[:2]} == {"zim:a", "zim:b"}
    assert len(results) == 3
    assert len(await ZimArchives(tmp_path).search("Paris", 1)) == 1


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.zim").write_bytes(b"ZIM\x04" + b"\0" * 100)
    with pytest.raises(SettingsError, match=r"bad\.zim is no ZIM archive"):
        ZimArchives(tmp_path)


def test_a_missing_library_is_told_with_its_licence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libzim.reader", None)
    with pytest.raises(SettingsError, match=r"GPL 3 and not installed: pip install 'sagehold\[zim\]'"):
        ZimArchives(folder)
