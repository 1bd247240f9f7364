"""GET /admin/v1/ledger: every grant, hold, release and charge."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from server.accounts.reports.rows import LEDGER_COLUMNS
from server.api.answers import administration as answers
from server.api.openapi import documented
from server.api.rows import AdministrationDep, Format, export
from server.errors import InvalidRequest

router = APIRouter()
Order = Literal["asc", "desc"]
KINDS = ("grant", "hold", "release", "charge")


@router.get("/ledger")
@documented(answer=answers.Entries, media=("text/csv",), missing=True)
async def entries(
    request: Request,
    administration: AdministrationDep,
    account: str | None = None,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    kind: str = "",
    order: Order = "asc",
    limit: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
    format: Format = "json",  # noqa: A002 - the parameter's name on the wire
) -> Response:
    """In the order they were made, or with `desc` the newest first. account: id or name; after: the id of the last
    entry that is known already, in that order; kind: some of grant, hold, release, charge, all by default; limit: at
    most so many, all by default.
    """
    account_id = None if account is None else (await administration.accounts.find_account(account)).id
    found = administration.entries(account_id, after, kinds=_kinds(kind), newest_first=order == "desc", limit=limit)
    return export(request, "ledger", LEDGER_COLUMNS, found, format)


def _kinds(words: str) -> frozenset[str]:
    """`grant,charge` as kinds. Raises InvalidRequest with the allowed words."""
    asked = frozenset(word.strip().lower() for word in words.split(",") if word.strip())
    if unknown := sorted(asked - frozenset(KINDS)):
        raise InvalidRequest(f"No entry is of the kind {unknown[0][:40]!r}, but of {', '.join(KINDS)}.", param="kind")
    return asked
