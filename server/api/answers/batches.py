"""Batches, as the OpenAI API has them, with what this server adds."""

from typing import Literal

from server.api.answers.base import Answer, Listing
from server.api.answers.knowledge import Owner

Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]


class LineError(Answer):
    """line: its number in the input file, from 1; null where it is the batch as a whole."""

    code: str
    line: int | None
    message: str
    param: str | None


class Errors(Answer):
    object: Literal["list"]
    data: list[LineError]


class RequestCounts(Answer):
    """failed: those that were refused, too, and those whose time was over. total: 0 until they are counted."""

    total: int
    completed: int
    failed: int


class CachedTokens(Answer):
    cached_tokens: int


class ReasoningTokens(Answer):
    reasoning_tokens: int


class Usage(Answer):
    """Of all answers so far. credits: what they cost, where the account is metered. Not in the OpenAI API."""

    input_tokens: int
    input_tokens_details: CachedTokens
    output_tokens: int
    output_tokens_details: ReasoningTokens
    total_tokens: int
    credits: float


class Pause(Answer):
    """Why nothing of a batch is begun just now. It goes on by itself when that is over, but where the reason is `user`.
    since: seconds since 1970."""

    reason: Literal["user", "insufficient_credits", "model_unavailable", "storage_full"]
    message: str
    since: int


class Batch(Answer):
    """Times are seconds since 1970. model: where all requests name the same. paused: while nothing of it is begun; not
    in the OpenAI API.
    """

    id: str
    object: Literal["batch"]
    endpoint: str
    model: str | None
    errors: Errors | None
    input_file_id: str
    completion_window: str
    status: Status
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: Usage | None
    metadata: dict[str, str] | None
    paused: Pause | None


class Batches(Listing[Batch]):
    """has_more: whether there are others behind them. first_id, last_id: null where there are none."""

    has_more: bool
    first_id: str | None
    last_id: str | None


class OverseenBatch(Batch):
    """account: whose it is."""

    account: Owner


class OverseenBatches(Listing[OverseenBatch]):
    """As Batches."""

    has_more: bool
    first_id: str | None
    last_id: str | None
