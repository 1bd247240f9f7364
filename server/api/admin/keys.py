"""/admin/v1/keys: made, listed, changed, revoked. A key's text is in the answer that makes it, and nowhere else."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from server.accounts.keys.identity import DEFAULT_SCOPES, PRIORITIES
from server.accounts.keys.key_acts import KeyChanges
from server.accounts.reports.rows import key_row
from server.api.admin.accounts import MOST_BODY
from server.api.admin.limits import LimitsBody
from server.api.answers import administration as answers
from server.api.body import read_json
from server.api.deps import KeyedDep, ServicesDep
from server.api.openapi import documented
from server.api.rows import AdministrationDep, answer, listing
from server.api.services import Services
from server.api.validation import Body
from server.errors import NotFound
from server.models.config.public_names import unserved

router = APIRouter()
Class = Literal["background", "normal", "high"]


class NewKey(Body):
    """account: id or name. models: public names that the key may use; all by default. expires_at: with its zone.
    priority: the highest class that its requests may have where requests wait for a model.
    """

    model_config = ConfigDict(extra="forbid")

    account: str
    name: str = ""
    scopes: list[str] = sorted(DEFAULT_SCOPES)
    models: list[str] | None = None
    expires_at: AwareDatetime | None = None
    priority: Class = "normal"
    limits: LimitsBody = LimitsBody()


class KeyChange(Body):
    """What is not there, or null, stays as it is: "all" lifts the list of models, and "never" the expiry."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    scopes: list[str] | None = None
    models: list[str] | Literal["all"] | None = None
    expires_at: AwareDatetime | Literal["never"] | None = None
    priority: Class | None = None
    limits: LimitsBody | None = None

    def changes(self) -> KeyChanges:
        changes = KeyChanges()
        if self.name is not None:
            changes["name"] = self.name
        if self.scopes is not None:
            changes["scopes"] = self.scopes
        if self.models is not None:
            changes["models"] = None if self.models == "all" else self.models
        if self.expires_at is not None:
            changes["expires_at"] = None if self.expires_at == "never" else self.expires_at
        if self.priority is not None:
            changes["priority"] = PRIORITIES[self.priority]
        if self.limits is not None:
            changes["limits"] = self.limits.named()
        return changes


@router.post("/keys")
@documented(
    body=NewKey,
    answer=answers.NewKey,
    missing=True,
    examples={"a key for two models": {"account": "default", "name": "laptop", "models": ["gpt-4o", "whisper-1"]}},
)
async def create_key(
    request: Request, caller: KeyedDep, administration: AdministrationDep, services: ServicesDep
) -> Response:
    """Create a key; its text is in this answer, and nowhere else."""
    body = await read_json(request, NewKey, limit=MOST_BODY)
    new = await administration.accounts.create_key(
        account=body.account,
        name=body.name,
        scopes=body.scopes,
        models=body.models,
        expires_at=body.expires_at,
        limits=body.limits.all(),
        priority=PRIORITIES[body.priority],
        actor=caller.key_id,
    )
    row = key_row(new.record, datetime.now(UTC))
    return answer({**row, "warnings": _warnings(new.record.models, services), "key": new.key})


@router.get("/keys")
@documented(answer=answers.Keys, missing=True)
async def list_keys(administration: AdministrationDep, account: str | None = None) -> Response:
    """The oldest first. account: id or name."""
    now = datetime.now(UTC)
    return listing([key_row(key, now) for key in await administration.accounts.list_keys(account)])


@router.get("/keys/{key_id}")
@documented(answer=answers.Key)
async def retrieve_key(key_id: str, administration: AdministrationDep) -> Response:
    """One key, by its id."""
    return answer(key_row(await administration.accounts.find_key(_id(key_id)), datetime.now(UTC)))


@router.patch("/keys/{key_id}")
@documented(
    body=KeyChange,
    answer=answers.ChangedKey,
    examples={
        "behind all others, and until then": {"priority": "background", "expires_at": "2999-01-31T00:00:00Z"},
        "every model, for ever": {"models": "all", "expires_at": "never"},
    },
)
async def change_key(
    key_id: str, request: Request, caller: KeyedDep, administration: AdministrationDep, services: ServicesDep
) -> Response:
    """Change what is named, and nothing else."""
    body = await read_json(request, KeyChange, limit=MOST_BODY)
    changes = body.changes()
    changed = await administration.accounts.change_key(_id(key_id), actor=caller.key_id, **changes)
    warnings = _warnings(changed.models if "models" in changes else None, services)
    return answer({**key_row(changed, datetime.now(UTC)), "warnings": warnings})


@router.delete("/keys/{key_id}")
@documented(answer=answers.Key)
async def revoke_key(key_id: str, caller: KeyedDep, administration: AdministrationDep) -> Response:
    """End a key for good, at once. By its id only: a key's text has no place in a URL."""
    revoked = await administration.accounts.revoke_key(_id(key_id), actor=caller.key_id)
    return answer(key_row(revoked, datetime.now(UTC)))


def _id(key_id: str) -> str:
    """Raises NotFound for what is no id."""
    if not key_id.startswith("key_"):
        raise NotFound("There is no key with this id.", param="key_id")
    return key_id


def _warnings(models: Iterable[str] | None, services: Services) -> list[str]:
    return unserved(models or (), [public.id for public in services.catalog.public_models()])
