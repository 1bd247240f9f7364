"""Accounts, keys, credits and reports, opened and closed together: what the admin API and the commands work with."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from server.accounts.keys.identity import NO_LIMITS, Account
from server.accounts.keys.service import LOCAL, Accounts
from server.accounts.ledger.ledger import Ledger, check_grant
from server.accounts.ledger.terms import Balance
from server.accounts.reports.rows import entry_row, usage_row
from server.accounts.reports.usage import By, Reports
from server.core import Limits
from server.errors import InvalidRequest
from server.settings import Settings


@dataclass(frozen=True, slots=True)
class Administration:
    """Accounts, what they own, and what they used. The admin API and the commands act through it."""

    accounts: Accounts
    ledger: Ledger
    reports: Reports

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, create: bool = True) -> "AsyncGenerator[Administration, None]":
        """For a process that serves nobody. Raises DatabaseError or SecretError, worded for the operator.

        create: whether a server is set up where none is.
        """
        async with await Accounts.open(settings, create=create) as accounts:
            ledger = Ledger(accounts.database)
            try:
                yield cls(accounts, ledger, Reports(accounts.database))
            finally:
                await ledger.aclose()

    async def create_account(
        self,
        name: str,
        *,
        credits: Decimal | None = None,  # noqa: A002 - the product's own word
        metered: bool = True,
        limits: Limits = NO_LIMITS,
        weight: int = 1,
        email: str | None = None,
        actor: str = LOCAL,
    ) -> tuple[Account, Balance]:
        """A new account with its first credits. Raises InvalidRequest, and then there is no account."""
        first = None if credits is None or credits.is_zero() else credits
        if first is not None:
            check_grant(first)
            if first < 0:
                raise InvalidRequest("An account begins with 0 credits or more.", param="credits")
        account = await self.accounts.create_account(
            name, metered=metered, limits=limits, weight=weight, email=email, actor=actor
        )
        if first is not None:
            await self.ledger.grant(account.id, first, "first credits", actor=actor)
        return account, await self.ledger.balance(account.id)

    async def entries(
        self,
        account: str | None = None,
        after: int = 0,
        *,
        kinds: Collection[str] = (),
        newest_first: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """The ledger as rows, of one account (by id) or of all, from the entry after `after`: see Ledger.entries."""
        found = self.ledger.entries(account, after, kinds=kinds, newest_first=newest_first, limit=limit)
        async for entry in found:
            yield entry_row(entry)

    async def usage(
        self,
        by: Sequence[By],
        *,
        account: str | None = None,
        key: str | None = None,
        model: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> list[dict[str, Any]]:
        """Sums as rows. account: id or name. Raises NotFound for it, InvalidRequest for days in the wrong order."""
        if since is not None and until is not None and until < since:
            raise InvalidRequest("'until' is a day before 'since'.", param="until")
        account_id = None if account is None else (await self.accounts.find_account(account)).id
        sums = await self.reports.usage(by, account_id=account_id, key_id=key, model=model, since=since, until=until)
        names = await self._names(by, account_id)
        return [usage_row(line, names) for line in sums]

    async def _names(self, by: Sequence[By], account_id: str | None) -> Mapping[str, str]:
        names: dict[str, str] = {}
        if By.ACCOUNT in by:
            names |= {account.id: account.name for account in await self.accounts.list_accounts()}
        if By.KEY in by:
            names |= {key.id: key.name for key in await self.accounts.list_keys(account_id)}
        return names
