"""Administration as a dependency of routes, and the answers that are made of rows."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from server.accounts.administration import Administration
from server.accounts.keys.service import Accounts
from server.accounts.reports.export import Row, csv_lines, each, json_array, to_json
from server.api.deps import ServicesDep
from server.errors import Unavailable


async def get_administration(services: ServicesDep) -> Administration:
    """Raises Unavailable on a server that was put together without accounts."""
    accounts, ledger, reports = services.accounts, services.ledger, services.reports
    # Whoever only authenticates, as the accounts of a test's server do, has nothing to administer.
    if not isinstance(accounts, Accounts) or ledger is None or reports is None:
        raise Unavailable("This server keeps no accounts.")
    return Administration(accounts, ledger, reports)


AdministrationDep = Annotated[Administration, Depends(get_administration)]
Format = Annotated[Literal["json", "csv"], Query()]


def answer(data: Any) -> Response:
    """JSON with exact amounts. What concerns money and keys is kept in no cache."""
    return Response(to_json(data), headers={"Cache-Control": "no-store"}, media_type="application/json")


def listing(rows: Sequence[Any], **more: Any) -> Response:
    """`{"object": "list", "data": [...]}`, as the OpenAI API lists things."""
    return answer({"object": "list", **more, "data": list(rows)})


def export(request: Request, name: str, columns: Sequence[str], rows: AsyncIterator[Row], form: str) -> Response:
    """Rows as they come, so that they need not fit into memory: a listing, or a CSV file called `name`.csv."""
    if request.method == "HEAD":  # nobody gets them, so they are not read: there may be millions
        rows = each(())
    if form == "csv":
        headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}.csv"'}
        return StreamingResponse(csv_lines(columns, rows), headers=headers, media_type="text/csv; charset=utf-8")
    return StreamingResponse(_listed(rows), headers={"Cache-Control": "no-store"}, media_type="application/json")


async def _listed(rows: AsyncIterator[Row]) -> AsyncGenerator[bytes, None]:
    yield b'{"object":"list","data":'
    async for piece in json_array(rows):
        yield piece
    yield b"}"
