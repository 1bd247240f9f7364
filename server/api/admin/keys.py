"""/admin/v1/keys: made, listed, revoked. A key's text is in the answer that makes it, and nowhere else."""

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import AwareDatetime, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from server.accounts.keys.identity import DEFAULT_SCOPES
from server.accounts.reports.rows import key_row
from server.api.admin.accounts import MOST_BODY
from server.api.admin.limits import LimitsBody
from server.api.answers import administration as answers
from server.api.body import read_json
from server.api.deps import KeyedDep
from server.api.openapi import documented
from server.api.rows import AdministrationDep, answer, listing
from server.api.validation import Body
from server.errors import NotFound

router = APIRouter()


class NewKey(Body):
    """account: id or name. models: public names that the key may use; all by default. expires_at: with its zone."""

    model_config = ConfigDict(extra="forbid")

    account: str
    name: str = ""
    scopes: list[str] = sorted(DEFAULT_SCOPES)
    models: list[str] | None = None
    expires_at: AwareDatetime | None = None
    limits: LimitsBody = LimitsBody()


@router.post("/keys")
@documented(
    body=NewKey,
    answer=answers.NewKey,
    missing=True,
    examples={"a key for two models": {"account": "default", "name": "laptop", "models": ["gpt-4o", "whisper-1"]}},
)
async def create_key(request: Request, caller: KeyedDep, administration: AdministrationDep) -> Response:
    """Create a key; its text is in this answer, and nowhere else."""
    body = await read_json(request, NewKey, limit=MOST_BODY)
    new = await administration.accounts.create_key(
        account=body.account,
        name=body.name,
        scopes=body.scopes,
        models=body.models,
        expires_at=body.expires_at,
        limits=body.limits.all(),
        actor=caller.key_id,
    )
    return answer({**key_row(new.record, datetime.now(UTC)), "key": new.key})


@router.get("/keys")
@documented(answer=answers.Keys, missing=True)
async def list_keys(administration: AdministrationDep, account: str | None = None) -> Response:
    """The oldest first. account: id or name."""
    now = datetime.now(UTC)
    return listing([key_row(key, now) for key in await administration.accounts.list_keys(account)])


@router.delete("/keys/{key_id}")
@documented(answer=answers.Key)
async def revoke_key(key_id: str, caller: KeyedDep, administration: AdministrationDep) -> Response:
    """End a key for good, at once. By its id only: a key's text has no place in a URL."""
    if not key_id.startswith("key_"):
        raise NotFound("There is no key with this id.", param="key_id")
    return answer(key_row(await administration.accounts.revoke_key(key_id, actor=caller.key_id), datetime.now(UTC)))
