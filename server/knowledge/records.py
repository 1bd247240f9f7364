"""What the rest of the server sees of knowledge: plain values, without the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Literal


class Permission(IntEnum):
    """What an account may do with a dataset; each includes those before it.

    READ: search it and list what is in it. EDIT: add documents and take them out. ADMIN: let other accounts in.
    OWNER: delete it; whoever made it, and nobody else.
    """

    READ = 1
    EDIT = 2
    ADMIN = 3
    OWNER = 4


Fusion = Literal["hybrid", "keyword", "dense"]


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """How a dataset is searched. hybrid: reciprocal rank fusion of both orders, each by its weight.

    rerank: whether what was found is put in order once more, by the server's reranking model, where it has one.
    """

    fusion: Fusion = "hybrid"
    keyword_weight: float = 1.0
    dense_weight: float = 1.0
    rerank: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """Documents that are searched together. owner_number: of the owner's account, see `full_name`.

    model: the embedding model's own name (not a public one) that its vectors are made with, and must be searched with;
    dimensions: their length; both None before its first document. permission: the caller's own.
    """

    id: str
    name: str
    owner_id: str
    owner_number: int
    permission: Permission
    created_at: datetime
    classification: str | None = None
    model: str | None = None
    dimensions: int | None = None
    terms: SearchTerms = SearchTerms()
    documents: int = 0
    chunks: int = 0

    @property
    def full_name(self) -> str:
        """As the Ask Sage API shows it: `user_custom_34125_handbook_content`."""
        return f"user_custom_{self.owner_number}_{self.name}_content"


@dataclass(frozen=True, slots=True)
class Assignment:
    """An account that a dataset is shared with."""

    dataset_id: str
    account_id: str
    account_name: str
    permission: Permission


class DocumentState(StrEnum):
    """queued → reading → embedding → ready; or failed, or cancelled. Only what is ready is ever found or counted."""

    QUEUED = "queued"
    READING = "reading"
    EMBEDDING = "embedding"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (DocumentState.READY, DocumentState.FAILED, DocumentState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Document:
    """A file or a text in a dataset, and where its ingestion stands.

    filename: without folders; of a text, a made one. context: what whoever added it said of it, shown with each of its
    references. size: bytes as added. done, total: of the step under way, chunks or pages or seconds; total 0 while it
    is not known. error: why it failed, in words for its owner.
    """

    id: str
    dataset_id: str
    filename: str
    state: DocumentState
    size: int
    created_at: datetime
    updated_at: datetime
    context: str = ""
    done: int = 0
    total: int = 0
    chunks: int = 0
    tokens: int = 0
    attempts: int = 0
    error: str | None = None

    def listed(self, dataset: str) -> dict[str, Any]:
        """As lists of documents show it. dataset: its full name."""
        return {
            "id": self.id,
            "dataset": dataset,
            "filename": self.filename,
            "state": self.state.value,
            "done": self.done,
            "total": self.total,
            "chunks": self.chunks,
            "tokens": self.tokens,
            "size": self.size,
            "context": self.context,
            "attempts": self.attempts,
            "error": self.error,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document, as it is embedded, searched and shown.

    place: its number in the document, from 0. heading: the headings above it, outermost first, joined by " › ".
    page: from 1; a sheet's or a slide's number likewise; None where there are none. start, end: characters of the
    document's whole text; of a recording, milliseconds.
    """

    place: int
    text: str
    heading: str = ""
    page: int | None = None
    start: int = 0
    end: int = 0

    @property
    def searched(self) -> str:
        """What is embedded and indexed: the text under its headings."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found. score: higher is better, comparable within one search only.

    keyword_rank, dense_rank: its place by each order, from 1; None where that did not find it.
    """

    chunk: Chunk
    dataset: Dataset
    document_id: str
    filename: str
    context: str
    score: float
    keyword_rank: int | None = None
    dense_rank: int | None = None


@dataclass(frozen=True, slots=True)
class WebResult:
    """A result of live search. page: the page's text, where it was fetched; None where it was not."""

    title: str
    link: str
    snippet: str
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """What live search gave. unavailable: why there is nothing, or less than was asked for, in words for the client."""

    results: tuple[WebResult, ...] = ()
    unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class Persona:
    """How a model is to speak and what it knows of itself: a system prompt under a number and a name.

    origin: where it comes from; `database` ones are changed by the admin API, and hide one of the same id elsewhere.
    """

    id: int
    name: str
    description: str
    prompt: str
    origin: Literal["built-in", "file", "database"] = "built-in"
    version: int = 1
    more: Mapping[str, Any] = field(default_factory=dict)
