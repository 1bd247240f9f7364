"""Making, changing and revoking keys inside a unit of work: checked, written, and noted in the audit log."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, TypedDict, Unpack

from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.audit import AuditLog, difference
from server.accounts.keys import credentials
from server.accounts.keys.account_acts import AccountActs
from server.accounts.keys.checks import check_expiry, check_limits, check_models, check_name, check_scopes
from server.accounts.keys.identity import DEFAULT_SCOPES, NO_LIMITS, ApiKey, NewKey
from server.accounts.keys.repository import KeyRepository
from server.core import Limits, Priority
from server.errors import InvalidRequest, NotFound

SHORTEST_PREFIX = 12
"""Characters of a key's beginning that must be given where they shall name it."""


class KeyTerms(TypedDict, total=False):
    """What a key is made with. models: public names that it may use, None for all; expires_at: None for never."""

    name: str
    scopes: Iterable[str]
    models: Iterable[str] | None
    expires_at: datetime | None
    limits: Limits
    priority: Priority


class KeyChanges(TypedDict, total=False):
    """What of a key is to change: what is there, as in KeyTerms; of the limits those named."""

    name: str
    scopes: Iterable[str]
    models: Iterable[str] | None
    expires_at: datetime | None
    limits: Mapping[str, int | None]
    priority: Priority


class KeyActs:
    """now: when the acts happen; actor: who acts, a key's id or `local`."""

    def __init__(self, session: AsyncSession, now: datetime, actor: str) -> None:
        self._session = session
        self._now = now
        self._actor = actor
        self._keys = KeyRepository(session)

    async def add(self, account: str | None, secret: bytes, **terms: Unpack[KeyTerms]) -> NewKey:
        """A new key of an account (id or name), or of `default`. Raises NotFound, InvalidRequest."""
        accounts = AccountActs(self._session, self._now, self._actor)
        owner = await (accounts.default() if account is None else accounts.find(account))
        if owner.closed_at is not None:
            raise InvalidRequest(f"The account {owner.name} is closed; reopen it first.", param="account")
        models = terms.get("models")
        key = credentials.generate_key()
        record = ApiKey(
            id=f"key_{secrets.token_hex(6)}",
            account_id=owner.id,
            prefix=credentials.lookup_prefix(key),
            name=terms.get("name", ""),
            scopes=frozenset(terms.get("scopes", DEFAULT_SCOPES)),
            models=None if models is None else frozenset(models),
            created_at=self._now,
            expires_at=terms.get("expires_at"),
            revoked_at=None,
            last_used_at=None,
            limits=terms.get("limits", NO_LIMITS),
            priority=terms.get("priority", Priority.NORMAL),
        )
        _check(record)
        check_expiry(record.expires_at, self._now)
        await self._keys.add(record, credentials.fingerprint(key, secret))
        await self._note("key.create", record, _facts(record))
        return NewKey(key, record)

    async def change(self, id_or_prefix: str, **changes: Unpack[KeyChanges]) -> ApiKey:
        """Raises NotFound; InvalidRequest, for a key that is revoked too. What changes nothing leaves no note."""
        record = await self.find(id_or_prefix)
        if record.revoked_at is not None:
            raise InvalidRequest(f"The key {record.id} is revoked, and that is for good.")
        models = changes.get("models", record.models)
        changed = replace(
            record,
            name=changes.get("name", record.name),
            scopes=frozenset(changes.get("scopes", record.scopes)),
            models=None if models is None else frozenset(models),
            expires_at=changes.get("expires_at", record.expires_at),
            limits=replace(record.limits, **changes.get("limits", {})),
            priority=changes.get("priority", record.priority),
        )
        _check(changed)
        if changed.expires_at != record.expires_at:
            check_expiry(changed.expires_at, self._now)
        if changed != record:
            await self._keys.change(changed)
            details = {"account": record.account_id, **difference(_facts(record), _facts(changed))}
            await self._note("key.change", record, details)
        return changed

    async def revoke(self, id_or_prefix: str) -> ApiKey:
        """Raises NotFound, InvalidRequest. A key already revoked stays so."""
        record = await self.find(id_or_prefix)
        await self._keys.revoke(record.id, self._now)
        await self._note("key.revoke", record, {"account": record.account_id, "name": record.name})
        return await self.find(record.id)

    async def find(self, id_or_prefix: str) -> ApiKey:
        """By the id, by the beginning of the text, or by the whole text. Raises NotFound, InvalidRequest."""
        record = await self._keys.get(id_or_prefix)
        if record is not None:
            return record
        beginning = credentials.lookup_prefix(id_or_prefix)
        found = await self._keys.beginning_with(beginning) if len(beginning) >= SHORTEST_PREFIX else ()
        if len(found) > 1:
            raise InvalidRequest(
                f"{len(found)} keys begin like that: {', '.join(key.id for key in found)}. Name one by its id."
            )
        if not found:
            raise NotFound(f"There is no key {beginning}.")
        return found[0]

    async def _note(self, action: str, record: ApiKey, details: Mapping[str, Any]) -> None:
        await AuditLog(self._session).add(self._now, self._actor, action, record.id, dict(details))


def _check(record: ApiKey) -> None:
    check_scopes(record.scopes)
    check_models(record.models)
    check_name(record.name)
    check_limits(record.limits)


def _facts(record: ApiKey) -> dict[str, Any]:
    """What the audit log tells of a key."""
    return {
        "account": record.account_id,
        "name": record.name,
        "scopes": sorted(record.scopes),
        "models": None if record.models is None else sorted(record.models),
        "expires_at": None if record.expires_at is None else record.expires_at.isoformat(),
        "priority": record.priority.name.lower(),
        "limits": asdict(record.limits),
    }
