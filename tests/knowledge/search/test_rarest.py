"""The rarest words choose what is ranked, and the others add to the rank."""

import pytest
from sqlalchemy import text

from server.knowledge.records import Dataset
from server.knowledge.search import bm25, rarest
from server.knowledge.search.index import Found
from server.knowledge.search.rarest import chosen
from tests.knowledge.search.shelf import Shelf


@pytest.mark.parametrize(
    ("held", "choosing", "adding"),
    [
        ({}, [], []),
        ({"valve": 300, "pressure": 2500, "report": 12_000}, ["valve", "pressure"], ["report"]),
        ({"report": 12_000, "the": 90_000}, ["report"], ["the"]),
        ({"valve": 3, "report": 12_000, "the": 90_000}, ["valve", "report"], ["the"]),  # three are too few
        ({"nowhere": 0, "valve": 300}, ["valve"], []),
        ({"b": 7, "a": 7}, ["a", "b"], []),
    ],
)
def test_the_rarest_choose(held: dict[str, int], choosing: list[str], adding: list[str]) -> None:
    choice = chosen(held, 66)
    assert (list(choice.choosing), list(choice.adding)) == (choosing, adding)


async def looked_at(shelf: Shelf) -> None:
    """PostgreSQL's own statistics say which words are common; SQLite counts."""
    if not shelf.database.sqlite:
        async with shelf.database.write() as session:
            await session.execute(text("ANALYZE"))


async def keyword(shelf: Shelf, dataset: Dataset, query: str, limit: int) -> list[Found]:
    return list(await shelf.index.keyword(dataset, query, limit))


@pytest.mark.anyio
async def test_what_is_ranked_has_its_whole_score(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """`report` is everywhere: a chunk that holds nothing else is not ranked, and one that holds `valve` is ranked by
    both. Scores are those of a search without a bound."""
    dataset = await shelf.dataset()
    texts = [
        *[f"report {'word ' * (n % 7)}" for n in range(60)],
        "valve of a pump",
        "valve report",
        "valve and valve and nothing",
    ]
    await shelf.add(dataset, texts)
    monkeypatch.setattr(bm25, "LARGE", 10)
    monkeypatch.setattr(rarest, "RANKED", 10_000)
    await looked_at(shelf)
    exact = await keyword(shelf, dataset, "valve report", 80)
    assert len(exact) == len(texts)
    monkeypatch.setattr(rarest, "RANKED", 5)
    found = await keyword(shelf, dataset, "valve report", 2)
    assert [one.number for one in found] == [one.number for one in exact[:2]]
    assert [one.score for one in found] == pytest.approx([one.score for one in exact[:2]], rel=0.05)
    everything = await keyword(shelf, dataset, "valve report", 80)
    assert [one.number for one in everything] == [one.number for one in exact], "where more are asked for, more choose"


@pytest.mark.anyio
async def test_chunks_that_are_not_ready_leave_room_for_others(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rarest word is held by nothing but what is being ingested: the next one chooses."""
    dataset = await shelf.dataset()
    [expected] = [one.number for one in await _added(shelf, dataset, ["report of a pump"])]
    await shelf.add(dataset, [f"valve {n}" for n in range(40)], ready=False)
    await shelf.add(dataset, ["word"] * 40)
    monkeypatch.setattr(bm25, "LARGE", 10)
    monkeypatch.setattr(rarest, "RANKED", 1)
    await looked_at(shelf)
    assert [one.number for one in await keyword(shelf, dataset, "valve report", 5)] == [expected]


async def _added(shelf: Shelf, dataset: Dataset, texts: list[str]) -> list[Found]:
    await shelf.add(dataset, texts)
    return await keyword(shelf, dataset, texts[0], 10)
