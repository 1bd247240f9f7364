"""Embeddings by the starter model, through openai-python and by plain HTTP."""

import base64
import struct

import httpx
import pytest
from openai import BadRequestError, OpenAI

pytestmark = pytest.mark.models

HANDBOOK = (
    "The office opens at nine in the morning and closes at six.",
    "Invoices are paid within thirty days of their receipt.",
    "Employees have twenty-eight days of paid leave a year.",
    "The server restarts every Sunday at midnight for updates.",
)
QUESTIONS = (("How much vacation do I get?", 2), ("When will my bill be settled?", 1), ("What time do you close?", 0))

HELLO_WORLD = [15339, 1917]
"""`hello world` in cl100k_base."""


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("model", ["text-embedding-3-small", "text-embedding-ada-002", "all-minilm-l6-v2"])
def test_a_question_finds_its_passage(sdk: OpenAI, model: str) -> None:
    passages = [one.embedding for one in sdk.embeddings.create(model=model, input=list(HANDBOOK)).data]
    for question, place in QUESTIONS:
        asked = sdk.embeddings.create(model=model, input=question).data[0].embedding
        scores = [cosine(asked, passage) for passage in passages]
        assert scores.index(max(scores)) == place, question


def test_the_two_encodings_and_the_two_vocabularies_agree(sdk: OpenAI, http: httpx.Client) -> None:
    body = {"model": "text-embedding-3-small", "input": "hello world"}
    floats = sdk.embeddings.create(**body, encoding_format="float").data[0].embedding  # type: ignore[arg-type]
    assert cosine(floats, floats) == pytest.approx(1, abs=1e-5)
    packed = http.post("/v1/embeddings", json={**body, "encoding_format": "base64"}).json()["data"][0]["embedding"]
    assert struct.unpack("<384f", base64.b64decode(packed)) == pytest.approx(floats, abs=1e-7)
    ids = sdk.embeddings.create(model="text-embedding-3-small", input=[HELLO_WORLD, HELLO_WORLD])
    assert [one.embedding for one in ids.data] == [pytest.approx(floats, abs=1e-5)] * 2
    assert ids.usage.prompt_tokens == 8


def test_a_long_text_is_read_whole_and_a_longer_one_refused(sdk: OpenAI) -> None:
    """Thirty times what the model reads at once: the end of the text counts too."""
    filler = "It rained all day in the valley. " * 100
    about = {}
    for subject in ("The recipe needs flour, butter and eggs. ", "The rocket reached its orbit. "):
        about[subject] = sdk.embeddings.create(model="all-minilm-l6-v2", input=filler + subject * 100).data[0].embedding
    asked = sdk.embeddings.create(model="all-minilm-l6-v2", input="How do I bake a cake?").data[0].embedding
    baking, flying = (cosine(asked, vector) for vector in about.values())
    assert baking > flying + 0.1
    with pytest.raises(BadRequestError) as caught:
        sdk.embeddings.create(model="all-minilm-l6-v2", input=["short", "word " * 9000])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input[1]")


def test_documents_are_ranked_and_the_answer_says_how(http: httpx.Client) -> None:
    body = {"model": "text-embedding-3-small", "query": QUESTIONS[0][0], "documents": list(HANDBOOK), "top_n": 2}
    ranked = http.post("/v1/rerank", json=body).json()
    assert ranked["method"] == "embedding"
    assert ranked["results"][0]["index"] == 2
    assert ranked["results"][0]["document"] == {"text": HANDBOOK[2]}
    assert len(ranked["results"]) == 2
    scored = http.post("/score", json={"model": "all-minilm-l6-v2", "text_1": body["query"], "text_2": list(HANDBOOK)})
    values = [one["score"] for one in scored.json()["data"]]
    assert values[2] == max(values) == pytest.approx(ranked["results"][0]["relevance_score"], abs=1e-5)
