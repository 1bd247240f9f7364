"""Search on PostgreSQL: words as tsvector, ranked by BM25; vectors by pgvector. Both in tables of the dataset's own."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from anyio import to_thread
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import DatabaseUnavailable, KnowledgeUnavailable
from server.knowledge.calls import Vectors
from server.knowledge.records import Chunk, Dataset
from server.knowledge.search import bm25
from server.knowledge.search.bm25 import Statement, Whole
from server.knowledge.search.hnsw import EXPLORED, Builder
from server.knowledge.search.index import Found, row, words_of
from server.knowledge.search.words import asked
from server.knowledge.tables import ChunkRow, DatasetRow
from server.storage.database import Database

logger = logging.getLogger(__name__)

PREPARE_LOCK = 0x5A6E_0012
"""Of the servers that prepare the same database at once."""
AT_ONCE = 6
"""Searches that run at once, each with a connection: of the pool's sixteen, most stay free for keys and books."""
LONGEST = 10_000
"""Milliseconds of a search's statement."""
SPARE = 16
"""A few chunks of documents that are not ready may be among the best: so many more are asked for."""
KNOWN = 1000
"""Datasets of which is remembered what `Whole` has."""
PGVECTOR = (0, 8)
"""The first that goes on in its approximate index until enough is found (hnsw.iterative_scan)."""
EXTENSION = "CREATE EXTENSION IF NOT EXISTS vector"
CONFIGURATION = """
CREATE TEXT SEARCH DICTIONARY sagehold_stem (TEMPLATE = snowball, Language = english);
CREATE TEXT SEARCH CONFIGURATION sagehold_words (PARSER = default);
ALTER TEXT SEARCH CONFIGURATION sagehold_words
    ADD MAPPING FOR asciiword, word, numword, asciihword, hword, numhword, int, uint WITH sagehold_stem
"""
"""As `english`, but it keeps stopwords: words.py leaves them out of a query that has others."""
TABLES = """
CREATE TABLE {words} (
    number bigint PRIMARY KEY, document bigint NOT NULL, length integer NOT NULL, words tsvector NOT NULL
) WITH (toast_tuple_target = 8160);
CREATE INDEX {words}_words ON {words} USING gin (words);
CREATE INDEX {words}_document ON {words} (document) INCLUDE (length);
CREATE TABLE {vectors} (number bigint PRIMARY KEY, document bigint NOT NULL, vector halfvec NOT NULL);
CREATE INDEX {vectors}_document ON {vectors} (document)
"""
"""Two, so that either search reads only what it needs; tables of one dataset, since an index that several share has
their statistics mixed, and an approximate one their neighbours. They refer to no other table: that would lock it.
"""


