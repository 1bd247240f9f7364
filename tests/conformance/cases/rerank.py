"""Rerank and score. POST /v1/rerank in Jina's and Cohere's form, /v1/score in vLLM's."""

from typing import Any

from tests.conformance.case import case
from tests.conformance.expect import equal, error, ok, that
from tests.conformance.target import Answer, Target

QUERY = "Where do cats sleep?"
DOCUMENTS = ["The court rejected the appeal.", "Cats sleep on sofas and in the sun.", "Ships need a harbour."]


def rerank(target: Target, **fields: Any) -> Answer:
    body = {"model": target.model("rerank"), "query": QUERY, "documents": DOCUMENTS} | fields
    return target.post("/rerank", body)


@case("vLLM", needs="rerank")
def form(target: Target) -> None:
    """Each document has its index and relevance_score; the best comes first."""
    results = ok(rerank(target)).json()["results"]
    equal(sorted(one["index"] for one in results), [0, 1, 2], "the indices")
    scores = [one["relevance_score"] for one in results]
    equal(scores, sorted(scores, reverse=True), "the order of the scores")
    equal(results[0]["index"], 1, "the best document")


@case("vLLM", needs="rerank")
def top_n(target: Target) -> None:
    """`top_n` gives so many."""
    equal(len(ok(rerank(target, top_n=2)).json()["results"]), 2, "the number of results")


@case("vLLM", needs="rerank")
def texts(target: Target) -> None:
    """Documents may be objects with a text."""
    results = ok(rerank(target, documents=[{"text": one} for one in DOCUMENTS])).json()["results"]
    equal(results[0]["index"], 1, "the best document")


@case("sagehold", needs="rerank")
def empty(target: Target) -> None:
    """No documents: 400 that names them."""
    error(rerank(target, documents=[]), 400, param="documents")


@case("vLLM", needs="rerank")
def other_urls(target: Target) -> None:
    """The same at /rerank and /v2/rerank, as vLLM has them."""
    body = {"model": target.model("rerank"), "query": QUERY, "documents": DOCUMENTS}
    for url in (f"{target.root}/rerank", f"{target.root}/v2/rerank"):
        equal(ok(target.post(url, body)).json()["results"][0]["index"], 1, "the best document")


@case("vLLM", needs="rerank")
def score(target: Target) -> None:
    """/v1/score gives a score for each pair, in order."""
    body = {"model": target.model("rerank"), "text_1": QUERY, "text_2": DOCUMENTS}
    data = ok(target.post("/score", body)).json()["data"]
    equal([one["index"] for one in data], [0, 1, 2], "the indices")
    equal(max(data, key=lambda one: one["score"])["index"], 1, "the best")


@case("sagehold", needs="rerank")
def method(target: Target) -> None:
    """The answer says by what it scores: a cross-encoder or embeddings."""
    that(ok(rerank(target)).json().get("method") in ("cross-encoder", "embedding"), "no method")
