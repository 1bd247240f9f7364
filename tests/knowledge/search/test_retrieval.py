"""From a question to passages, over both databases and models that are asked for known vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from server.core import Caller
from server.errors import KnowledgeUnavailable
from server.knowledge.calls import Vectors
from server.knowledge.records import SearchTerms
from server.knowledge.search.retrieval import Retrieval, fused
from tests.knowledge.search.shelf import Shelf, unit

pytestmark = pytest.mark.anyio
CALLER = Caller(key_id="key_test", account_id="owner")

BREAD = "Bread is baked from flour and water."
IRON = "Iron melts at 1538 degrees."
RIVER = "The river carries water to the sea."
THREE = np.stack([unit(1), unit(0, 1), unit(0, 0, 1)])


@dataclass
class KnownModels:
    """Every query's vector is `vector`; reranking prefers texts that hold `preferred`."""

    vector: Vectors = field(default_factory=lambda: unit(1)[None])
    served: tuple[str, ...] = ("mini", "other")
    embedding: str | None = "mini"
    reranking: str | None = None
    preferred: str = ""
    embedded: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    reranked: list[str] = field(default_factory=list)

    def installed(self, model: str) -> bool:
        return model in self.served

    async def embed(
        self, caller: Caller, model: str, texts: Sequence[str], *, background: bool = False, query: bool = False
    ) -> Vectors:
        assert query, "some models read questions otherwise than documents"
        assert not background
        self.embedded.append((model, tuple(texts)))
        return self.vector

    async def rerank(self, caller: Caller, query: str, texts: Sequence[str]) -> Sequence[float]:
        self.reranked.extend(texts)
        return [float(self.preferred in text) for text in texts]

    async def transcribe(self, caller: Caller, sound: bytes, filename: str) -> Sequence[tuple[float, float, str]]:
        raise AssertionError


def made(shelf: Shelf, models: KnownModels) -> Retrieval:
    return Retrieval(shelf.database, shelf.index, models)


def test_ranks_are_fused_by_their_weights() -> None:
    places = fused({1: 1, 2: 2}, {3: 1, 1: 3}, SearchTerms(keyword_weight=2.0, dense_weight=0.5))
    assert [(place.number, place.keyword_rank, place.dense_rank) for place in places] == [
        (1, 1, 3),
        (2, 2, None),
        (3, None, 1),
    ]
    assert [place.score for place in places] == pytest.approx([2 / 61 + 0.5 / 63, 2 / 62, 0.5 / 61])


