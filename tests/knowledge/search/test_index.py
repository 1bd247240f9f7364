"""Both indexes, by what they find: each test runs on SQLite and on PostgreSQL."""

import math
import re

import numpy as np
import pytest

from server.knowledge.records import Chunk
from tests.knowledge.search.shelf import DIMENSIONS, Shelf, somewhere, unit

pytestmark = pytest.mark.anyio

BREAD = "Bread is baked from flour and water."
IRON = "Iron melts at 1538 degrees."
RIVER = "The river carries water to the sea."


def bm25(texts: list[str], query: list[str]) -> list[float]:
    """By the book: k1 = 1.2, b = 0.75, and a rarity of at least 1e-6."""
    words = [re.findall(r"[a-z0-9]+", each.lower()) for each in texts]
    average = sum(map(len, words)) / len(words)
    scores = [0.0] * len(texts)
    for term in query:
        held = sum(term in each for each in words)
        rarity = max(math.log((len(texts) - held + 0.5) / (held + 0.5)), 1e-6)
        for at, each in enumerate(words):
            times = each.count(term)
            scores[at] += rarity * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * len(each) / average))
    return scores


async def test_keyword_scores_are_those_of_bm25(shelf: Shelf) -> None:
    dice = np.random.default_rng(3)
    names = ["zak", "mib", "dok", "pol", "wug", "fep", "gan", "hux"]
    texts = [
        " ".join(dice.choice(names, size=int(dice.integers(3, 40)), p=[0.4, 0.2, 0.15, 0.1, 0.06, 0.05, 0.03, 0.01]))
        for _ in range(60)
    ]
    handbook = await shelf.dataset()
    await shelf.add(handbook, texts)
    query = ["fep", "gan", "hux", "dok"]
    found = await shelf.index.keyword(handbook, " ".join(query), 100)
    expected = sorted((score for score in bm25(texts, query) if score > 0), reverse=True)
    assert [one.score for one in found] == pytest.approx(expected, rel=1e-4)
    by_text = dict(zip(texts, bm25(texts, query), strict=True))
    for one, text in zip(found, await shelf.texts(found), strict=True):
        assert one.score == pytest.approx(by_text[text], rel=1e-4)


async def test_what_other_datasets_hold_changes_no_score(shelf: Shelf) -> None:
    mine, other = await shelf.dataset("mine"), await shelf.dataset("other")
    await shelf.add(mine, [BREAD, IRON, RIVER])
    before = await shelf.index.keyword(mine, "water flour", 5)
    await shelf.add(other, [BREAD] * 20)
    assert await shelf.index.keyword(mine, "water flour", 5) == before
    assert await shelf.by_words(other, "iron") == []


