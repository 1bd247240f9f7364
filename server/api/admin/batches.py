"""/admin/v1/batches: everybody's, by ids; each act stands in the audit log."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from server.api.answers import batches as answers
from server.api.deps import KeyedDep
from server.api.openai.batches import ACT, ActBody, BatchesDep, batch_row
from server.api.openai.files import listed
from server.api.openapi import documented
from server.api.rows import AdministrationDep, answer
from server.jobs.batches.batches import Overseen
from server.jobs.batches.records import Status

router = APIRouter()


@router.get("/batches")
@documented(answer=answers.OverseenBatches, missing=True)
async def list_batches(
    batches: BatchesDep,
    administration: AdministrationDep,
    account: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    status: Status | None = None,
) -> Response:
    """The newest first. account: id or name, for its own only. after: the id of the last one seen. status: only those
    in it."""
    owner = None if account is None else (await administration.accounts.find_account(account)).id
    found = await batches.everybodys(limit + 1, after, owner, status)
    return answer(listed([_row(one) for one in found[:limit]], has_more=len(found) > limit))


@router.get("/batches/{batch_id}")
@documented(answer=answers.OverseenBatch)
async def retrieve_batch(batch_id: str, batches: BatchesDep) -> Response:
    """One batch and how far it is, whoever's it is."""
    return answer(_row(await batches.overseen(batch_id)))


@router.post("/batches/{batch_id}/cancel", dependencies=[ActBody])
@documented(**ACT)
async def cancel_batch(batch_id: str, caller: KeyedDep, batches: BatchesDep) -> Response:
    """End a batch, whoever's it is: what is answered by then is kept."""
    return answer(batch_row(await batches.cancel(None, batch_id, actor=caller.key_id)))


@router.post("/batches/{batch_id}/pause", dependencies=[ActBody])
@documented(**ACT)
async def pause_batch(batch_id: str, caller: KeyedDep, batches: BatchesDep) -> Response:
    """Begin nothing more of a batch until it is resumed, by its owner or here."""
    return answer(batch_row(await batches.pause(None, batch_id, actor=caller.key_id)))


@router.post("/batches/{batch_id}/resume", dependencies=[ActBody])
@documented(**ACT)
async def resume_batch(batch_id: str, caller: KeyedDep, batches: BatchesDep) -> Response:
    """Go on with a batch that is paused."""
    return answer(batch_row(await batches.resume(None, batch_id, actor=caller.key_id)))


def _row(one: Overseen) -> dict[str, Any]:
    return {**batch_row(one.batch), "account": {"id": one.batch.account_id, "name": one.owner_name}}