class PostgresIndex:
    """See `Index`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._builder = Builder(database)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._whole: OrderedDict[int, tuple[int, Whole]] = OrderedDict()

    async def tend(self) -> None:
        await self._builder.run()

    async def prepare(self) -> None:
        try:
            async with self._database.write() as session:
                await self._database.lock(session, PREPARE_LOCK)
                await session.execute(text(EXTENSION))
                version = await session.scalar(text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
                if _numbers(version or "0") < PGVECTOR:
                    needed = ".".join(map(str, PGVECTOR))
                    raise _unavailable(
                        f"its pgvector is {version}, and {needed} is needed: ALTER EXTENSION vector UPDATE"
                    )
                if not await session.scalar(text("SELECT 1 FROM pg_ts_config WHERE cfgname = 'sagehold_words'")):
                    for statement in CONFIGURATION.split(";"):
                        await session.execute(text(statement))
        except DatabaseUnavailable:
            raise
        except DBAPIError as error:
            raise _unavailable(" ".join(str(error.__cause__ or error.orig or error).split())) from error

    async def create(self, session: AsyncSession, dataset_number: int) -> None:
        for statement in _of(TABLES, dataset_number).split(";"):
            await session.execute(text(statement))

    async def drop(self, session: AsyncSession, dataset_number: int, most: int) -> bool:
        # Whoever builds its approximate index would have this wait.
        await session.execute(
            text(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index "
                "WHERE datname = current_database() AND relid = to_regclass(:vectors)"
            ),
            {"vectors": _of("{vectors}", dataset_number)},
        )
        await session.execute(text(_of("DROP TABLE IF EXISTS {words}, {vectors}", dataset_number)))
        first = select(ChunkRow.number).where(ChunkRow.dataset_number == dataset_number).limit(most)
        numbers = (await session.scalars(first)).all()
        await session.execute(delete(ChunkRow).where(ChunkRow.number.in_(numbers)))
        return len(numbers) < most

    async def add(
        self,
        session: AsyncSession,
        dataset_number: int,
        document_number: int,
        chunks: Sequence[Chunk],
        vectors: Vectors,
    ) -> None:
        if not chunks:
            return
        words = await to_thread.run_sync(words_of, chunks)
        literals = await to_thread.run_sync(_literals, vectors)
        of = {"dataset_number": dataset_number, "document_number": document_number}
        numbers = (
            await session.scalars(
                insert(ChunkRow).returning(ChunkRow.number, sort_by_parameter_order=True),
                [{**of, **row(each)} for each in chunks],
            )
        ).all()
        await session.execute(
            text(
                _of(
                    "INSERT INTO {words} (number, document, length, words) "
                    "SELECT :number, :document, :length, to_tsvector('sagehold_words', :words)",
                    dataset_number,
                )
            ),
            [
                {"number": number, "document": document_number, "length": each.count(" ") + 1, "words": each}
                for number, each in zip(numbers, words, strict=True)
            ],
        )
        await session.execute(
            text(
                _of(
                    "INSERT INTO {vectors} (number, document, vector) "
                    "VALUES (:number, :document, CAST(CAST(:vector AS text) AS halfvec))",
                    dataset_number,
                )
            ),
            [
                {"number": number, "document": document_number, "vector": literal}
                for number, literal in zip(numbers, literals, strict=True)
            ],
        )

    async def vectors(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> Vectors:
        query = "SELECT CAST(vector AS text) FROM {vectors} WHERE document = :document ORDER BY number LIMIT :most"
        rows = await session.scalars(text(_of(query, dataset_number)), {"document": document_number, "most": most})
        vectors = [np.fromstring(row.strip("[]"), np.float32, sep=",") for row in rows]
        return np.stack(vectors) if vectors else np.empty((0, 0), np.float32)

    async def remove(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> bool:
        first = select(ChunkRow.number).where(ChunkRow.document_number == document_number).limit(most)
        numbers = (await session.scalars(first)).all()
        for statement in (
            "DELETE FROM {words} WHERE number = ANY(:gone)",
            "DELETE FROM {vectors} WHERE number = ANY(:gone)",
        ):
            await session.execute(text(_of(statement, dataset_number)), {"gone": list(numbers)})
        await session.execute(delete(ChunkRow).where(ChunkRow.number.in_(numbers)))
        if numbers:
            await session.execute(
                update(DatasetRow).where(DatasetRow.number == dataset_number).values(revision=DatasetRow.revision + 1)
            )
        return len(numbers) < most

    async def tidy(self, session: AsyncSession, dataset_number: int) -> bool:  # noqa: ARG002 - vacuum does it
        return True

    async def keyword(self, dataset: Dataset, query: str, limit: int) -> Sequence[Found]:
        terms = asked(query)
        if not terms:
            return []
        async with self._search(dataset) as (session, looked):
            if looked is None:
                return []
            ranking = await bm25.ranking(session, await self._measured(session, looked), terms)
            return [] if ranking is None else await _found(session, ranking.statement, limit)

    async def dense(self, dataset: Dataset, query: Vectors, limit: int) -> Sequence[Found]:
        vector = query.reshape(-1)
        values = {"vector": _literal(vector)}
        async with self._search(dataset) as (session, looked):
            if looked is None:
                return []
            if looked.near:
                nearest = NEAREST.format(as_indexed=f"::halfvec({len(vector):d})", vectors="{vectors}")
                near = Statement(_of(nearest, looked.number), values)
                found = await _found(session, lambda _: near, limit)
                # Those of documents that are not ready may be all that it came by.
                if len(found) == limit:
                    return found
            exact = Statement(_of(NEAREST.format(as_indexed="", vectors="{vectors}"), looked.number), values)
            return await _found(session, lambda _: exact, limit)

    async def aclose(self) -> None:
        pass

    @asynccontextmanager
    async def _search(self, dataset: Dataset) -> "AsyncGenerator[tuple[AsyncSession, _Looked | None], None]":
        """A session that only searches. None for a dataset that is not there."""
        async with self._slots:
            try:
                async with self._database.read() as session:
                    row = (await session.execute(text(LOOK), {"id": dataset.id})).first()
                    yield session, None if row is None else _Looked(row.number, row.revision, bool(row.near))
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != "57014":
                    raise
                logger.warning("a search of dataset %s took longer than %d ms, and was ended", dataset.id, LONGEST)
                raise KnowledgeUnavailable("The search took too long.") from error

    async def _measured(self, session: AsyncSession, looked: "_Looked") -> Whole:
        """Counted again once something has changed."""
        known = self._whole.get(looked.number)
        if known is not None and known[0] == looked.revision:
            known = self._whole[looked.number] = (looked.revision, await bm25.completed(session, known[1]))
        else:
            whole = await bm25.measured(session, _of("{words}", looked.number))
            known = self._whole[looked.number] = (looked.revision, whole)
            while len(self._whole) > KNOWN:
                self._whole.popitem(last=False)
        self._whole.move_to_end(looked.number)
        return known[1]


LOOK = f"""
SELECT number, revision, near, set_config('statement_timeout', '{LONGEST}', true),
    set_config('hnsw.ef_search', '{EXPLORED}', true), set_config('hnsw.iterative_scan', 'strict_order', true),
    set_config('enable_seqscan', CASE WHEN near THEN 'off' ELSE 'on' END, true), set_config('jit', 'off', true)
