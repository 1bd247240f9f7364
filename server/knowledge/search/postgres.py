"""Search on PostgreSQL: words as tsvector, ranked by BM25; vectors by pgvector. Both in tables of the dataset's own."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import DatabaseUnavailable, KnowledgeUnavailable
from server.knowledge.calls import Vectors
from server.knowledge.records import Chunk, Dataset
from server.knowledge.search.index import Found, row
from server.knowledge.search.words import asked, indexed
from server.knowledge.tables import ChunkRow, DatasetRow
from server.storage.database import Database

logger = logging.getLogger(__name__)

K1, B = 1.2, 0.75
"""Of BM25, as FTS5 has them."""
LOCK = 0x5A6E_0002
"""Of the servers that prepare the same database at once."""
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

    async def prepare(self) -> None:
        try:
            async with self._database.write() as session:
                await self._database.lock(session, LOCK)
                await session.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
                version = await session.scalar(text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
                if _numbers(version or "0") < (0, 8):
                    raise _unavailable(f"its pgvector is {version}, and 0.8 is needed: ALTER EXTENSION vector UPDATE")
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
                {"number": number, "document": document_number, "length": words.count(" ") + 1, "words": words}
                for number, words in zip(numbers, (indexed(each.searched) for each in chunks), strict=True)
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
                {"number": number, "document": document_number, "vector": _literal(vector)}
                for number, vector in zip(numbers, vectors, strict=True)
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
        async with self._database.read() as session:
            number = await _number(session, dataset)
            if number is None or not terms:
                return []
            lexemes = await session.scalars(
                text("SELECT DISTINCT unnest(tsvector_to_array(to_tsvector('sagehold_words', :words)))"),
                {"words": " ".join(terms)},
            )
            return await _bm25(session, number, lexemes.all(), limit)

    async def dense(self, dataset: Dataset, query: Vectors, limit: int) -> Sequence[Found]:
        async with self._database.read() as session:
            number = await _number(session, dataset)
            if number is None:
                return []
            return await _found(
                session,
                _of(
                    "SELECT number, document, -(vector <#> CAST(CAST(:vector AS text) AS halfvec)) AS score "
                    "FROM {vectors} ORDER BY vector <#> CAST(CAST(:vector AS text) AS halfvec) LIMIT :most",
                    number,
                ),
                {"vector": _literal(query.reshape(-1))},
                limit,
            )

    async def aclose(self) -> None:
        pass


async def _number(session: AsyncSession, dataset: Dataset) -> int | None:
    found = select(DatasetRow.number).where(DatasetRow.id == dataset.id, DatasetRow.deleted_at.is_(None))
    return await session.scalar(found)


async def _bm25(session: AsyncSession, number: int, lexemes: Sequence[str], limit: int) -> Sequence[Found]:
    """ts_rank of one lexeme that occurs n times is the sum of 1/i² for i to n, over π²/6 (tsrank.c, calc_rank_or), from
    which n is found here: PostgreSQL has no function that tells it.
    """
    if not lexemes:
        return []
    each = range(len(lexemes))
    query = "CAST(CAST(:{} AS text) AS tsquery)".format
    times = ", ".join(
        f"CASE WHEN words @@ {query(f'q{at}')} THEN "
        f"round(1 / greatest(1.6449340668 * (1 - ts_rank('{{1,1,1,1}}', words, {query(f'q{at}')})), 0.004) - 0.5) "
        f"ELSE 0 END AS n{at}"
        for at in each
    )
    counts = ", ".join(f"count(*) FILTER (WHERE n{at} > 0) AS c{at}" for at in each)
    score = " + ".join(
        f"greatest(ln((total - c{at} + 0.5) / (c{at} + 0.5)), 1e-6) * n{at} * {K1 + 1} / "
        f"(n{at} + {K1} * ({1 - B} + {B} * length / average))"
        for at in each
    )
    words = f"chunk_words_{number:d}"
    statement = (
        f"WITH held AS MATERIALIZED (SELECT number, document, length, {times} FROM {words} "  # noqa: S608
        f"WHERE words @@ {query('every')}), "
        f"counted AS (SELECT {counts} FROM held), "
        f"whole AS (SELECT count(*)::float8 AS total, avg(length)::float8 AS average FROM {words}) "
        f"SELECT number, document, {score} AS score FROM held, counted, whole ORDER BY score DESC, number LIMIT :most"
    ).replace("::float8", "")
    quoted = [f"'{lexeme}'" for lexeme in lexemes]
    return await _found(
        session, statement, {f"q{at}": quoted[at] for at in each} | {"every": " | ".join(quoted)}, limit
    )


async def _found(session: AsyncSession, statement: str, values: dict[str, Any], limit: int) -> Sequence[Found]:
    """The best `limit` of ready documents, of a statement that gives number, document and score, at most `:most`."""
    most = limit + 16  # a few chunks of documents that are not ready may be among them
    filtered = text(
        "SELECT seen.number, seen.score, documents.state = 'ready' AS ready "  # noqa: S608
        f"FROM ({statement}) AS seen LEFT JOIN documents ON documents.number = seen.document "
        "ORDER BY seen.score DESC, seen.number"
    )
    while True:
        rows = (await session.execute(filtered, {**values, "most": most})).all()
        found = [Found(number, score) for number, score, ready in rows if ready]
        if len(found) >= limit or len(rows) < most:
            return found[:limit]
        most *= 4


def _of(statement: str, dataset_number: int) -> str:
    return statement.format(words=f"chunk_words_{dataset_number:d}", vectors=f"chunk_vectors_{dataset_number:d}")


def _literal(vector: Any) -> str:
    return "[" + ",".join(map(repr, np.nan_to_num(vector, posinf=0, neginf=0).astype(np.float16).tolist())) + "]"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _unavailable(reason: str) -> KnowledgeUnavailable:
    logger.error("datasets can't be kept in this PostgreSQL: %s", reason)
    return KnowledgeUnavailable()
