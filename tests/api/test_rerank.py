"""POST /v1/rerank and /v1/score over the fake engine: a document scores the share of the query's words that it has."""

from typing import Any

import httpx
import pytest

from server.core import ScoreJob, Task
from server.engines.fake.engine import FakeEngine
from server.models.config.spec import EmbedModel
from server.settings import Settings
from server.testing import FakePublicModel, FakeServer

pytestmark = pytest.mark.anyio

QUERY = "red green blue white"
DOCUMENTS = ["red", "red green blue", "nothing", "red green"]


@pytest.fixture
def engine(fake: FakeServer) -> FakeEngine:
    return fake.engines[Task.SCORE]


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    return await client.post(path, json={"model": "everything", **body})


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v2/rerank", "/openai/v1/rerank"])
async def test_the_best_come_first(client: httpx.AsyncClient, path: str) -> None:
    answer = await post(client, path, query=QUERY, documents=DOCUMENTS)
    assert answer.status_code == 200
    body = answer.json()
    assert body["results"] == [
        {"index": 1, "relevance_score": 0.75, "document": {"text": "red green blue"}},
        {"index": 3, "relevance_score": 0.5, "document": {"text": "red green"}},
        {"index": 0, "relevance_score": 0.25, "document": {"text": "red"}},
        {"index": 2, "relevance_score": 0.0, "document": {"text": "nothing"}},
    ]
    assert (body["model"], body["method"]) == ("everything", "embedding")
    assert body["id"].startswith("rerank-")
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] == 11


async def test_only_the_best_and_without_their_texts(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    texts = [{"text": text, "title": "ignored"} for text in DOCUMENTS]
    answer = await post(
        client, "/v1/rerank", query=QUERY, documents=texts, top_n=1, return_documents=False, max_tokens_per_doc=5
    )
    assert answer.json()["results"] == [{"index": 1, "relevance_score": 0.75}]
    assert engine.jobs == [ScoreJob(queries=(QUERY,), documents=tuple(DOCUMENTS), document_tokens=5)]


async def test_equal_scores_keep_the_documents_order(client: httpx.AsyncClient) -> None:
    answer = await post(client, "/v1/rerank", query="red", documents=["red", "x", "red"], top_n=9)
    assert [one["index"] for one in answer.json()["results"]] == [0, 2, 1]


async def test_the_method_is_what_the_engine_says(settings: Settings) -> None:
    async with FakeServer(settings, {Task.SCORE: {"method": "cross-encoder"}}) as server, server.client() as client:
        ranked = await post(client, "/v1/rerank", query="red", documents=["red"])
        scored = await post(client, "/v1/score", text_1="red", text_2="red")
    assert [ranked.json()["method"], scored.json()["method"]] == ["cross-encoder"] * 2


@pytest.mark.parametrize("path", ["/v1/score", "/score"])
@pytest.mark.parametrize(
    "names", [("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")]
)
async def test_scores_in_the_order_of_the_documents(
    client: httpx.AsyncClient, engine: FakeEngine, path: str, names: tuple[str, str]
) -> None:
    answer = await post(client, path, **{names[0]: QUERY, names[1]: DOCUMENTS})
    assert answer.status_code == 200
    body = answer.json()
    assert body["data"] == [
        {"index": 0, "object": "score", "score": 0.25},
        {"index": 1, "object": "score", "score": 0.75},
        {"index": 2, "object": "score", "score": 0.0},
        {"index": 3, "object": "score", "score": 0.5},
    ]
    assert (body["object"], body["model"], body["method"]) == ("list", "everything", "embedding")
    assert engine.jobs == [ScoreJob(queries=(QUERY,), documents=tuple(DOCUMENTS), names=names)]


async def test_pair_by_pair(client: httpx.AsyncClient) -> None:
    answer = await post(client, "/v1/score", text_1=["red", "blue"], text_2=["red", "red"])
    assert [one["score"] for one in answer.json()["data"]] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("path", "body", "param", "code"),
    [
        ("/v1/rerank", {"documents": ["a"]}, "query", "missing_required_parameter"),
        ("/v1/rerank", {"query": "a"}, "documents", "missing_required_parameter"),
        ("/v1/rerank", {"query": "", "documents": ["a"]}, "query", "invalid_value"),
        ("/v1/rerank", {"query": "a", "documents": []}, "documents", "invalid_value"),
        ("/v1/rerank", {"query": "a", "documents": ["a", ""]}, "documents[1]", "invalid_value"),
        ("/v1/rerank", {"query": "a", "documents": [{"txt": "a"}]}, "documents[0].text", "missing_required_parameter"),
        ("/v1/rerank", {"query": "a", "documents": ["a"] * 2049}, "documents", "invalid_value"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "top_n": -1}, "top_n", "invalid_value"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "instruction": "Be kind"}, "instruction", "invalid_value"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "use_activation": False}, "use_activation", "invalid_value"),
        ("/v1/score", {}, "text_1", "missing_required_parameter"),
        ("/v1/score", {"text_1": "a"}, "text_2", "missing_required_parameter"),
        ("/v1/score", {"documents": "a"}, "queries", "missing_required_parameter"),
        ("/v1/score", {"queries": "a"}, "documents", "missing_required_parameter"),
        ("/v1/score", {"text_1": ["a", "b"], "text_2": ["a", "b", "c"]}, "text_1", "invalid_value"),
        ("/v1/score", {"text_1": "a", "text_2": ["b", ""]}, "text_2[1]", "invalid_value"),
    ],
)
async def test_what_is_wrong_is_named(
    client: httpx.AsyncClient, engine: FakeEngine, path: str, body: dict[str, Any], param: str, code: str
) -> None:
    answer = await post(client, path, **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert engine.jobs == []


async def test_without_a_model_the_first_that_scores_answers(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/rerank", json={"query": "red", "documents": ["red"]})
    assert answer.json()["model"] == "everything"


async def test_without_a_model_a_cross_encoder_goes_first(
    client: httpx.AsyncClient, fake: FakeServer, engine: FakeEngine
) -> None:
    pairs = EmbedModel(name="pairs", engine="embed", path="pairs", cross_encoder=True)
    fake.catalog.listed.append(FakePublicModel("ranker", {Task.SCORE: pairs}))
    fake.registry.engines["pairs"] = engine
    for path, body in (("/rerank", {"query": "a", "documents": ["a"]}), ("/score", {"text_1": "a", "text_2": "a"})):
        answer = await client.post(path, json=body)
        assert (answer.status_code, answer.json()["model"]) == (200, "ranker")
        assert answer.headers["x-sagehold-model"] == "pairs"


async def test_the_root_asks_for_a_key_too(fake: FakeServer) -> None:
    async with fake.client(key=None) as client:
        answer = await client.post("/rerank", json={"query": "red", "documents": ["red"]})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
