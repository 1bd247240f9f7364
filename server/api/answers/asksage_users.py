"""What the user side of the Ask Sage dialect answers: an envelope whose `response` is the payload."""

from typing import Any

from server.api.answers.base import Answer


class Said(Answer):
    """response: a word such as `OK`, or what was asked for. status: as an HTTP status, whatever HTTP's own is."""

    response: Any
    status: int


class Listed(Said):
    """total: how many there are, on all pages."""

    total: int


class MadeKey(Said):
    """response: the key's text, which is told this once. id: its number, by which it is deleted."""

    id: int
    key_id: str
    name: str
    prefix: str
    scopes: list[str]
    created: str
    expires: str | None


class DocumentFacts(Answer):
    id: str
    filename: str
    chunks: int
    tokens: int


class Trained(Said):
    """embedding: the vector of a text; of a file, and of several texts, those of the first chunks. document: what was
    made of those."""

    embedding: list[float] | list[list[float]]
    document: DocumentFacts | None = None


class FileText(Said):
    """ret: the file's text, each page after a line of JSON that says where it is. sent_filename: without spaces."""

    ret: str
    sent_filename: str
