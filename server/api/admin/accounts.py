"""/admin/v1/accounts: who pays, how fast they may go, and the credits they are given."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from server.accounts.keys.checks import MOST_WEIGHT
from server.accounts.reports.rows import account_row, balance_row
from server.api.admin.limits import LimitsBody
from server.api.answers import administration as answers
from server.api.body import read_json
from server.api.deps import KeyedDep
from server.api.openapi import documented
from server.api.rows import AdministrationDep, answer, listing
from server.api.validation import Body

router = APIRouter()
MOST_BODY = 64 * 1024
Weight = Annotated[int, Field(ge=1, le=MOST_WEIGHT)]


class NewAccount(Body):
    """credits: what it begins with; none by default. email: by which the Ask Sage API names it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    credits: Decimal | None = None
    metered: bool = True
    weight: Weight = 1
    email: str | None = Field(None, min_length=1)
    limits: LimitsBody = LimitsBody()


class AccountChange(Body):
    """closed: true ends the use of all its keys, false opens it again; its money and history stay.

    email: "none" takes its address away.
    """

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    metered: bool | None = None
    weight: Weight | None = None
    email: str | None = Field(None, min_length=1)
    closed: bool | None = None
    limits: LimitsBody | None = None


class Grant(Body):
    """credits: negative to take back. reference: the operator's own name of this grant, under which it counts once."""

    model_config = ConfigDict(extra="forbid")

    credits: Decimal
    note: str = Field("", max_length=256)
    reference: str | None = Field(None, min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")


@router.post("/accounts")
@documented(
    body=NewAccount,
    answer=answers.Account,
    examples={"an account with credits": {"name": "team", "credits": 100, "limits": {"requests_per_minute": 60}}},
)
async def create_account(request: Request, caller: KeyedDep, administration: AdministrationDep) -> Response:
    """Create an account, with credits to begin with."""
    body = await read_json(request, NewAccount, limit=MOST_BODY, exact=True)
    account, balance = await administration.create_account(
        body.name,
        credits=body.credits or None,
        metered=body.metered,
        limits=body.limits.all(),
        weight=body.weight,
        email=body.email,
        actor=caller.key_id,
    )
    return answer(account_row(account, balance))


@router.get("/accounts")
@documented(answer=answers.Accounts)
async def list_accounts(administration: AdministrationDep) -> Response:
    """All of them, the oldest first."""
    accounts = await administration.accounts.list_accounts()
    balances = await administration.ledger.balances()
    return listing([account_row(account, balances[account.id]) for account in accounts])


@router.get("/accounts/{account}")
@documented(answer=answers.Account)
async def retrieve_account(account: str, administration: AdministrationDep) -> Response:
    """One account, by id, name or e-mail address."""
    found = await administration.accounts.find_account(account)
    return answer(account_row(found, await administration.ledger.balance(found.id)))


@router.patch("/accounts/{account}")
@documented(
    body=AccountChange,
    answer=answers.Account,
    examples={
        "another limit": {"limits": {"concurrent_requests": 4}},
        "twice the share of others": {"weight": 2},
        "an address": {"email": "team@example.org"},
        "no use of its keys until it is opened again": {"closed": True},
        "open again": {"closed": False},
    },
)
async def change_account(
    account: str, request: Request, caller: KeyedDep, administration: AdministrationDep
) -> Response:
    """Change, rename, close or reopen an account: what is named, and nothing else."""
    body = await read_json(request, AccountChange, limit=MOST_BODY)
    limits = None if body.limits is None else body.limits.named()
    changed = await administration.accounts.change_account(
        account,
        name=body.name,
        metered=body.metered,
        weight=body.weight,
        email="" if body.email == "none" else body.email,
        closed=body.closed,
        limits=limits,
        actor=caller.key_id,
    )
    return answer(account_row(changed, await administration.ledger.balance(changed.id)))


@router.post("/accounts/{account}/credits")
@documented(
    body=Grant,
    answer=answers.Granted,
    examples={"a grant that counts once": {"credits": 50, "note": "May", "reference": "invoice-17"}},
)
async def grant_credits(
    account: str, request: Request, caller: KeyedDep, administration: AdministrationDep
) -> Response:
    """Give or take credits; the answer is the balance after it, and whether the reference was counted before."""
    body = await read_json(request, Grant, limit=MOST_BODY, exact=True)
    found = await administration.accounts.find_account(account)
    granted = await administration.ledger.grant(
        found.id, body.credits, body.note, actor=caller.key_id, reference=body.reference
    )
    balance = balance_row(granted.balance)
    return answer({"account": found.id, **balance, "already_granted": granted.already})
