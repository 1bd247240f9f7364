"""What PostgreSQL alone has: approximate indexes that are built meanwhile, limits of a search, and no pgvector."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import numpy as np
import pytest
from sqlalchemy import event, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.errors import KnowledgeUnavailable
from server.knowledge.records import Dataset
from server.knowledge.search import hnsw
from server.knowledge.search import postgres as searching
from server.knowledge.search.hnsw import BUILD_LOCK, Builder, index_of
from server.knowledge.search.postgres import AT_ONCE, LOOK, NEAREST, PostgresIndex
from server.knowledge.tables import DocumentRow
from server.storage.database import Database
from tests.knowledge.search.shelf import DIMENSIONS, Shelf, somewhere, unit
from tests.postgres import Postgres

pytestmark = pytest.mark.anyio
names = count(1)


@pytest.fixture
async def database(postgres: Postgres, migrated_name: str) -> AsyncIterator[Database]:
    opened = Database(postgres.create(f"near_{next(names)}", migrated_name))
    yield opened
    await opened.aclose()


@pytest.fixture
async def index(database: Database) -> PostgresIndex:
    return PostgresIndex(database)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hnsw, "LEAST", 400)


async def add(shelf: Shelf, dataset: Dataset, rows: np.ndarray, *, ready: bool = True) -> int:
    """A document with the number of its chunks, as ingestion writes it; the chunks' texts are their places."""
    document = await shelf.add(dataset, [str(at) for at in range(len(rows))], rows, ready=ready)
    async with shelf.database.write() as session:
        await session.execute(update(DocumentRow).where(DocumentRow.number == document).values(chunks=len(rows)))
    return document


async def large(shelf: Shelf, rows: int = 500) -> Dataset:
    dataset = await shelf.dataset()
    await measured(shelf, dataset)
    await add(shelf, dataset, somewhere(rows, 5))
    return dataset


async def measured(shelf: Shelf, dataset: Dataset) -> None:
    """With the length of its vectors, as ingestion writes it."""
    async with shelf.database.write() as session:
        await session.execute(
            text("UPDATE datasets SET dimensions = :d WHERE id = :i"), {"d": DIMENSIONS, "i": dataset.id}
        )


async def built(shelf: Shelf, dataset: Dataset) -> bool | None:
    """Whether its approximate index is whole; None where there is none."""
    async with shelf.database.read() as session:
        name = index_of(await shelf.number(dataset, session))
        return await session.scalar(text(hnsw.VALID.format(index=name)))


@asynccontextmanager
async def at_once(database: Database, *statements: str) -> AsyncGenerator[AsyncConnection, None]:
    """What another client does in a transaction that is open for the length of the block."""
    async with database.alone() as connection:
        for statement in ("BEGIN", *statements):
            await connection.exec_driver_sql(statement)
        yield connection
        await connection.exec_driver_sql("ROLLBACK")


async def test_a_large_dataset_gets_an_index_that_finds_the_nearest(shelf: Shelf) -> None:
    handbook, small = await large(shelf), await shelf.dataset("small")
    await measured(shelf, small)
    await add(shelf, small, somewhere(399, 6))
    query = somewhere(1, 77)
    exact = await shelf.index.dense(handbook, query, 10)
    builder = Builder(shelf.database)
    assert await builder.build()
    assert not await builder.build(), "the small one needs none"
    assert (await built(shelf, handbook), await built(shelf, small)) == (True, None)
    async with shelf.database.read() as session:
        await session.execute(text(LOOK), {"id": handbook.id})
        nearest = NEAREST.format(as_indexed="::halfvec(16)", vectors=f"chunk_vectors_{await _number(shelf, handbook)}")
        plan = await session.scalars(text(f"EXPLAIN {nearest}"), {"vector": str(query[0].tolist()), "most": 26})
        assert "_near" in "".join(plan)
    assert await shelf.index.dense(handbook, query, 10) == exact
    assert len(await shelf.index.dense(handbook, query, 450)) == 450, "more than are looked at closely"
    await add(shelf, handbook, query)
    assert await shelf.by_vector(handbook, query, 1) == ["0"], "what is added later is in it"


async def _number(shelf: Shelf, dataset: Dataset) -> int:
    async with shelf.database.read() as session:
        return await shelf.number(dataset, session)


async def test_what_is_not_ready_hides_nothing(shelf: Shelf) -> None:
    handbook = await large(shelf)
    await add(shelf, handbook, np.repeat(unit(1)[None], 2500, 0), ready=False)
    assert await Builder(shelf.database).build()
    found = await shelf.index.dense(handbook, unit(1)[None], 10)
    assert [one.score for one in found] == pytest.approx(
        np.sort(somewhere(500, 5) @ unit(1))[::-1][:10].tolist(), abs=1e-3
    )


async def test_only_one_server_builds(shelf: Shelf) -> None:
    handbook = await large(shelf)
    async with at_once(shelf.database, f"SELECT pg_advisory_lock({BUILD_LOCK})"):
        assert not await Builder(shelf.database).build()
        assert await built(shelf, handbook) is None
    assert await Builder(shelf.database).build()


