"""/user/get-user-api-keys and /user/user-api-key: the account's keys, seen and made by one of them."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.accounts.keys.identity import NO_LIMITS, ApiKey
from server.accounts.keys.service import Accounts
from server.api.answers.asksage_users import MadeKey, Said
from server.api.asksage import body as bodies
from server.api.asksage.dialect import answered, said
from server.api.asksage.own import MOST_BODY, Nothing, shown_time
from server.api.deps import KeyedDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.rows import AdministrationDep
from server.api.validation import Body
from server.core import Caller
from server.errors import Conflict, NotFound, PermissionDenied

router = APIRouter(route_class=PlainRoute)

MOST_KEYS = 100
"""That an account makes for itself, those that work."""
PREFIX = "key_"


class NewKeyBody(Body):
    name: str


class KeyBody(Body):
    """id: the number that `get-user-api-keys` gives, or the key's id as /admin/v1 has it."""

    id: int | str


@router.api_route("/get-user-api-keys", methods=["GET", "POST"])
@documented(body=Nothing, answer=Said, examples={"nothing": {}})
async def get_user_api_keys(caller: KeyedDep, administration: AdministrationDep) -> Response:
    """The account's keys that work, without their texts."""
    keys = await _working(administration.accounts, caller)
    return said([_row(key) for key in keys])


@router.post("/user-api-key")
@documented(body=NewKeyBody, form=NewKeyBody, answer=MadeKey, examples={"another one": {"name": "laptop"}})
async def create_user_api_key(request: Request, caller: KeyedDep, administration: AdministrationDep) -> Response:
    """A new key that may do what the caller's may, administration excepted, and no longer. Its text is `response`.

    A key with limits of its own makes no other: each would have those limits once more.
    """
    body = (await bodies.read(request, NewKeyBody, limit=MOST_BODY)).body
    accounts = administration.accounts
    scopes = caller.scopes - {"admin"}
    if caller.limits != NO_LIMITS or not scopes:
        raise PermissionDenied("This key can't make others: whoever runs this server makes them.")
    if len(await _working(accounts, caller)) >= MOST_KEYS:
        raise Conflict(f"An account has at most {MOST_KEYS} keys that it made: delete some first.")
    own = await accounts.find_key(caller.key_id)
    made = await accounts.create_key(
        account=caller.account_id,
        name=body.name,
        scopes=scopes,
        models=caller.models,
        expires_at=own.expires_at,
        priority=caller.priority,
        actor=caller.key_id,
    )
    answer = answered({"response": made.key, "status": 200, **_row(made.record)})
    answer.headers["Cache-Control"] = "no-store"
    return answer


@router.delete("/user-api-key")
@documented(body=KeyBody, form=KeyBody, answer=Said, missing=True, examples={"by its number": {"id": 19088743}})
async def delete_user_api_key(request: Request, caller: KeyedDep, administration: AdministrationDep) -> Response:
    """End a key of the account's for good."""
    body = (await bodies.read(request, KeyBody, limit=MOST_BODY)).body
    wanted = _key_id(body.id)
    found = next((key for key in await _working(administration.accounts, caller) if key.id == wanted), None)
    if found is None:
        raise NotFound("There is no key with this id.", param="id")
    if not found.scopes <= caller.scopes:
        raise PermissionDenied("This key may not end one that may do more.", param="id")
    await administration.accounts.revoke_key(found.id, actor=caller.key_id)
    return said("OK")


async def _working(accounts: Accounts, caller: Caller) -> list[ApiKey]:
    now = datetime.now(UTC)
    return [key for key in await accounts.list_keys(caller.account_id) if key.valid(now)]


def _key_id(given: int | str) -> str | None:
    """A key's id from its number, which is the id's hexadecimal digits, or from the id itself."""
    text = str(given)
    if text.startswith(PREFIX):
        return text
    return f"{PREFIX}{int(text):012x}" if text.isascii() and text.isdigit() and len(text) <= 16 else None


def _number(key_id: str) -> int | str:
    digits = key_id.removeprefix(PREFIX)
    try:
        return int(digits, 16)
    except ValueError:
        return key_id


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "id": _number(key.id),
        "key_id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": sorted(key.scopes),
        "created": shown_time(key.created_at),
        "expires": None if key.expires_at is None else shown_time(key.expires_at),
    }