async def test_dense_search_is_exact(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    rows = somewhere(3000, 5)
    for part in range(3):
        texts = [str(at) for at in range(part * 1000, part * 1000 + 1000)]
        await shelf.add(handbook, texts, rows[part * 1000 : part * 1000 + 1000])
    query = somewhere(1, 77)
    expected = np.argsort(-(rows @ query[0]))[:25]
    found = await shelf.index.dense(handbook, query, 25)
    assert await shelf.texts(found) == [str(at) for at in expected]
    assert [one.score for one in found] == pytest.approx((rows @ query[0])[expected].tolist(), abs=1e-3)


async def test_a_document_is_found_only_once_it_is_ready(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    await shelf.add(handbook, [IRON], unit(0, 1)[None])
    document = await shelf.add(handbook, [BREAD] * 40, np.repeat(unit(1)[None], 40, 0), ready=False)
    assert await shelf.by_words(handbook, "bread iron", 1) == [IRON]
    assert await shelf.by_vector(handbook, unit(1), 1) == [IRON]
    await shelf.publish(handbook, document)
    assert await shelf.by_words(handbook, "bread", 1) == [BREAD]
    assert await shelf.by_vector(handbook, unit(1), 1) == [BREAD]


async def test_a_removed_document_is_gone(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    first = await shelf.add(handbook, [BREAD, RIVER], np.stack([unit(1), unit(0.9, 0.1)]))
    await shelf.add(handbook, [IRON], unit(0, 1)[None])
    assert await shelf.by_vector(handbook, unit(1), 3) == [BREAD, RIVER, IRON]
    await shelf.remove(handbook, first)
    assert await shelf.by_words(handbook, "bread river iron") == [IRON]
    assert await shelf.by_vector(handbook, unit(1), 3) == [IRON]
    # Nothing of it is counted either: two chunks with the same words as if they had always been the only ones.
    await shelf.add(handbook, [RIVER])
    alone = await shelf.dataset("alone")
    await shelf.add(alone, [IRON])
    await shelf.add(alone, [RIVER])
    assert [one.score for one in await shelf.index.keyword(handbook, "river", 3)] == pytest.approx(
        [one.score for one in await shelf.index.keyword(alone, "river", 3)]
    )


async def test_a_deleted_dataset_leaves_nothing(shelf: Shelf) -> None:
    handbook, other = await shelf.dataset(), await shelf.dataset("other")
    await shelf.add(handbook, [BREAD, IRON])
    await shelf.add(other, [RIVER])
    await shelf.drop(handbook)
    assert await shelf.index.keyword(handbook, "bread", 5) == []
    assert await shelf.index.dense(handbook, unit(1)[None], 5) == []
    assert await shelf.by_words(other, "river") == [RIVER]
    assert await shelf.tables() == await shelf.tables_of(other)


async def test_words_are_found_in_other_forms_and_without_their_marks(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    await shelf.add(handbook, ["The running costs of Zürich’s cafés", IRON])
    for query in ("cost", "ZURICH", "café", "cafe", "run", "zürich"):
        assert (await shelf.by_words(handbook, query))[0].startswith("The running"), query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("東京都は日本の首都です。", "首都"),
        ("東京都は日本の首都です。", "東京"),
        ("水は零度で凍る", "水"),
        ("서울은 대한민국의 수도이다", "수도"),
        ("กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย", "เมืองหลวง"),
        ("नई दिल्ली भारत की राजधानी है", "राजधानी"),
        ("Москва является столицей России", "МОСКВА"),
        ("The value of foo_bar in /etc/app.conf is 42", "foo_bar"),
        ("covid-19 was named in February 2020", "covid-19"),
        ("price: 99.50", "99.50"),
        ("version 2.4.6-rc1 of node.js", "node.js 2.4.6"),
        ("😀 is a grinning face", "😀 grinning"),
    ],
)
async def test_scripts_and_writings(shelf: Shelf, text: str, query: str) -> None:
    handbook = await shelf.dataset()
    await shelf.add(handbook, [IRON, text])
    assert await shelf.by_words(handbook, query) == [text]


async def test_headings_are_searched(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    await shelf.add(handbook, [Chunk(0, "It takes two weeks.", heading="Leave › Applications"), Chunk(1, IRON)])
    assert await shelf.by_words(handbook, "applications for leave") == ["It takes two weeks."]


HOSTILE = [
    'water"',
    '"water',
    "water OR",
    "water AND NOT",
    "NEAR(water, 2) water",
    "water*",
    "words:water",
    "water\0 and",
    "^water",
    "{water}: + -",
    "water' | !( & ) <-> :*",
    "water\\",
    "\ud800 water",
    "😀 water",
    "\u0301\u0301 water",
    "water " + "x" * 100_000,
    "water " + "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 20_000,
    "'; DROP TABLE chunks; -- water",
    "water :q0 %s {} $1 ?",
]


async def test_no_query_is_syntax(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    await shelf.add(handbook, [BREAD, IRON])
    for query in HOSTILE:
        assert await shelf.by_words(handbook, query) == [BREAD], query[:40]
    for query in ("", " ", "\0", "'", '"', "*", "()", "😀", "\ud800", "-", "\u0301", "NEAR", "OR", "\n" * 1_000_000):
        assert await shelf.by_words(handbook, query) == [], query[:40]


async def test_stopwords_are_left_out_unless_there_is_nothing_else(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    await shelf.add(handbook, ["To be, or not to be", IRON, RIVER])
    assert await shelf.by_words(handbook, "what is the iron?") == [IRON]
    assert await shelf.by_words(handbook, "to be or not to be") == ["To be, or not to be", RIVER]


async def test_hostile_chunks_are_stored(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    texts = ["nul \0 water", "lone \ud800 surrogate", "x" * 100_000, "", "' \" \\ : | & ! ( )", "kar " * 70_000, "😀"]
    document = await shelf.add(handbook, texts)
    assert len(await shelf.index.dense(handbook, unit(1)[None], 20)) == len(texts)
    assert len(await shelf.index.keyword(handbook, "water", 20)) == 1
    assert len(await shelf.index.keyword(handbook, "surrogate", 20)) == 1
    assert len(await shelf.index.keyword(handbook, "kar", 20)) == 1
    await shelf.remove(handbook, document)
    assert await shelf.index.keyword(handbook, "water surrogate kar", 20) == []


async def test_a_vector_that_is_no_number_ranks_last(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    broken = np.full((1, DIMENSIONS), np.nan, np.float32)
    await shelf.add(handbook, ["broken"], broken)
    await shelf.add(handbook, [BREAD], unit(1)[None])
    assert (await shelf.by_vector(handbook, unit(1), 1)) == [BREAD]
