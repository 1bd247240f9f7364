"""Search on SQLite: words in an FTS5 table for each dataset, vectors in blocks that are searched in memory."""

import logging
import sqlite3
from collections.abc import Sequence
from functools import partial

import numpy as np
from anyio import to_thread
from sqlalchemy import ColumnElement, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import DatabaseUnavailable, KnowledgeUnavailable
from server.knowledge.calls import Vectors
from server.knowledge.records import Chunk, Dataset
from server.knowledge.search import vectors as packing
from server.knowledge.search.index import Found, row, words_of
from server.knowledge.search.kept import KeptVectors
from server.knowledge.search.rarest import Chosen, chosen
from server.knowledge.search.threads import SearchThreads, Stop
from server.knowledge.search.words import asked
from server.knowledge.tables import ChunkRow, DatasetRow, VectorBlockRow
from server.storage.database import Database

logger = logging.getLogger(__name__)

BLOCK = 1024
"""Most chunks of a row of `vector_blocks`."""
MERGED_AT_ONCE = 100
"""Pages that FTS5 writes in one piece of a merge."""
FORGOTTEN_AT_ONCE = 100
"""Chunks whose words FTS5 forgets in one piece: it takes as long for each as to index it, and nobody else writes."""
HAS_FTS5 = "SELECT fts5(NULL)"
TABLE = """
CREATE VIRTUAL TABLE {fts} USING fts5(
    words, content='', tokenize="porter unicode61 remove_diacritics 0 categories 'L* M* N* Co'"
)
"""
"""Contentless: FTS5 keeps no text, and has to be given a chunk's words once more to forget it (SQLite 3.40 can't delete
otherwise). They are made from `chunks`: whoever changes how (words.py) has to index all chunks anew in a migration.
"""


