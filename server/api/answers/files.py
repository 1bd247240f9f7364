"""Files that clients keep here."""

from typing import Literal

from server.api.answers.base import Answer, Listing
from server.api.answers.knowledge import Owner


class File(Answer):
    """bytes: its size. filename: what the client called it. created_at, expires_at: seconds since 1970; the latter is
    there for files that expire.
    """

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int | None = None
    filename: str
    purpose: Literal["assistants", "batch", "batch_output", "evals", "user_data", "vision"]
    status: Literal["processed"]


class Files(Listing[File]):
    """has_more: whether there are others behind them. first_id, last_id: null where there are none."""

    has_more: bool
    first_id: str | None
    last_id: str | None


class DeletedFile(Answer):
    id: str
    object: Literal["file"]
    deleted: Literal[True]


class OverseenFile(File):
    """account: whose it is."""

    account: Owner


class OverseenFiles(Listing[OverseenFile]):
    """As Files."""

    has_more: bool
    first_id: str | None
    last_id: str | None
