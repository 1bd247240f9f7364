"""GET /admin/v1/usage: what everybody used, summed by account, key, model, task or day."""

from datetime import date

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from server.accounts.reports.export import each
from server.accounts.reports.rows import grouping, usage_columns
from server.api.answers import administration as answers
from server.api.openapi import documented
from server.api.rows import AdministrationDep, Format, export

router = APIRouter()


@router.get("/usage")
@documented(answer=answers.Usage, media=("text/csv",), missing=True)
async def usage(
    request: Request,
    administration: AdministrationDep,
    by: str = "",
    account: str | None = None,
    key: str | None = None,
    model: str | None = None,
    since: date | None = None,
    until: date | None = None,
    format: Format = "json",  # noqa: A002 - the parameter's name on the wire
) -> Response:
    """Days are UTC, both included. account: id or name; key: id; model: the public name that was asked for."""
    groups = grouping(by)
    rows = await administration.usage(groups, account=account, key=key, model=model, since=since, until=until)
    return export(request, "usage", usage_columns(groups), each(rows), format)