async def test_an_index_that_a_dead_server_began_is_built_anew(shelf: Shelf) -> None:
    handbook = await large(shelf)
    builder = Builder(shelf.database)
    assert await builder.build()
    async with shelf.database.write() as session:
        name = index_of(await shelf.number(handbook, session))
        await session.execute(text(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass"))
    assert len(await shelf.index.dense(handbook, unit(1)[None], 10)) == 10
    assert await builder.build()
    assert await built(shelf, handbook)


async def test_it_is_built_without_helpers_where_they_have_no_room(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    handbook = await large(shelf)
    tried: list[str] = []
    anew = Builder._anew

    async def full(self: Builder, connection: AsyncConnection, number: int, statement: str) -> None:
        tried.append(await connection.scalar(text("SHOW max_parallel_maintenance_workers")))
        if len(tried) == 1:
            await connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$")
        await anew(self, connection, number, statement)

    monkeypatch.setattr(Builder, "_anew", full)
    assert await Builder(shelf.database).build()
    assert tried == ["2", "0"]
    assert await built(shelf, handbook)


async def test_a_dataset_is_dropped_and_written_to_while_its_index_is_built(shelf: Shelf) -> None:
    handbook = await large(shelf)
    old = "SELECT count(*) FROM accounts"
    async with at_once(shelf.database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", old):
        building = asyncio.create_task(Builder(shelf.database).build())
        async with asyncio.timeout(20):
            while not await _waits(shelf):
                await asyncio.sleep(0.01)
        await add(shelf, handbook, somewhere(2, 9))
        await shelf.drop(handbook)
        assert not await building
    assert await shelf.tables() == []
    assert not await Builder(shelf.database).build()


async def _waits(shelf: Shelf) -> bool:
    """Whether whoever builds waits for a transaction that began before."""
    async with shelf.database.read() as session:
        phases = await session.scalars(text("SELECT phase FROM pg_stat_progress_create_index"))
        return any(phase.startswith("waiting") for phase in phases)


async def test_searches_leave_connections_to_others(shelf: Shelf) -> None:
    handbook = await large(shelf)
    table = f"chunk_vectors_{await _number(shelf, handbook)}"
    pool = shelf.database.engine.pool
    async with at_once(shelf.database, f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"):
        others = pool.checkedout()  # type: ignore[attr-defined]
        searches = [asyncio.create_task(shelf.index.dense(handbook, unit(1)[None], 1)) for _ in range(40)]
        async with asyncio.timeout(20):
            while pool.checkedout() < others + AT_ONCE:  # type: ignore[attr-defined]
                await asyncio.sleep(0.01)
        async with shelf.database.write() as session:
            await session.execute(text("SELECT 1"))
        assert pool.checkedout() == others + AT_ONCE  # type: ignore[attr-defined]
    assert [len(one) for one in await asyncio.gather(*searches)] == [1] * 40


async def test_a_search_ends_after_some_time(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    handbook = await large(shelf)
    number = await _number(shelf, handbook)
    async with at_once(shelf.database, f"LOCK TABLE chunk_vectors_{number}, chunk_words_{number}"):
        monkeypatch.setattr(searching, "LOOK", LOOK.replace(f"'{searching.LONGEST}'", "'50'"))
        with pytest.raises(KnowledgeUnavailable, match="too long"):
            await shelf.index.dense(handbook, unit(1)[None], 1)
        with pytest.raises(KnowledgeUnavailable, match="too long"):
            await shelf.index.keyword(handbook, "7", 1)
    monkeypatch.setattr(searching, "LOOK", LOOK)
    assert len(await shelf.index.dense(handbook, unit(1)[None], 1)) == 1


async def test_chunks_are_counted_once_for_each_change(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    first = await shelf.add(handbook, ["water and bread", "iron"])
    await shelf.index.keyword(handbook, "iron", 5)
    asked: list[str] = []

    def see(_c: object, _u: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(shelf.database.engine, "before_cursor_execute", see)
    before = await shelf.index.keyword(handbook, "iron", 5)
    assert not any("avg(length)" in each for each in asked)
    await shelf.add(handbook, ["river", "sea"])
    assert (await shelf.index.keyword(handbook, "iron", 5))[0].score > before[0].score
    await shelf.remove(handbook, first)
    assert await shelf.index.keyword(handbook, "iron", 5) == []
    assert sum("avg(length)" in each for each in asked) == 2


async def test_a_postgresql_without_pgvector_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(searching, "EXTENSION", "CREATE EXTENSION IF NOT EXISTS vector_that_is_not_there")
    with pytest.raises(KnowledgeUnavailable) as refused:
        await PostgresIndex(database).prepare()
    assert "vector_that_is_not_there" in caplog.text
    assert "not available" in caplog.text
    assert "vector" not in refused.value.message


async def test_pgvector_may_be_too_old(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(searching, "PGVECTOR", (99, 0))
    with pytest.raises(KnowledgeUnavailable):
        await PostgresIndex(database).prepare()
    assert "99.0 is needed" in caplog.text
