"""What a database does for search. sqlite.py and postgres.py are the two that there are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from server.knowledge.calls import Vectors
from server.knowledge.records import Chunk, Dataset
from server.knowledge.search.words import indexed


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk that one order found, by `chunks.number`. score: higher is better, within that order only."""

    number: int
    score: float


def row(chunk: Chunk) -> dict[str, Any]:
    """A chunk's columns. What neither database or no UTF-8 can hold is replaced, character by character."""
    return {
        "place": chunk.place,
        "text": _storable(chunk.text),
        "heading": _storable(chunk.heading),
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
    }


def words_of(chunks: Sequence[Chunk]) -> list[str]:
    """What an index is given of each. In a thread: of 64 chunks it takes 16 to 77 ms."""
    return [indexed(each.searched) for each in chunks]


def _storable(text: str) -> str:
    return _NOT_STORABLE.sub("\ufffd", text)


_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


class Index(Protocol):
    """A dataset's own: what one dataset holds changes no figure, no order and no time of another's search."""

    async def prepare(self) -> None:
        """At a start. Raises KnowledgeUnavailable, with the reason in the log."""
        ...

    async def tend(self) -> None:
        """What makes large datasets fast, beside everything else. A server runs it in the background, for as long as
        it runs; it may return where there is nothing of the kind.
        """
        ...

    async def create(self, session: AsyncSession, dataset_number: int) -> None:
        """What a new dataset needs, within the unit of work that makes it."""
        ...

    async def drop(self, session: AsyncSession, dataset_number: int, most: int) -> bool:
        """A piece of what a deleted dataset has, `most` chunks with their vectors at most; whether all of it is gone.

        Called until it is, each time in a unit of work of its own, so that none holds SQLite's writer for long. The
        dataset is hidden by then: nobody searches it or adds to it. Two processes may do it in turns.
        """
        ...

    async def add(
        self,
        session: AsyncSession,
        dataset_number: int,
        document_number: int,
        chunks: Sequence[Chunk],
        vectors: Vectors,
    ) -> None:
        """Chunks of a document that is not ready yet: they are stored, and found only once it is."""
        ...

    async def vectors(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> Vectors:
        """Of a document's first `most` chunks, in order, as they are stored: of half precision."""
        ...

    async def remove(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> bool:
        """A piece of a document's chunks, `most` at most; whether all of them are gone. Called like `drop`.

        Of an unfinished document too, and of one that was taken out: of that nothing is found by then. The dataset's
        revision grows by it. Rows that are deleted without this, by a cascade for instance, leave their words in the
        index.
        """
        ...

    async def tidy(self, session: AsyncSession, dataset_number: int) -> bool:
        """A piece of the work after which no byte of the words of removed chunks is left; whether it is done."""
        ...

    async def keyword(self, dataset: Dataset, query: str, limit: int) -> Sequence[Found]: ...

    async def dense(self, dataset: Dataset, query: Vectors, limit: int) -> Sequence[Found]:
        """query: one row. SQLite searches exactly; PostgreSQL too, until a large dataset has its HNSW index."""
        ...

    async def aclose(self) -> None:
        """What runs is ended; no search comes after it."""
        ...
