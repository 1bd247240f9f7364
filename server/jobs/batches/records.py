"""What is known of a batch."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, get_args

from server.errors import InvalidRequest, NotFound

Endpoint = Literal[
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/audio/transcriptions",
]
"""What a batch may be of."""
ENDPOINTS: tuple[str, ...] = get_args(Endpoint)
LEAST_WINDOW, MOST_WINDOW = timedelta(hours=1), timedelta(days=14)
_WINDOW = re.compile(r"([1-9][0-9]{0,3})([hd])")
_ID = re.compile(r"batch_[0-9a-f]{32}")


class Status(StrEnum):
    """As the OpenAI API has them."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


OPEN = (Status.VALIDATING, Status.IN_PROGRESS, Status.FINALIZING, Status.CANCELLING)
"""Those in which something is still to be done."""


class Reason(StrEnum):
    """Why nothing of a batch is begun just now. It goes on by itself, but where its owner has paused it."""

    USER = "user"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    MODEL_UNAVAILABLE = "model_unavailable"
    STORAGE_FULL = "storage_full"


@dataclass(frozen=True, slots=True)
class Pause:
    """message: for the batch's owner."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class LineError:
    """Why a batch can't be run. line: its number in the input file, from 1; None where it is the file as a whole.

    param: the field that is wrong, such as `body.model`.
    """

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """completion_window: as it was asked for. errors: why it failed. usage: as `BatchUsage.row` has it. total: requests
    of it, 0 until they are counted. paused_at: since when. The files are named once the batch has ended.
    """

    number: int
    id: str
    account_id: str
    endpoint: str
    input_file_id: str
    completion_window: str
    status: Status
    model: str | None
    metadata: Mapping[str, str] | None
    errors: Sequence[LineError]
    usage: Mapping[str, Any] | None
    total: int
    completed: int
    failed: int
    paused: Pause | None
    paused_at: datetime | None
    output_file_id: str | None
    error_file_id: str | None
    created_at: datetime
    expires_at: datetime
    in_progress_at: datetime | None
    finalizing_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    expired_at: datetime | None
    cancelling_at: datetime | None
    cancelled_at: datetime | None


def new_id() -> str:
    return f"batch_{secrets.token_hex(16)}"


def is_id(text: str) -> bool:
    """Whether a batch could have that id; nothing else reaches the database or the file system."""
    return _ID.fullmatch(text) is not None


def no_such_batch(batch_id: str) -> NotFound:
    """There is none, or it is somebody else's: the two look alike, word by word."""
    return NotFound(f"No batch found with id '{batch_id[:128]}'.")


def window_of(text: str) -> timedelta:
    """`24h`, `3d`. Raises InvalidRequest."""
    if (found := _WINDOW.fullmatch(text)) is not None:
        window = timedelta(hours=int(found[1])) if found[2] == "h" else timedelta(days=int(found[1]))
        if LEAST_WINDOW <= window <= MOST_WINDOW:
            return window
    raise InvalidRequest(
        f"Invalid completion_window: '{text[:40]}'. Expected 24h, or any number of hours or days from 1h to 14d.",
        param="completion_window",
    )
