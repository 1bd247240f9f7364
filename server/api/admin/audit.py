"""GET /admin/v1/audit: who did what to what."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from server.accounts.reports.rows import act_row
from server.api.answers import administration as answers
from server.api.openapi import documented
from server.api.rows import AdministrationDep, listing

router = APIRouter()


@router.get("/audit")
@documented(answer=answers.Acts)
async def acts(
    administration: AdministrationDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Response:
    """The newest first. before: the id of the last one seen, for the next page; `has_more` tells whether there is one.

    An actor is the id of the key that acted, or `local` for the command line.
    """
    found = await administration.reports.acts(limit + 1, before)
    return listing([act_row(act) for act in found[:limit]], has_more=len(found) > limit)