async def test_a_passage_tells_where_it_is_from(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    await shelf.add(handbook, [BREAD, IRON], THREE[:2], filename="metals.pdf")
    models = KnownModels(vector=unit(0, 1)[None])
    (first, second) = await made(shelf, models).search(CALLER, "when does iron melt", [handbook], 2)
    assert (first.chunk.text, first.filename, first.context, first.dataset) == (
        IRON,
        "metals.pdf",
        "about metals.pdf",
        handbook,
    )
    assert (first.keyword_rank, first.dense_rank, first.score) == (1, 1, pytest.approx(2 / 61))
    assert (second.chunk.text, second.keyword_rank, second.dense_rank) == (BREAD, None, 2)


async def test_a_dataset_says_by_what_it_is_searched(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    await shelf.add(handbook, [BREAD, IRON, RIVER], THREE)
    models = KnownModels()
    only_words = replace(handbook, terms=SearchTerms(fusion="keyword"))
    found = await made(shelf, models).search(CALLER, "iron", [only_words], 5)
    assert [each.chunk.text for each in found] == [IRON]
    assert models.embedded == []
    only_vectors = replace(handbook, terms=SearchTerms(fusion="dense"))
    found = await made(shelf, models).search(CALLER, "iron", [only_vectors], 1)
    assert [each.chunk.text for each in found] == [BREAD]
    found = await made(shelf, models).search(CALLER, "iron", [only_vectors], 5, fusion="keyword")
    assert [each.chunk.text for each in found] == [IRON]


async def test_nothing_to_search_asks_no_model(shelf: Shelf) -> None:
    empty = replace(await shelf.dataset(), chunks=0)
    models = KnownModels()
    for datasets, query, limit in (([empty], "iron", 5), ([], "iron", 5), ([replace(empty, chunks=1)], "  ", 5)):
        assert await made(shelf, models).search(CALLER, query, datasets, limit) == []
    assert models.embedded == []


async def test_only_what_is_given_is_searched(shelf: Shelf) -> None:
    mine, theirs = await shelf.dataset("mine"), await shelf.dataset("theirs")
    await shelf.add(mine, [BREAD], THREE[:1])
    await shelf.add(theirs, [IRON], THREE[:1])
    found = await made(shelf, KnownModels()).search(CALLER, "iron bread", [mine], 5)
    assert [each.chunk.text for each in found] == [BREAD]


async def test_one_vector_of_the_query_for_each_model(shelf: Shelf) -> None:
    one, two = await shelf.dataset("one"), await shelf.dataset("two")
    other = await shelf.dataset("third", model="other")
    for dataset, text in ((one, BREAD), (two, IRON), (other, RIVER)):
        await shelf.add(dataset, [text])
    models = KnownModels()
    found = await made(shelf, models).search(CALLER, "water", [one, two, other], 5)
    assert {each.chunk.text for each in found} == {BREAD, IRON, RIVER}
    assert sorted(models.embedded) == [("mini", ("water",)), ("other", ("water",))]
    # Similarities of one model are compared over its datasets; the other's are ranked by themselves.
    assert sorted(each.dense_rank or 0 for each in found) == [1, 1, 2]


async def test_a_model_that_is_gone_is_named(shelf: Shelf) -> None:
    handbook = await shelf.dataset(model="gone")
    await shelf.add(handbook, [BREAD])
    with pytest.raises(KnowledgeUnavailable, match="embedding model gone"):
        await made(shelf, KnownModels()).search(CALLER, "bread", [handbook], 5)
    assert await made(shelf, KnownModels()).search(CALLER, "bread", [handbook], 5, fusion="keyword")


async def test_a_model_whose_vectors_have_another_length_now_is_told(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    await shelf.add(handbook, [BREAD])
    models = KnownModels(vector=np.full((1, 8), 0.5, np.float32))
    with pytest.raises(KnowledgeUnavailable, match="16 numbers by the embedding model mini, which gives 8 now"):
        await made(shelf, models).search(CALLER, "bread", [handbook], 5)


async def test_reranking_has_the_last_word_where_a_dataset_wants_it(shelf: Shelf) -> None:
    handbook = await shelf.dataset()
    await shelf.add(handbook, [BREAD, IRON, RIVER], THREE)
    models = KnownModels(reranking="judge", preferred="river")
    found = await made(shelf, models).search(CALLER, "bread", [handbook], 1)
    assert ([each.chunk.text for each in found], models.reranked) == ([BREAD], [])
    wants = replace(handbook, terms=SearchTerms(rerank=True))
    found = await made(shelf, models).search(CALLER, "bread", [wants], 1)
    assert ([each.chunk.text for each in found], found[0].score) == ([RIVER], 1.0)
    assert set(models.reranked) == {BREAD, IRON, RIVER}
    found = await made(shelf, KnownModels()).search(CALLER, "bread", [wants], 1)
    assert [each.chunk.text for each in found] == [BREAD]


@pytest.mark.parametrize("fusion", ["hybrid", "keyword", "dense"])
@pytest.mark.parametrize("rerank", [False, True])
async def test_a_right_that_ends_during_a_search_has_ended(shelf: Shelf, fusion: str, rerank: bool) -> None:
    handbook = await shelf.dataset(terms=SearchTerms(fusion, rerank=rerank))  # type: ignore[arg-type]
    await shelf.add(handbook, [BREAD], THREE[:1])
    reader = replace(CALLER, account_id="reader")
    await shelf.let_in(handbook, reader.account_id)
    models = KnownModels(reranking="sorter")
    retrieval = made(shelf, models)
    assert len(await retrieval.search(reader, "bread", [handbook], 5)) == 1
    await shelf.let_out(handbook)
    assert await retrieval.search(reader, "bread", [handbook], 5) == []
    assert len(await retrieval.search(CALLER, "bread", [handbook], 5)) == 1
    assert await retrieval.search(replace(CALLER, account_id="stranger"), "bread", [handbook], 5) == []
