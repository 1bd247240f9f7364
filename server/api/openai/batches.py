"""/v1/batches: files of requests that are answered in the background, as the OpenAI API has them.

Added to it: pausing and resuming, other completion windows than a day, several models in one file, and why a batch that
is paused is so.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from server.api.access import ANYONE
from server.api.answers import batches as answers
from server.api.body import read_json
from server.api.deps import CallerDep
from server.api.openai.files import listed
from server.api.openai.responses.request import Metadata
from server.api.openapi import documented
from server.api.rows import answer
from server.api.services import services_of
from server.api.validation import Body
from server.errors import NotServedHere
from server.jobs.batches.batches import Batches
from server.jobs.batches.records import Batch, Endpoint

router = APIRouter()

MOST_BODY = 64 * 1024
SHORTEST, LONGEST = 3600, 30 * 86400
"""Seconds that the files with the answers may be kept, where that is limited."""


class OutputExpiry(Body):
    """seconds: from when the files were made."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=SHORTEST, le=LONGEST)


class NewBatch(Body):
    """input_file_id: a file of the purpose `batch`. endpoint: that all its requests are for. completion_window: 24h, or
    any number of hours or days from 1h to 14d."""

    input_file_id: str
    endpoint: Endpoint
    completion_window: str
    metadata: Metadata | None = None
    output_expires_after: OutputExpiry | None = None


class Nothing(Body):
    """No more is to be said; the body may be left out."""


async def nothing_more(request: Request) -> None:
    """Raises InvalidRequest for a body that is none."""
    await read_json(request, Nothing, limit=MOST_BODY, empty=True)


async def get_batches(connection: HTTPConnection) -> Batches:
    """Raises NotServedHere on a server that was put together without them."""
    batches = services_of(connection).batches
    if batches is None:
        raise NotServedHere("This server runs no batches.")
    return batches


ActBody = Depends(nothing_more)
BatchesDep = Annotated[Batches, Depends(get_batches)]
ACT: Mapping[str, Any] = {"body": Nothing, "answer": answers.Batch, "examples": {"of one batch": {}}}
"""What is documented of an act on a batch."""
EXAMPLES = {
    "within a day": {
        "input_file_id": "file-6c3b…",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"run": "nightly"},
    }
}


@router.post("/batches")
@documented(body=NewBatch, answer=answers.Batch, missing=True, busy=True, examples=EXAMPLES)
async def create_batch(request: Request, caller: CallerDep, batches: BatchesDep) -> Response:
    """Have the requests of a file answered in the background, at the price of batches."""
    asked = await read_json(request, NewBatch, limit=MOST_BODY)
    batch = await batches.create(
        caller,
        asked.input_file_id,
        asked.endpoint,
        asked.completion_window,
        metadata=asked.metadata,
        output_seconds=None if asked.output_expires_after is None else asked.output_expires_after.seconds,
        paid=caller.key_id != ANYONE.key_id,
    )
    return answer(batch_row(batch))


@router.get("/batches")
@documented(answer=answers.Batches, missing=True)
async def list_batches(
    caller: CallerDep,
    batches: BatchesDep,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """The newest first. after: the id of the last one seen, for the next page."""
    found = await batches.page(caller.account_id, limit + 1, after)
    return answer(listed([batch_row(one) for one in found[:limit]], has_more=len(found) > limit))


@router.get("/batches/{batch_id}")
@documented(answer=answers.Batch)
async def retrieve_batch(batch_id: str, caller: CallerDep, batches: BatchesDep) -> Response:
    """One batch, and how far it is."""
    return answer(batch_row(await batches.find(caller.account_id, batch_id)))


@router.post("/batches/{batch_id}/cancel", dependencies=[ActBody])
@documented(**ACT)
async def cancel_batch(batch_id: str, caller: CallerDep, batches: BatchesDep) -> Response:
    """End a batch: what is answered by then is kept."""
    return answer(batch_row(await batches.cancel(caller.account_id, batch_id)))


@router.post("/batches/{batch_id}/pause", dependencies=[ActBody])
@documented(**ACT)
async def pause_batch(batch_id: str, caller: CallerDep, batches: BatchesDep) -> Response:
    """Begin nothing more of a batch until it is resumed. Its time goes on."""
    return answer(batch_row(await batches.pause(caller.account_id, batch_id)))


@router.post("/batches/{batch_id}/resume", dependencies=[ActBody])
@documented(**ACT)
async def resume_batch(batch_id: str, caller: CallerDep, batches: BatchesDep) -> Response:
    """Go on with a batch that is paused, for whatever reason, and try at once whether that is over."""
    return answer(batch_row(await batches.resume(caller.account_id, batch_id)))


def batch_row(batch: Batch) -> dict[str, Any]:
    """The OpenAI batch object, and what this server adds to it."""
    errors = None
    if batch.errors:
        rows = [
            {"code": one.code, "line": one.line, "message": one.message, "param": one.param} for one in batch.errors
        ]
        errors = {"object": "list", "data": rows}
    usage = None
    if batch.usage is not None:
        usage = {**batch.usage, "credits": Decimal(batch.usage["credits"])}
    paused = None
    if batch.paused is not None and batch.paused_at is not None:
        paused = {
            "reason": batch.paused.reason.value,
            "message": batch.paused.message,
            "since": int(batch.paused_at.timestamp()),
        }
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": errors,
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": batch.status.value,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": _seconds(batch.created_at),
        "in_progress_at": _seconds(batch.in_progress_at),
        "expires_at": _seconds(batch.expires_at),
        "finalizing_at": _seconds(batch.finalizing_at),
        "completed_at": _seconds(batch.completed_at),
        "failed_at": _seconds(batch.failed_at),
        "expired_at": _seconds(batch.expired_at),
        "cancelling_at": _seconds(batch.cancelling_at),
        "cancelled_at": _seconds(batch.cancelled_at),
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "usage": usage,
        "metadata": batch.metadata,
        "paused": paused,
    }


def _seconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp())
