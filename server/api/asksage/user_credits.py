"""/user/admin-…: accounts with the tokens that they have left, by whoever administers this server.

An Ask Sage token is worth a thousandth of a credit here. Inference and training are paid from the same purse.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from server.accounts.administration import Administration
from server.accounts.keys.identity import Account
from server.accounts.ledger.terms import Balance
from server.accounts.reports.usage import By
from server.api.answers.asksage_users import Listed, Said
from server.api.asksage import body as bodies
from server.api.asksage.dialect import answered, said
from server.api.asksage.own import MOST_BODY
from server.api.deps import KeyedDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.rows import AdministrationDep
from server.api.validation import Body
from server.core import Task
from server.core.money import MOST
from server.errors import Conflict, InvalidRequest, NotFound

router = APIRouter(route_class=PlainRoute)

TOKENS_A_CREDIT = 1000
MOST_TOKENS = int(MOST) * TOKENS_A_CREDIT
LARGEST = 2**31 - 1
TRIES = 10
"""To set what an account has, while others do so too."""

Order = Literal["id", "email", "name", "tokens", "tokens_used"]


class UsersBody(Body):
    """email: of one account. full: changes nothing, all is shown."""

    start: int = Field(0, ge=0, le=LARGEST)
    limit: int = Field(200, ge=1, le=1000)
    email: str | None = None
    full: bool = False
    sort_by: Order = "id"
    sort_direction: Literal["asc", "desc"] = "asc"


class TokensBody(Body):
    """id: the account's number. tokens: that it shall have."""

    id: int = Field(ge=0, le=LARGEST)
    tokens: int = Field(ge=0, le=MOST_TOKENS)


@router.api_route("/admin-get-all-users-with-tokens", methods=["GET", "POST"])
@documented(body=UsersBody, answer=Listed, examples={"the first ten": {"start": 0, "limit": 10}})
async def users_with_tokens(request: Request, administration: AdministrationDep) -> Response:
    """Accounts with what they have left and what they used this month (UTC); tokens are null where one never pays."""
    body = (await bodies.read(request, UsersBody, limit=MOST_BODY)).body
    email = None if body.email is None else body.email.strip().lower()
    accounts = [one for one in await administration.accounts.numbered() if email is None or one.email == email]
    balances = await administration.ledger.balances()
    used = await _used(administration)
    rows = [_row(one, balances[one.id], *used.get(one.id, (0, 0))) for one in accounts]
    rows.sort(key=lambda row: row["id"])
    rows.sort(
        key=lambda row: (row[body.sort_by] is not None, row[body.sort_by] if row[body.sort_by] is not None else 0),
        reverse=body.sort_direction == "desc",
    )
    page = rows[body.start : body.start + body.limit]
    return answered({"response": page, "status": 200, "total": len(rows)})


@router.post("/admin-update-user-tokens")
@documented(
    body=TokensBody, form=TokensBody, answer=Said, missing=True, examples={"200 credits": {"id": 5, "tokens": 200000}}
)
async def update_user_tokens(request: Request, caller: KeyedDep, administration: AdministrationDep) -> Response:
    """Set what an account has: the difference is granted, or taken back."""
    body = (await bodies.read(request, TokensBody, limit=MOST_BODY)).body
    await _set(administration, body, caller.key_id, lower=True)
    return said("OK")


@router.post("/admin-update-user-train-tokens")
@documented(
    body=TokensBody, form=TokensBody, answer=Said, missing=True, examples={"200 credits": {"id": 5, "tokens": 200000}}
)
async def update_user_train_tokens(request: Request, caller: KeyedDep, administration: AdministrationDep) -> Response:
    """See to it that an account has so much at least. The purse is the one that questions are paid from: so nothing is
    taken back from it here."""
    body = (await bodies.read(request, TokensBody, limit=MOST_BODY)).body
    await _set(administration, body, caller.key_id, lower=False)
    return said("OK")


async def _set(administration: Administration, body: TokensBody, actor: str, *, lower: bool) -> None:
    """Grant what is missing; lower: or take back what is too much. Raises NotFound, and Conflict for an account without
    meter, or one that is changed again and again meanwhile.
    """
    account = next((one for one in await administration.accounts.numbered() if one.number == body.id), None)
    if account is None:
        raise NotFound("There is no account with this id.", param="id")
    if not account.metered:
        raise Conflict("This account never pays, so it has no tokens to be set.", param="id")
    ledger = administration.ledger
    for _ in range(TRIES):
        # Two at once would both grant the difference: the reference lets one of them count, and the other looks again.
        reference = f"sage_{account.id}_{await ledger.last_grant(account.id)}"
        difference = _credits(body.tokens) - (await ledger.balance(account.id)).balance
        if not difference or (difference < 0 and not lower):
            return
        note = f"Ask Sage API: set to {body.tokens} tokens"
        try:
            granted = await ledger.grant(account.id, difference, note, actor=actor, reference=reference)
        except InvalidRequest as error:
            if error.param != "reference":
                raise
        else:
            if not granted.already:
                return
    raise Conflict("The account's tokens are being changed by others. Please look at them and try again.", param="id")


async def _used(administration: Administration) -> dict[str, tuple[int, int]]:
    """Tokens of each account this month: of embedding, and of all else."""
    since = datetime.now(UTC).date().replace(day=1)
    used: dict[str, tuple[int, int]] = {}
    for line in await administration.reports.usage((By.ACCOUNT, By.TASK), since=since):
        account, tokens = line.group[By.ACCOUNT], line.prompt_tokens + line.completion_tokens
        taught, asked = used.get(account, (0, 0))
        embedded = line.group[By.TASK] == Task.EMBEDDING
        used[account] = (taught + tokens, asked) if embedded else (taught, asked + tokens)
    return used


def _credits(tokens: int) -> Decimal:
    return Decimal(tokens) / TOKENS_A_CREDIT


def _row(account: Account, balance: Balance, taught: int, asked: int) -> dict[str, Any]:
    tokens = int(balance.balance * TOKENS_A_CREDIT) if account.metered else None
    return {
        "id": account.number,
        "email": account.email,
        "name": account.name,
        "account": account.id,
        "metered": account.metered,
        "closed": account.closed_at is not None,
        "tokens": tokens,
        "train_tokens": tokens,
        "tokens_used": asked,
        "train_tokens_used": taught,
    }
