"""From a question to passages: both orders of each dataset, fused, and put in order once more where that is wanted."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from server.core import Caller
from server.errors import KnowledgeUnavailable
from server.knowledge.access import readable_by
from server.knowledge.calls import Models, Vectors
from server.knowledge.records import Chunk, Dataset, DocumentState, Fusion, Passage, SearchTerms
from server.knowledge.search.index import Found, Index
from server.knowledge.search.no_index import NoIndex
from server.knowledge.search.postgres import PostgresIndex
from server.knowledge.search.sqlite import SqliteIndex
from server.knowledge.tables import ChunkRow, DatasetRow, DocumentRow
from server.settings import Settings
from server.storage.database import Database

K = 60
"""Of reciprocal rank fusion: how little the first places stand out (Cormack, Clarke and Büttcher, SIGIR 2009)."""
DEPTH, LEAST_DEPTH = 4, 50
"""So many times the passages that are asked for, and at least so many, are taken of each order before it is fused."""
RERANKED = 4
"""So many times the passages that are asked for are reranked."""
SPARE = 8
"""So many more are loaded than are asked for: a document may be deleted meanwhile."""


def index_for(database: Database, settings: Settings) -> Index:
    """What that database is searched with."""
    return SqliteIndex(database, settings.vector_memory) if database.sqlite else PostgresIndex(database)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chunk stands by each order, from 1, and after both."""

    number: int
    score: float
    keyword_rank: int | None = None
    dense_rank: int | None = None


def fused(keyword: Mapping[int, int], dense: Mapping[int, int], terms: SearchTerms) -> Sequence[Place]:
    """Reciprocal rank fusion, best first: a chunk has weight / (60 + rank) of each order that found it.

    keyword, dense: the ranks of chunks by their number. For example, first by words and third by vectors, both of
    weight 1: 1/61 + 1/63.
    """

    def share(weight: float, rank: int | None) -> float:
        return 0.0 if rank is None else weight / (K + rank)

    places = []
    for number in {**keyword, **dense}:
        ranks = keyword.get(number), dense.get(number)
        score = share(terms.keyword_weight, ranks[0]) + share(terms.dense_weight, ranks[1])
        places.append(Place(number, score, *ranks))
    return sorted(places, key=lambda place: (-place.score, place.number))