class SqliteIndex:
    """See `Index`. Of the words, FTS5 is given only what words.py made, in quotes: no query is FTS5's syntax.

    Vectors are searched exactly. The datasets that were searched last are kept in memory, up to `vector_memory` bytes;
    what is larger is read from the file for each search.
    """

    def __init__(self, database: Database, vector_memory: int) -> None:
        assert database.path is not None
        self._database = database
        self._threads = SearchThreads(database.path)
        self._kept = KeptVectors(vector_memory)

    @property
    def kept_bytes(self) -> int:
        """Of vectors that are in memory."""
        return self._kept.nbytes

    async def prepare(self) -> None:
        try:
            async with self._database.read() as session:
                await session.execute(text(HAS_FTS5))
        except DatabaseUnavailable as error:
            if "no such function" not in str(error.__cause__):
                raise
            logger.error("datasets can't be kept: this Python's SQLite (%s) has no FTS5", sqlite3.sqlite_version)
            raise KnowledgeUnavailable from error

    async def tend(self) -> None:
        return

    async def create(self, session: AsyncSession, dataset_number: int) -> None:
        await session.execute(text(TABLE.format(fts=_fts(dataset_number))))

    async def drop(self, session: AsyncSession, dataset_number: int, most: int) -> bool:
        self._kept.forget(dataset_number)
        words = await _words(session, dataset_number, most)
        chunks = await _piece(session, most, ChunkRow.dataset_number == dataset_number)
        blocks = await _blocks(session, most, VectorBlockRow.dataset_number == dataset_number)
        return words and chunks and blocks

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
        first = (await session.scalar(select(func.max(ChunkRow.number))) or 0) + 1
        of = {"dataset_number": dataset_number, "document_number": document_number}
        await session.execute(
            insert(ChunkRow), [{"number": first + at, **of, **row(each)} for at, each in enumerate(chunks)]
        )
        connection = await session.connection()
        await connection.exec_driver_sql(
            f"INSERT INTO {_fts(dataset_number)} (rowid, words) VALUES (?, ?)",  # noqa: S608
            [(first + at, each) for at, each in enumerate(words)],
        )
        await session.execute(
            insert(VectorBlockRow),
            [
                {**of, "first": first + at, "size": len(part), "vectors": packing.packed(part)}
                for at in range(0, len(chunks), BLOCK)
                for part in [vectors[at : at + BLOCK]]
            ],
        )

    async def vectors(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> Vectors:
        query = select(VectorBlockRow.vectors, VectorBlockRow.size).where(
            VectorBlockRow.dataset_number == dataset_number, VectorBlockRow.document_number == document_number
        )
        # No block is empty, so that there are enough of them.
        blocks = (await session.execute(query.order_by(VectorBlockRow.first).limit(most))).all()
        rows = [np.frombuffer(data, packing.HALF).reshape(size, -1) for data, size in blocks]
        return np.concatenate(rows)[:most].astype(np.float32) if rows else np.empty((0, 0), np.float32)

    async def remove(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> bool:
        connection = await session.connection()
        most = min(most, FORGOTTEN_AT_ONCE)
        rows = (
            await session.execute(
                select(ChunkRow.number, ChunkRow.text, ChunkRow.heading)
                .where(ChunkRow.document_number == document_number)
                .order_by(ChunkRow.number)
                .limit(most)
            )
        ).all()
        if rows:
            fts = _fts(dataset_number)
            words = await to_thread.run_sync(words_of, [Chunk(0, body, heading) for _, body, heading in rows])
            await connection.exec_driver_sql(
                f"INSERT INTO {fts} ({fts}, rowid, words) VALUES ('delete', ?, ?)",  # noqa: S608
                [(row[0], each) for row, each in zip(rows, words, strict=True)],
            )
        chunks = await _piece(session, most, ChunkRow.document_number == document_number)
        blocks = await _blocks(session, most, VectorBlockRow.document_number == document_number)
        if rows or not blocks:
            await session.execute(
                update(DatasetRow).where(DatasetRow.number == dataset_number).values(revision=DatasetRow.revision + 1)
            )
        return chunks and blocks

    async def tidy(self, session: AsyncSession, dataset_number: int) -> bool:
        """FTS5 keeps removed words beside a note that they are removed, until it merges all segments into one."""
        connection = await session.connection()
        fts = _fts(dataset_number)
        # A negative number begins with all segments. Less than two changes say that there was nothing left to do
        # (FTS5's documentation, "The 'merge' Command").
        before = (await connection.exec_driver_sql("SELECT total_changes()")).scalar_one()
        await connection.exec_driver_sql(f"INSERT INTO {fts} ({fts}, rank) VALUES ('merge', {-MERGED_AT_ONCE})")  # noqa: S608 - of numbers
        after = (await connection.exec_driver_sql("SELECT total_changes()")).scalar_one()
        return bool(after - before < 2)

    async def keyword(self, dataset: Dataset, query: str, limit: int) -> Sequence[Found]:
        terms = asked(query)
        return await self._threads.run(partial(_keyword, dataset.id, terms, limit)) if terms else []

    async def dense(self, dataset: Dataset, query: Vectors, limit: int) -> Sequence[Found]:
        return await self._threads.run(partial(self._kept.search, dataset.id, query, limit))

    async def aclose(self) -> None:
        await self._threads.aclose()


async def _piece(session: AsyncSession, most: int, which: ColumnElement[bool]) -> bool:
    """Delete `most` chunks, the first ones; whether none is left."""
    numbers = (await session.scalars(select(ChunkRow.number).where(which).order_by(ChunkRow.number).limit(most))).all()
    await session.execute(delete(ChunkRow).where(ChunkRow.number.in_(numbers)))
    return len(numbers) < most


async def _words(session: AsyncSession, dataset_number: int, most: int) -> bool:
    """Drop an FTS5 table in pieces of `most` of its pages; whether it is gone. To drop a large one at once would
    overwrite all of it (secure_delete) in one unit of work.
    """
    connection = await session.connection()
    fts = _fts(dataset_number)
    if (await connection.exec_driver_sql(f"SELECT 1 FROM sqlite_schema WHERE name = '{fts}'")).first() is None:  # noqa: S608
        return True
    left = False
    # FTS5's own tables (its documentation, "Fts5 Data Structures"). It opens no table without the first two records.
    for table, which in (("data", "WHERE id > 10"), ("docsize", "")):
        gone = await connection.exec_driver_sql(
            f"DELETE FROM {fts}_{table} WHERE id IN (SELECT id FROM {fts}_{table} {which} LIMIT ?)",  # noqa: S608
            (most,),
        )
        left |= gone.rowcount == most
    gone = await connection.exec_driver_sql(
        f"DELETE FROM {fts}_idx WHERE (segid, term) IN (SELECT segid, term FROM {fts}_idx LIMIT ?)",  # noqa: S608
        (most,),
    )
    left |= gone.rowcount == most
    if not left:
        await connection.exec_driver_sql(f"DROP TABLE {fts}")
    return not left


async def _blocks(session: AsyncSession, most: int, which: ColumnElement[bool]) -> bool:
    """Delete blocks of about `most` vectors; whether none is left."""
    query = select(VectorBlockRow.number, VectorBlockRow.size).where(which).order_by(VectorBlockRow.number).limit(most)
    numbers, vectors = [], 0
    found = (await session.execute(query)).all()
    for number, size in found:
        numbers.append(number)
        vectors += size
        if vectors >= most:
            break
    await session.execute(delete(VectorBlockRow).where(VectorBlockRow.number.in_(numbers)))
    return len(numbers) == len(found) < most


def _fts(dataset_number: int) -> str:
    return f"chunk_fts_{dataset_number:d}"


def _keyword(
    dataset_id: str, terms: Sequence[str], limit: int, connection: sqlite3.Connection, _stop: Stop
) -> Sequence[Found]:
    known = connection.execute(
        "SELECT number FROM datasets WHERE id = ? AND deleted_at IS NULL", (dataset_id,)
    ).fetchone()
    if known is None:
        return []
    fts = _fts(known[0])
    most = limit + 16  # a few chunks of documents that are not ready may be among them
    held = {term: _held(connection, fts, term) for term in terms}
    while True:
        choice = chosen(held, most)
        seen = _ranked(connection, fts, choice, most)
        ready = _ready(connection, [number for number, _ in seen])
        found = [Found(number, -rank) for number, rank in seen if number in ready]
        if len(found) >= limit or (len(seen) < most and not choice.adding):
            return found[:limit]
        most *= 4


def _held(connection: sqlite3.Connection, fts: str, term: str) -> int:
    """How many chunks hold a term. FTS5 counts them far faster than it ranks them."""
    statement = f"SELECT count(*) FROM {fts} WHERE {fts} MATCH ?"  # noqa: S608
    (count,) = connection.execute(statement, (_any_of([term]),)).fetchone()
    return int(count)


def _ranked(connection: sqlite3.Connection, fts: str, terms: Chosen, most: int) -> Sequence[tuple[int, float]]:
    """The best chunks, best first. BM25 is a sum over the terms: of a chunk with terms of both kinds it is the second
    query's, which has all of them, and of the others the first one's.
    """
    if not terms.choosing:
        return []
    statement = f"SELECT rowid, rank FROM {fts} WHERE {fts} MATCH ? ORDER BY rank LIMIT ?"  # noqa: S608
    choosing = _any_of(terms.choosing)
    best = dict(connection.execute(statement, (choosing, most)).fetchall())
    if terms.adding:
        best |= connection.execute(statement, (f"({choosing}) AND ({_any_of(terms.adding)})", most)).fetchall()
    return sorted(best.items(), key=lambda one: (one[1], one[0]))[:most]


def _any_of(terms: Sequence[str]) -> str:
    return " OR ".join(f'"{term}"' for term in terms)


def _ready(connection: sqlite3.Connection, numbers: Sequence[int]) -> set[int]:
    """Those of ready documents."""
    marks = ",".join("?" * len(numbers))
    return {
        number
        for (number,) in connection.execute(
            "SELECT chunks.number FROM chunks JOIN documents ON documents.number = chunks.document_number "  # noqa: S608
            f"WHERE documents.state = 'ready' AND chunks.number IN ({marks})",
            numbers,
        )
    }
