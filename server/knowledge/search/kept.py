"""SQLite's vectors in memory, by dataset."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from server.knowledge.calls import Vectors
from server.knowledge.search import vectors
from server.knowledge.search.index import Found
from server.knowledge.search.threads import Stop
from server.knowledge.search.vectors import Segment

SEGMENT = 8192
"""Rows from which on a segment is left as it is, when others are added."""

READY = """
SELECT {columns} FROM vector_blocks JOIN documents ON documents.number = vector_blocks.document_number
WHERE vector_blocks.dataset_number = ? AND documents.state = 'ready'
"""
SIZE = READY.format(columns="coalesce(sum(length(vectors) + 8 * vector_blocks.size), 0)")


@dataclass(slots=True)
class _Kept:
    """A dataset as it was at `revision`. Its lock is held by whoever reads it from the file. size: bytes; those of a
    dataset that is too large to be kept have no segments.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    revision: int = -1
    size: int = 0
    segments: tuple[Segment, ...] = ()

    @property
    def nbytes(self) -> int:
        return sum(segment.nbytes for segment in self.segments)


class KeptVectors:
    """Datasets that were searched last, up to `memory` bytes. What has changed of one is read at its next search, by
    whichever process it was changed.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """What is kept."""
        with self._lock:
            return sum(kept.nbytes for kept in self._kept.values())

    def search(
        self, dataset_id: str, query: Vectors, limit: int, connection: sqlite3.Connection, stop: Stop
    ) -> Sequence[Found]:
        """In a thread, within a transaction that reads. query: one row."""
        known = connection.execute(
            "SELECT number, revision FROM datasets WHERE id = ? AND deleted_at IS NULL", (dataset_id,)
        ).fetchone()
        if known is None:
            return []
        number, revision = known
        segments = self._segments(number, revision, connection, stop)
        return vectors.search(_checked(segments, stop), query, limit)

    def _segments(
        self, number: int, revision: int, connection: sqlite3.Connection, stop: Stop
    ) -> Sequence[Segment] | Iterator[Segment]:
        with self._lock:
            kept = self._kept.setdefault(number, _Kept())
            self._kept.move_to_end(number)
        with kept.lock:
            # One that is newer than this search's view of the database is taken too: it is what is there now.
            if kept.revision < revision:
                (kept.size,) = connection.execute(SIZE, (number,)).fetchone()
                fits = kept.size <= self._memory
                kept.segments = _refreshed(kept.segments, number, connection, stop) if fits else ()
                kept.revision = revision
            segments = kept.segments
            if kept.size > self._memory:
                return _streamed(number, connection)
        self._make_room()
        return segments

    def forget(self, number: int) -> None:
        """Of a dataset that is deleted."""
        with self._lock:
            self._kept.pop(number, None)

    def _make_room(self) -> None:
        with self._lock:
            total = sum(kept.nbytes for kept in self._kept.values())
            while total > self._memory and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                total -= oldest.nbytes


def _refreshed(
    segments: Sequence[Segment], number: int, connection: sqlite3.Connection, stop: Stop
) -> tuple[Segment, ...]:
    """The segments as they are now. What is full and unchanged stays; the rest is put together anew."""
    now = {block for (block,) in connection.execute(READY.format(columns="vector_blocks.number"), (number,))}
    had = {block for segment in segments for block in segment.blocks}
    gone = frozenset(had - now)
    left = [each for each in (vectors.without(segment, gone) for segment in segments) if each is not None]
    full = [segment for segment in left if len(segment.numbers) >= SEGMENT]
    rest = [segment for segment in left if len(segment.numbers) < SEGMENT]
    for block in sorted(now - had):
        stop.check()
        read = connection.execute(
            "SELECT first, size, vectors FROM vector_blocks WHERE number = ?", (block,)
        ).fetchone()
        rest.append(_segment(block, *read))
        if sum(len(segment.numbers) for segment in rest) >= SEGMENT:
            full.append(vectors.joined(rest))
            rest = []
    if rest:
        full.append(vectors.joined(rest))
    return tuple(full)


def _streamed(number: int, connection: sqlite3.Connection) -> Iterator[Segment]:
    """All of a dataset's, a few at a time."""
    rest: list[Segment] = []
    for row in connection.execute(
        READY.format(columns="vector_blocks.number, first, vector_blocks.size, vectors"), (number,)
    ):
        rest.append(_segment(*row))
        if sum(len(segment.numbers) for segment in rest) >= SEGMENT:
            yield vectors.joined(rest)
            rest = []
    if rest:
        yield vectors.joined(rest)


def _segment(block: int, first: int, size: int, data: bytes) -> Segment:
    return vectors.read(block, first, data, len(data) // vectors.HALF.itemsize // size)


def _checked(segments: Sequence[Segment] | Iterator[Segment], stop: Stop) -> Iterator[Segment]:
    for segment in segments:
        stop.check()
        yield segment
