"""BM25 on PostgreSQL, which has no ranking by how rare words are: what is asked of a dataset's table of words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from server.knowledge.search.rarest import Chosen, chosen

K1, B = 1.2, 0.75
"""As FTS5 has them."""
LARGE = 20_000
"""Chunks from which on a dataset's commonest words only add to the rank. Of smaller ones each chunk is ranked."""
COUNTED = 1000
"""Chunks of one word that are counted at most. A count visits each of them."""
LEXEMES = "SELECT DISTINCT unnest(tsvector_to_array(to_tsvector('sagehold_words', :words)))"
COMMON = """
SELECT word, share FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
JOIN pg_stats ON schemaname = nspname AND tablename = relname AND attname = 'words'
CROSS JOIN unnest(CAST(CAST(most_common_elems AS text) AS text[]), most_common_elem_freqs) AS common (word, share)
WHERE pg_class.oid = to_regclass(:words) AND word IS NOT NULL ORDER BY share
"""
"""The commonest words, and in what share of the chunks each is: what ANALYZE has found, in a sample."""


@dataclass(frozen=True, slots=True)
class Statement:
    """whole: whether all that there is comes with it, where that is fewer than were asked for."""

    sql: str
    values: Mapping[str, Any]
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Whole:
    """A dataset's table of words: its chunks, their average length in words, and in what share of them each of the
    commonest words is; that is left empty of a small one."""

    table: str
    chunks: int
    average: float
    shares: Mapping[str, float]

    @property
    def late(self) -> bool:
        """Whether PostgreSQL has not looked at a table that has grown large."""
        return self.chunks >= LARGE and not self.shares


@dataclass(frozen=True, slots=True)
class Ranking:
    """Of some lexemes. held: how many chunks hold each, about; None where all of them choose."""

    whole: Whole
    lexemes: Sequence[str]
    held: Mapping[str, int] | None

    def statement(self, most: int) -> Statement:
        terms = Chosen(self.lexemes, ()) if self.held is None else chosen(self.held, most)
        return _statement(self, terms)


async def measured(session: AsyncSession, table: str) -> Whole:
    statement = f"SELECT count(*), avg(length)::float8 FROM {table}"  # noqa: S608
    count, average = (await session.execute(text(statement))).one()
    return await completed(session, Whole(table, count, average or 1.0, {}))


async def completed(session: AsyncSession, whole: Whole) -> Whole:
    """With the shares, where they are of use and PostgreSQL knows them by now."""
    if not whole.late:
        return whole
    rows = await session.execute(text(COMMON), {"words": whole.table})
    return replace(whole, shares={row.word: row.share for row in rows})


async def ranking(session: AsyncSession, whole: Whole, terms: Sequence[str]) -> Ranking | None:
    """None where the terms have no lexeme."""
    lexemes = (await session.scalars(text(LEXEMES), {"words": " ".join(terms)})).all()
    if not lexemes:
        return None
    return Ranking(whole, lexemes, await _held(session, whole, lexemes) if whole.shares else None)


async def _held(session: AsyncSession, whole: Whole, lexemes: Sequence[str]) -> Mapping[str, int]:
    """Of a word that is not among the commonest, and that COUNTED chunks hold, it is the most that it may be."""
    rarest = max(round(whole.chunks * min(whole.shares.values())), COUNTED)
    known = {one: round(whole.chunks * whole.shares[one]) for one in lexemes if one in whole.shares}
    other = [one for one in lexemes if one not in whole.shares]
    if other:
        counts = ", ".join(
            f"(SELECT count(*) FROM (SELECT FROM {whole.table} "  # noqa: S608
            f"WHERE words @@ CAST(:q{at} AS tsquery) LIMIT {COUNTED}) AS of_{at})"
            for at in range(len(other))
        )
        values = {f"q{at}": _quoted(one) for at, one in enumerate(other)}
        row = (await session.execute(text(f"SELECT {counts}"), values)).one()
        known |= {one: rarest if count == COUNTED else count for one, count in zip(other, row, strict=True)}
    return known


def _statement(of: Ranking, terms: Chosen) -> Statement:
    """ts_rank of one lexeme that occurs n times is the sum of 1/i² for i to n, over π²/6 (tsrank.c, calc_rank_or), from
    which n is found here: PostgreSQL has no function that tells it.

    All is of float8: numeric arithmetic took most of the time. Each query is bound as a tsquery: a text would be read
    anew for each chunk.
    """
    if not terms.choosing:
        return Statement("SELECT 0 AS number, 0 AS document, 0 AS score LIMIT 0", {}, whole=not terms.adding)
    lexemes = [*terms.choosing, *terms.adding]
    each = range(len(lexemes))
    counted = range(len(terms.choosing))
    ranks = ", ".join(f"ts_rank('{{1,1,1,1}}', words, CAST(:q{at} AS tsquery)) AS r{at}" for at in each)
    counts = ", ".join(
        f"CAST({f'count(*) FILTER (WHERE r{at} > 0)' if at in counted else f':c{at}'} AS float8) AS c{at}"
        for at in each
    )
    weights = ", ".join(
        f"greatest(ln(greatest(CAST(:total AS float8) - c{at} + {HALF}, {HALF}) / (c{at} + {HALF})), {LEAST}) AS w{at}"
        for at in each
    )
    times = {at: f"round(1 / greatest({ALL} * (1 - r{at}), {CLOSEST}) - {HALF})" for at in each}
    score = " + ".join(
        f"CASE WHEN r{at} > 0 THEN w{at} * {times[at]} * {K1 + 1}::float8 / ({times[at]} + norm) ELSE 0 END"
        for at in each
    )
    sql = (
        f"WITH held AS MATERIALIZED (SELECT number, document, {ranks}, "  # noqa: S608
        f"{K1}::float8 * ({1 - B}::float8 + {B}::float8 * length / CAST(:average AS float8)) AS norm "
        f"FROM {of.whole.table} WHERE words @@ CAST(:every AS tsquery)), "
        f"counted AS (SELECT {counts} FROM held), weights AS (SELECT {weights} FROM counted) "
        f"SELECT number, document, {score} AS score FROM held, weights ORDER BY score DESC, number LIMIT :most"
    )
    values: dict[str, Any] = {f"q{at}": _quoted(one) for at, one in enumerate(lexemes)}
    if of.held is not None:
        values |= {f"c{at}": float(of.held[lexemes[at]]) for at in each if at not in counted}
    values["every"] = " | ".join(map(_quoted, terms.choosing))
    values |= {"total": float(of.whole.chunks), "average": of.whole.average}
    return Statement(sql, values, whole=not terms.adding)


HALF, LEAST, ALL, CLOSEST = "0.5::float8", "1e-6::float8", "1.6449340668::float8", "0.004::float8"
"""LEAST: a word that more than half of the chunks hold adds next to nothing, as in FTS5. ALL: π²/6. CLOSEST: a word
that occurs hundreds of times can't be told from one that occurs a few more times.
"""


def _quoted(lexeme: str) -> str:
    return f"'{lexeme}'"
