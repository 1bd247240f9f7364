"""Datasets, their documents, and the passages of these."""

from datetime import datetime
from typing import Literal

from server.api.answers.base import Answer, Listing


class Dataset(Answer):
    """full_name: by which the Ask Sage API names it for everyone who may read it. permission: the caller's own; `owner`
    to the admin API. model: the embedding model that its vectors are made with; null before its first document.
    documents, passages: those that are found.
    """

    id: str
    object: Literal["dataset"]
    name: str
    full_name: str
    permission: Literal["read", "edit", "admin", "owner"]
    classification: Literal["Unclassified", "CUI"]
    model: str | None
    documents: int
    passages: int
    created_at: datetime


class Document(Answer):
    """done, total: of the step under way, passages or pages or seconds; total is 0 while it is not known. error: why it
    failed. size: bytes as added.
    """

    id: str
    object: Literal["document"]
    dataset_id: str
    filename: str
    context: str
    state: Literal["queued", "reading", "embedding", "ready", "failed", "cancelled"]
    done: int
    total: int
    error: str | None
    size: int
    passages: int
    tokens: int
    created_at: datetime
    updated_at: datetime


class Passage(Answer):
    """place: its number in the document, from 0. heading: the headings above it, outermost first. page: from 1; null
    where there are none. start, end: characters of the document's whole text; of a recording, milliseconds. A passage
    may repeat the end of the one before it.
    """

    place: int
    text: str
    heading: str
    page: int | None
    start: int
    end: int


class Deleted(Answer):
    id: str
    deleted: Literal[True]


class Datasets(Listing[Dataset]):
    pass


class Documents(Listing[Document]):
    """has_more: whether there are older ones."""

    has_more: bool


class Passages(Listing[Passage]):
    """document: whose they are. has_more: whether there are later ones."""

    document: Document
    has_more: bool


class Owner(Answer):
    id: str
    name: str


class States(Answer):
    """How many documents there are in each."""

    queued: int
    reading: int
    embedding: int
    ready: int
    failed: int
    cancelled: int


class OverseenDataset(Dataset):
    """shared_with: how many other accounts may use it."""

    owner: Owner
    states: States
    shared_with: int


class OverseenDatasets(Listing[OverseenDataset]):
    pass


class FoundPassage(Passage):
    """score: higher is better, comparable within one search only."""

    document_id: str
    filename: str
    score: float


class FoundPassages(Listing[FoundPassage]):
    pass
