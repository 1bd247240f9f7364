"""PostgreSQL's approximate indexes (HNSW, by pgvector): one for each large dataset, built beside everything else."""

import asyncio
import logging
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from server.storage.database import OUTAGE, Database

logger = logging.getLogger(__name__)

LEAST = 20_000
"""Chunks from which on a dataset has one: fewer are searched exactly in less time than a question's vector takes."""
MOST_DIMENSIONS = 4000
"""That pgvector indexes of float16. Longer vectors are always searched exactly."""
CONNECTIONS, BREADTH = 16, 100
"""Of each vector with its neighbours, and of the search for them while the index is built (m, ef_construction)."""
EXPLORED: Final = 200
"""Vectors that a search looks at closely (hnsw.ef_search)."""
BUILD_LOCK = 0x5A6E_0013
LOOK = 30.0
"""Seconds between two looks for what has grown large."""
MOST_MEMORY = 1024
"""MiB that PostgreSQL may take for a graph while it is built; what does not fit is built on the disk, slowly."""
CANDIDATES = """
SELECT datasets.number, datasets.dimensions, sum(documents.chunks) AS chunks
FROM datasets JOIN documents ON documents.dataset_number = datasets.number AND documents.state = 'ready'
LEFT JOIN pg_index ON pg_index.indexrelid = to_regclass('chunk_vectors_' || datasets.number || '_near')
WHERE datasets.deleted_at IS NULL AND datasets.dimensions <= :dimensions AND indisvalid IS NOT TRUE
GROUP BY datasets.number, datasets.dimensions HAVING sum(documents.chunks) >= :least ORDER BY datasets.number
"""
CANCELLED = ("57014", "42P01")
"""What PostgreSQL says to who builds when the dataset is deleted: it was cancelled, or there is no such table."""
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{index}')"
CREATE = (
    "CREATE INDEX CONCURRENTLY {index} ON chunk_vectors_{number:d} "
    "USING hnsw ((vector::halfvec({dimensions:d})) halfvec_ip_ops) WITH (m = {m:d}, ef_construction = {breadth:d})"
)


def index_of(dataset_number: int) -> str:
    return f"chunk_vectors_{dataset_number:d}_near"


class Builder:
    """Builds what is missing, one at a time over all servers of a database. Nobody waits for it: neither who adds, nor
    who searches, which is exact until an index is whole. One that a dead server left half-built is built anew.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Forever; a server does it in the background."""
        while True:
            try:
                while await self.build():
                    pass
            except OUTAGE as error:
                logger.warning("large datasets are searched exactly for now: %s", " ".join(str(error).split())[:500])
            await asyncio.sleep(LOOK)

    async def build(self) -> bool:
        """One that is missing; whether there was one. False too where another server builds. Raises OUTAGE."""
        async with self._database.read() as session:
            values = {"least": LEAST, "dimensions": MOST_DIMENSIONS}
            found = (await session.execute(text(CANDIDATES), values)).first()
        if found is None:
            return False
        number, dimensions, chunks = found
        async with self._database.alone() as connection:
            if not await connection.scalar(text(f"SELECT pg_try_advisory_lock({BUILD_LOCK})")):
                return False
            if not await connection.scalar(text(VALID.format(index=index_of(number)))):
                try:
                    await self._create(connection, number, dimensions, int(chunks))
                except DBAPIError as error:
                    if _code(error) not in CANCELLED:
                        raise
                    logger.info("the approximate index of dataset %d was not built: %s", number, error.orig)
                    return False
        return True

    async def _create(self, connection: AsyncConnection, number: int, dimensions: int, chunks: int) -> None:
        began = asyncio.get_running_loop().time()
        # A graph's node is its vector, its lists of neighbours and some; the half more is for what is added meanwhile.
        needed = min(MOST_MEMORY, 64 + chunks * 3 * (2 * dimensions + 32 * CONNECTIONS + 300) // 2 // 2**20)
        await connection.execute(text(f"SET maintenance_work_mem = '{needed}MB'"))
        statement = CREATE.format(
            index=index_of(number), number=number, dimensions=dimensions, m=CONNECTIONS, breadth=BREADTH
        )
        try:
            await self._anew(connection, number, statement)
        except DBAPIError as error:
            if not _code(error).startswith("53"):
                raise
            # Helpers share the graph in a file of /dev/shm, of which containers have 64 MB.
            logger.info("the approximate index of dataset %d is built without helpers: %s", number, error.orig)
            await connection.execute(text("SET max_parallel_maintenance_workers = 0"))
            await self._anew(connection, number, statement)
        seconds = asyncio.get_running_loop().time() - began
        logger.info("built the approximate index of dataset %d, of %d chunks, in %.0f s", number, chunks, seconds)

    async def _anew(self, connection: AsyncConnection, number: int, statement: str) -> None:
        await connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {index_of(number)}"))
        await connection.execute(text(statement))


def _code(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
