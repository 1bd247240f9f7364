"""Vectors as they are stored, float16, and their exact search in memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.knowledge.calls import Vectors
from server.knowledge.search.index import Found

HALF = np.dtype("<f2")
ROWS = 128
"""Rows that are widened at once: 192 kB of 384 numbers each, which stay in a core's cache."""


def packed(vectors: Vectors) -> bytes:
    """float16, little-endian, row after row. What is no number is 0: it would come before everything."""
    return np.nan_to_num(vectors, posinf=0, neginf=0).astype(HALF).tobytes()


@dataclass(frozen=True, slots=True)
class Segment:
    """Some chunks' vectors. blocks: the rows of `vector_blocks` that they come from, of `sizes` chunks each.

    numbers: chunks.number, one a row of `rows`, float16.
    """

    blocks: tuple[int, ...]
    sizes: tuple[int, ...]
    numbers: NDArray[np.int64]
    rows: NDArray[np.float16]

    @property
    def nbytes(self) -> int:
        return self.rows.nbytes + self.numbers.nbytes


def read(block: int, first: int, data: bytes, dimensions: int) -> Segment:
    """A row of `vector_blocks`, whose chunks are numbered from `first` on."""
    rows = np.frombuffer(data, HALF).reshape(-1, dimensions)
    return Segment((block,), (len(rows),), np.arange(first, first + len(rows), dtype=np.int64), rows)


def joined(segments: Sequence[Segment]) -> Segment:
    if len(segments) == 1:
        return segments[0]
    return Segment(
        tuple(block for each in segments for block in each.blocks),
        tuple(size for each in segments for size in each.sizes),
        np.concatenate([each.numbers for each in segments]),
        np.concatenate([each.rows for each in segments]),
    )


def without(segment: Segment, gone: frozenset[int]) -> Segment | None:
    """The segment less those blocks; None where nothing is left."""
    if gone.isdisjoint(segment.blocks):
        return segment
    keep = np.repeat([block not in gone for block in segment.blocks], segment.sizes)
    left = [(block, size) for block, size in zip(segment.blocks, segment.sizes, strict=True) if block not in gone]
    if not left:
        return None
    return Segment(
        tuple(block for block, _ in left),
        tuple(size for _, size in left),
        segment.numbers[keep],
        segment.rows[keep],
    )


def scores(rows: NDArray[np.float16], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inner product of each row with the query; exact but for float32's rounding.

    NumPy widens float16 number by number. Here it is done by whole rows: a float16's bits, moved to where a float32 has
    them, are that number times 2^-112, of which the query makes up (small ones, whose exponent is 0, included). Not by
    BLAS, whose threads get in each other's way on a busy machine.
    """
    bits = rows.view(np.int16)
    scaled = (query.astype(np.float64) * 2.0**112).astype(np.float32)
    result = np.empty(len(rows), np.float32)
    room = np.empty((min(ROWS, len(rows)), rows.shape[1]), np.int32)
    for begin in range(0, len(rows), ROWS):
        part = bits[begin : begin + ROWS]
        wide = room[: len(part)]
        np.left_shift(part, 13, out=wide, dtype=np.int32, casting="unsafe")
        np.bitwise_and(wide, _SIGN_AND_NUMBER, out=wide)
        np.vecdot(wide.view(np.float32), scaled, out=result[begin : begin + len(part)])
    return result


_SIGN_AND_NUMBER = np.uint32(0x8FFF_E000).astype(np.int32)
"""The shift keeps the sign by filling the three bits after it."""


class Best:
    """The best of what is seen segment after segment; of equal ones those with the lower numbers."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._numbers = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float32)

    def see(self, numbers: NDArray[np.int64], scored: NDArray[np.float32]) -> None:
        if len(scored) > self._limit:
            least = np.partition(scored, len(scored) - self._limit)[len(scored) - self._limit]
            keep = np.flatnonzero(scored >= least)
            numbers, scored = numbers[keep], scored[keep]
        numbers = np.concatenate([self._numbers, numbers])
        scored = np.concatenate([self._scores, scored])
        order = np.lexsort((numbers, -scored))[: self._limit]
        self._numbers, self._scores = numbers[order], scored[order]

    def found(self) -> Sequence[Found]:
        return [
            Found(number, score) for number, score in zip(self._numbers.tolist(), self._scores.tolist(), strict=True)
        ]


def search(segments: Iterable[Segment], query: Vectors, limit: int) -> Sequence[Found]:
    """query: one row."""
    best = Best(limit)
    one = np.ascontiguousarray(query, dtype=np.float32).reshape(-1)
    for segment in segments:
        best.see(segment.numbers, scores(segment.rows, one))
    return best.found()