class Retrieval:
    """Search. Only the datasets given are looked at: who may see which is for `Datasets` to say.

    Of several datasets, similarities by the same model are compared with each other, and ranks by words are each
    dataset's own: how rare a word is differs between them. If one of them wants reranking, all that was found has it.
    """

    def __init__(self, database: Database, index: Index, models: Models) -> None:
        self._database = database
        self._index = index
        self._models = models

    async def search(
        self,
        caller: Caller,
        query: str,
        datasets: Sequence[Dataset],
        limit: int,
        *,
        fusion: Fusion | None = None,
    ) -> Sequence[Passage]:
        """The best passages of all, best first. fusion: in place of the datasets' own, for measurements.

        The caller pays for the query's vector, one by embedding model. Raises what `Models.embed` does, and
        KnowledgeUnavailable where a dataset's model is not served here any more.
        """
        searched = {each.id: each for each in datasets if each.chunks}
        if not searched or limit < 1 or not query.strip():
            return []
        if isinstance(self._index, NoIndex):  # before anything is paid
            self._index.refuse()
        by_words = [each for each in searched.values() if (fusion or each.terms.fusion) != "dense"]
        by_vectors = [each for each in searched.values() if each.model and (fusion or each.terms.fusion) != "keyword"]
        vectors = await self._vectors(caller, query, {each.model for each in by_vectors if each.model})
        _check_lengths(by_vectors, vectors)
        depth = max(limit * DEPTH, LEAST_DEPTH)
        found = await _all(
            [self._index.keyword(each, query, depth) for each in by_words]
            + [self._index.dense(each, vectors[each.model], depth) for each in by_vectors]
        )
        keyword = dict(zip([each.id for each in by_words], found, strict=False))
        dense = dict(zip([each.id for each in by_vectors], found[len(by_words) :], strict=True))
        ranks = _ranks_by_similarity(searched, dense)
        places = [
            place
            for each in searched.values()
            for place in fused(
                {one.number: rank for rank, one in enumerate(keyword.get(each.id, ()), 1)},
                {one.number: ranks[one.number] for one in dense.get(each.id, ())},
                each.terms,
            )
        ]
        places.sort(key=lambda place: (-place.score, place.number))
        if self._models.reranking is None or not any(each.terms.rerank for each in searched.values()):
            return (await self._passages(caller, searched, places[: limit + SPARE]))[:limit]
        found_passages = await self._passages(caller, searched, places[: limit * RERANKED])
        return (await self._reranked(caller, query, found_passages))[:limit]

    async def _vectors(self, caller: Caller, query: str, models: Collection[str]) -> Mapping[str | None, Vectors]:
        for model in models:
            if not self._models.installed(model):
                raise KnowledgeUnavailable(
                    f"A dataset was made with the embedding model {model}, which this server does not serve any more."
                )
        return {model: await self._models.embed(caller, model, [query], query=True) for model in sorted(models)}

    async def _passages(
        self, caller: Caller, searched: Mapping[str, Dataset], places: Sequence[Place]
    ) -> Sequence[Passage]:
        """Those that are still there, and that the caller may still read, in the same order. A search may have waited
        long for its vector, and a right ends when it is taken."""
        statement = (
            select(ChunkRow, DocumentRow.id, DocumentRow.filename, DocumentRow.context, DatasetRow.id)
            .join(DocumentRow, DocumentRow.number == ChunkRow.document_number)
            .join(DatasetRow, DatasetRow.number == ChunkRow.dataset_number)
            .where(ChunkRow.number.in_([place.number for place in places]))
            .where(DocumentRow.state == DocumentState.READY, DatasetRow.id.in_(list(searched)))
            .where(DatasetRow.deleted_at.is_(None), readable_by(caller.account_id))
        )
        async with self._database.read() as session:
            rows = {row[0].number: row for row in await session.execute(statement)}
        return [_passage(rows[place.number], searched, place) for place in places if place.number in rows]

    async def _reranked(self, caller: Caller, query: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        if not passages:
            return []
        scores = await self._models.rerank(caller, query, [passage.chunk.searched for passage in passages])
        again = [replace(passage, score=float(score)) for passage, score in zip(passages, scores, strict=True)]
        return sorted(again, key=lambda passage: -passage.score)


def _check_lengths(datasets: Sequence[Dataset], vectors: Mapping[str | None, Vectors]) -> None:
    for each in datasets:
        length = vectors[each.model].shape[-1]
        if each.dimensions is not None and each.dimensions != length:
            raise KnowledgeUnavailable(
                f"A dataset was made with vectors of {each.dimensions} numbers by the embedding model {each.model}, "
                f"which gives {length} now: add its documents to a new dataset."
            )


def _ranks_by_similarity(searched: Mapping[str, Dataset], dense: Mapping[str, Sequence[Found]]) -> Mapping[int, int]:
    """A chunk's rank among all whose vectors are of the same model."""
    pools: dict[str | None, list[Found]] = {}
    for dataset, found in dense.items():
        pools.setdefault(searched[dataset].model, []).extend(found)
    return {
        one.number: rank
        for pool in pools.values()
        for rank, one in enumerate(sorted(pool, key=lambda one: (-one.score, one.number)), 1)
    }


def _passage(row: Any, searched: Mapping[str, Dataset], place: Place) -> Passage:
    chunk, document_id, filename, context, dataset_id = row
    return Passage(
        chunk=Chunk(chunk.place, chunk.text, chunk.heading, chunk.page, chunk.start, chunk.end),
        dataset=searched[dataset_id],
        document_id=document_id,
        filename=filename,
        context=context,
        score=place.score,
        keyword_rank=place.keyword_rank,
        dense_rank=place.dense_rank,
    )


async def _all(searches: Sequence[Coroutine[Any, Any, Sequence[Found]]]) -> Sequence[Sequence[Found]]:
    """All at once; when one fails, the others end too."""
    tasks = [asyncio.ensure_future(search) for search in searches]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
