"""Making and changing accounts inside a unit of work: checked, written, and noted in the audit log. Nothing commits."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, TypedDict, Unpack

from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.audit import AuditLog, difference
from server.accounts.keys.checks import check_email, check_limits, check_name, check_weight
from server.accounts.keys.identity import NO_LIMITS, Account
from server.accounts.keys.repository import AccountRepository, KeyRepository
from server.core import Limits
from server.errors import InvalidRequest, NotFound

DEFAULT_ACCOUNT = "default"


class AccountChanges(TypedDict, total=False):
    """What of an account is to change. None, or not there, stays as it is; of the limits those named change.

    email: empty to have none.
    """

    name: str | None
    metered: bool | None
    weight: int | None
    email: str | None
    closed: bool | None
    limits: Mapping[str, int | None] | None


class AccountActs:
    """now: when the acts happen; actor: who acts, a key's id or `local`."""

    def __init__(self, session: AsyncSession, now: datetime, actor: str) -> None:
        self._session = session
        self._now = now
        self._actor = actor
        self._accounts = AccountRepository(session)

    async def add(
        self,
        name: str,
        *,
        metered: bool = True,
        limits: Limits = NO_LIMITS,
        weight: int = 1,
        email: str | None = None,
    ) -> Account:
        """Raises InvalidRequest for a name that is empty, too long or taken, and for an e-mail address likewise."""
        await self._check_name(name)
        email = email.lower() if email else None
        await self._check_email(email, None)
        check_limits(limits)
        check_weight(weight)
        account = Account(
            id=f"acct_{secrets.token_hex(6)}",
            name=name,
            metered=metered,
            created_at=self._now,
            limits=limits,
            weight=weight,
            number=await self._accounts.next_number(),
            email=email,
        )
        await self._accounts.add(account)
        await self._note("account.create", account, _facts(account))
        return account

    async def change(self, id_or_name: str, **changes: Unpack[AccountChanges]) -> Account:
        """Raises NotFound, InvalidRequest. What changes nothing leaves no note."""
        account = await self.find(id_or_name)
        closed, limits = changes.pop("closed", None), changes.pop("limits", None)
        given: dict[str, Any] = {field: value for field, value in changes.items() if value is not None}
        email = account.email if "email" not in given else given.pop("email").lower() or None
        changed = replace(account, **given, email=email, limits=replace(account.limits, **(limits or {})))
        if changed.name != account.name:
            await self._check_renaming(account, changed.name)
        if changed.email != account.email:
            await self._check_email(changed.email, account)
        check_limits(changed.limits)
        check_weight(changed.weight)
        if changed != account:
            await self._note("account.change", account, difference(_facts(account), _facts(changed)))
        if closed is not None and closed != (account.closed_at is not None):
            await self._check_closing(account)
            changed = replace(changed, closed_at=self._now if closed else None)
            await self._note("account.close" if closed else "account.reopen", account, {"name": changed.name})
        if changed != account:
            await self._accounts.change(changed)
        return changed

    async def find(self, named: str) -> Account:
        """By its id, its name or its e-mail address. Raises NotFound."""
        account = await self._accounts.find(named)
        if account is None:
            raise NotFound(f"There is no account {named}.", param="account")
        return account

    async def default(self) -> Account:
        """The account `default`, unmetered, made if it is not there."""
        return await self._accounts.find(DEFAULT_ACCOUNT) or await self.add(DEFAULT_ACCOUNT, metered=False)

    async def _check_name(self, name: str, own: Account | None = None) -> None:
        check_name(name)
        if not name:
            raise InvalidRequest("An account needs a name.", param="name")
        taken = await self._accounts.find(name)
        if taken is not None and (own is None or taken.id != own.id):
            raise InvalidRequest(f"There is an account {name} already.", param="name")

    async def _check_email(self, email: str | None, own: Account | None) -> None:
        """An address must not mean another account either, which is named like it."""
        if email is None:
            return
        check_email(email)
        taken = await self._accounts.find(email)
        if taken is not None and (own is None or taken.id != own.id):
            raise InvalidRequest(f"There is an account {email} already.", param="email")

    async def _check_renaming(self, account: Account, name: str) -> None:
        if account.name == DEFAULT_ACCOUNT:
            # A second one would be made, and it would not pay, by the next key that names no account.
            raise InvalidRequest("The account default keeps its name: keys that name no account get it.", param="name")
        await self._check_name(name, account)

    async def _check_closing(self, account: Account) -> None:
        by = await KeyRepository(self._session).get(self._actor)
        if by is not None and by.account_id == account.id:
            raise InvalidRequest("A key can't close its own account: it could not open it again.", param="closed")

    async def _note(self, action: str, account: Account, details: Mapping[str, Any]) -> None:
        await AuditLog(self._session).add(self._now, self._actor, action, account.id, dict(details))


def _facts(account: Account) -> dict[str, Any]:
    """What the audit log tells of an account."""
    return {
        "name": account.name,
        "email": account.email,
        "metered": account.metered,
        "weight": account.weight,
        "limits": asdict(account.limits),
    }
