"""GET /v1/key, /v1/credits and /v1/usage: who the caller is, what it has, and what it used. Not in the OpenAI API."""

from dataclasses import asdict
from datetime import date

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from server.accounts.ledger.terms import Balance
from server.accounts.reports.export import each
from server.accounts.reports.rows import balance_row, grouping, usage_columns
from server.api.access import ANYONE, authenticated, effective_scopes, keyed
from server.api.answers import administration as answers
from server.api.deps import CallerDep
from server.api.dialect import dialect_of
from server.api.openapi import documented
from server.api.rows import AdministrationDep, Format, answer, export
from server.core.money import ZERO
from server.errors import PermissionDenied

router = APIRouter()


@router.get("/key")
@documented(answer=answers.OwnKey)
async def own_key(request: Request, administration: AdministrationDep) -> Response:
    """What the key that asks may do. Where no key is needed, and none is sent: what everyone may do."""
    sent = dialect_of(request.scope).credentials(request) is not None
    caller = await (keyed if sent else authenticated)(request)
    shown = {
        "scopes": sorted(effective_scopes(caller)),
        "models": None if caller.models is None else sorted(caller.models),
        "limits": asdict(caller.limits),
        "priority": caller.priority.name.lower(),
    }
    if caller is ANYONE:
        scopes = ["inference", "usage"]
        return answer({"id": None, "name": "", "account": None, **shown, "scopes": scopes, "expires_at": None})
    record = await administration.accounts.find_key(caller.key_id)
    account = await administration.accounts.find_account(caller.account_id)
    return answer(
        {
            "id": record.id,
            "name": record.name,
            "account": {"id": account.id, "name": account.name},
            **shown,
            "expires_at": record.expires_at,
        }
    )


@router.get("/credits")
@documented(answer=answers.Balance)
async def credits_left(caller: CallerDep, administration: AdministrationDep) -> Response:
    """balance: what the account owns; held: the part of it set aside for requests in flight; metered: whether it pays.

    Amounts are JSON numbers written in full, up to nine places.
    """
    if caller is ANYONE:
        return answer({"account": None, **balance_row(Balance(ZERO, ZERO, metered=False))})
    return answer({"account": caller.account_id, **balance_row(await administration.ledger.balance(caller.account_id))})


@router.get("/usage")
@documented(answer=answers.Usage, media=("text/csv",))
async def usage(
    request: Request,
    caller: CallerDep,
    administration: AdministrationDep,
    by: str = "",
    key: str | None = None,
    model: str | None = None,
    since: date | None = None,
    until: date | None = None,
    format: Format = "json",  # noqa: A002 - the parameter's name on the wire
) -> Response:
    """The account's usage for a key with the scope `usage` or `admin`, otherwise the key's own. Days are UTC."""
    groups = grouping(by)
    if caller is ANYONE:
        rows = []
    else:
        if "usage" not in effective_scopes(caller):
            if key not in (None, caller.key_id):
                raise PermissionDenied("This key may see its own usage only.", param="key")
            key = caller.key_id
        rows = await administration.usage(
            groups, account=caller.account_id, key=key, model=model, since=since, until=until
        )
    return export(request, "usage", usage_columns(groups), each(rows), format)
