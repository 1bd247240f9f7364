"""Vectors of texts, and how well documents answer queries."""

from typing import Literal

from server.api.answers.base import Answer, Extras


class TextUsage(Extras):
    prompt_tokens: int
    total_tokens: int


class Embedding(Answer):
    """embedding: numbers, or base64 of their little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingList(Answer):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: TextUsage


class Document(Answer):
    text: str


class Ranked(Answer):
    """index: of the document in the request."""

    index: int
    relevance_score: float
    document: Document | None = None


Method = Literal["cross-encoder", "embedding"]


class Ranking(Answer):
    """The best first. method: by a model that reads query and document at once, or by the cosine of their vectors."""

    id: str
    model: str
    method: Method
    results: list[Ranked]
    usage: TextUsage


class Score(Answer):
    index: int
    object: Literal["score"]
    score: float


class ScoreList(Answer):
    """In the order of the documents. method: as in Ranking."""

    id: str
    object: Literal["list"]
    created: int
    model: str
    method: Method
    data: list[Score]
    usage: TextUsage
