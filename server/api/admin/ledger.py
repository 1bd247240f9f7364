"""GET /admin/v1/ledger: every grant, hold, release and charge."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from server.accounts.reports.rows import LEDGER_COLUMNS
from server.api.answers import administration as answers
from server.api.openapi import documented
from server.api.rows import AdministrationDep, Format, export

router = APIRouter()


@router.get("/ledger")
@documented(answer=answers.Entries, media=("text/csv",), missing=True)
async def entries(
    request: Request,
    administration: AdministrationDep,
    account: str | None = None,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    format: Format = "json",  # noqa: A002 - the parameter's name on the wire
) -> Response:
    """In the order they were made. account: id or name; after: the id of the last entry that is known already."""
    account_id = None if account is None else (await administration.accounts.find_account(account)).id
    return export(request, "ledger", LEDGER_COLUMNS, administration.entries(account_id, after), format)
