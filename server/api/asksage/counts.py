"""/server/count-monthly-tokens and its kin: what an account has used, and what it has left."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.accounts.reports.usage import By
from server.api.answers.asksage import Count
from server.api.asksage import body as bodies
from server.api.asksage.dialect import said
from server.api.deps import CallerDep, ServicesDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.services import Services
from server.api.validation import Body
from server.core import Caller, Task

router = APIRouter(route_class=PlainRoute)

MOST = 2**53 - 1
"""What is said to be left to an account that is not metered: the largest integer that every client reads exactly."""
TRAINING = (Task.EMBEDDING.value,)
"""Tasks whose tokens are the training budget's; all others are the inference budget's."""


class CountBody(Body):
    """app_name is taken, and makes no difference."""

    app_name: str = "asksage"


async def _used(services: Services, caller: Caller, *, training: bool) -> int:
    """Tokens of the account since the month began, by UTC."""
    if services.reports is None:
        return 0
    today = datetime.now(UTC).date()
    sums = await services.reports.usage((By.TASK,), account_id=caller.account_id, since=today.replace(day=1))
    counted = [one for one in sums if (one.group[By.TASK] in TRAINING) is training]
    return sum(one.prompt_tokens + one.completion_tokens for one in counted)


EXAMPLES = {"as Cline sends it": {"app_name": "asksage"}}


@router.api_route("/count-monthly-tokens", methods=["GET", "POST"])
@documented(body=CountBody, answer=Count, examples=EXAMPLES)
async def count_monthly_tokens(request: Request, caller: CallerDep, services: ServicesDep) -> Response:
    """Tokens that the account has used this month, without those that were embedded."""
    await bodies.read(request, CountBody, limit=services.settings.max_body)
    return said(await _used(services, caller, training=False))


@router.api_route("/count-monthly-teach-tokens", methods=["GET", "POST"])
@documented(body=CountBody, answer=Count, examples=EXAMPLES)
async def count_monthly_teach_tokens(request: Request, caller: CallerDep, services: ServicesDep) -> Response:
    """Tokens that the account has had embedded this month, by any route."""
    await bodies.read(request, CountBody, limit=services.settings.max_body)
    return said(await _used(services, caller, training=True))


@router.api_route("/count-monthly-tokens-left-with-org", methods=["GET", "POST"])
@documented(body=CountBody, answer=Count, examples=EXAMPLES)
async def count_monthly_tokens_left(request: Request, caller: CallerDep, services: ServicesDep) -> Response:
    """The account's credits that are left, rounded down; 2^53 - 1 for an account that is not metered."""
    await bodies.read(request, CountBody, limit=services.settings.max_body)
    if not caller.metered or services.ledger is None:
        return said(MOST)
    balance = await services.ledger.balance(caller.account_id)
    return said(max(0, int(balance.available)))
