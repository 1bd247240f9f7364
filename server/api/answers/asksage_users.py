"""What the user side of the Ask Sage dialect answers: an envelope whose `response` is the payload."""

from typing import Any

from server.api.answers.base import Answer


class Said(Answer):
    """response: a word such as `OK`, or what was asked for. status: as an HTTP status, whatever HTTP's own is."""

    response: Any
    status: int


class Trained(Said):
    """embedding: the vector of a text; of a file, a vector for each of its parts' texts that was sent for it."""

    embedding: list[Any]


class FileText(Said):
    """ret: the file's text, each page after a line of JSON that says where it is. sent_filename: without spaces."""

    ret: str
    sent_filename: str
