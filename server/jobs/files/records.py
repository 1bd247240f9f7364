"""What is known of a kept file."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from server.errors import NotFound

UPLOADED = ("assistants", "batch", "evals", "user_data", "vision")
"""Purposes that a client's file may have."""
BATCH_OUTPUT = "batch_output"
"""The purpose of a file that a batch has made."""
LONGEST_NAME = 255
"""Characters."""
_ID = re.compile(r"file-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """size: bytes. path: where they lie, for as long as the file is not deleted. filename: what the client called it,
    in one line and without folders; for people, and never a path here."""

    id: str
    account_id: str
    path: Path
    filename: str
    purpose: str
    size: int
    created_at: datetime
    expires_at: datetime | None


def new_id() -> str:
    return f"file-{secrets.token_hex(16)}"


def is_id(text: str) -> bool:
    """Whether a file could have that id; nothing else reaches the database or the file system."""
    return _ID.fullmatch(text) is not None


def no_such_file(file_id: str, param: str | None = "id") -> NotFound:
    """There is none, or it is somebody else's: the two look alike, word by word."""
    return NotFound(f"No such File object: {file_id[:128]}", param=param)