FROM (
    SELECT number, revision, coalesce(
        (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('chunk_vectors_' || number || '_near')), false
    ) AS near
    FROM datasets WHERE id = :id AND deleted_at IS NULL
) AS looked
"""  # noqa: S608 - of numbers
"""What a search has to know first, and its session's settings. PostgreSQL would read a whole table of some sizes rather
than ask its approximate index, and compile a statement for longer than it runs.
"""
NEAREST = """
SELECT number, document, -(vector{as_indexed} <#> CAST(CAST(:vector AS text) AS halfvec)) AS score FROM {vectors}
ORDER BY vector{as_indexed} <#> CAST(CAST(:vector AS text) AS halfvec) LIMIT :most
"""
"""The index is of the vectors as of one length: without, no index is asked."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """near: whether there is an approximate index, and it is whole."""

    number: int
    revision: int
    near: bool


async def _found(session: AsyncSession, statement: Callable[[int], Statement], limit: int) -> Sequence[Found]:
    """The best `limit` of ready documents. statement: gives number, document and score of `:most`, for so many."""
    most = limit + SPARE
    while True:
        ask = statement(most)
        filtered = text(
            "SELECT seen.number, seen.score, documents.state = 'ready' AS ready "  # noqa: S608
            f"FROM ({ask.sql}) AS seen LEFT JOIN documents ON documents.number = seen.document "
            "ORDER BY seen.score DESC, seen.number"
        )
        rows = (await session.execute(filtered, {**ask.values, "most": most})).all()
        found = [Found(number, score) for number, score, ready in rows if ready]
        if len(found) >= limit or (len(rows) < most and ask.whole):
            return found[:limit]
        most *= 4


def _of(statement: str, dataset_number: int) -> str:
    return statement.format(words=f"chunk_words_{dataset_number:d}", vectors=f"chunk_vectors_{dataset_number:d}")


def _literals(vectors: Vectors) -> list[str]:
    """In a thread, as `words_of`."""
    return [_literal(vector) for vector in vectors]


def _literal(vector: Any) -> str:
    return "[" + ",".join(map(repr, np.nan_to_num(vector, posinf=0, neginf=0).astype(np.float16).tolist())) + "]"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _unavailable(reason: str) -> KnowledgeUnavailable:
    logger.error("datasets can't be kept in this PostgreSQL: %s", reason)
    return KnowledgeUnavailable()
