"""Reading and writing accounts and keys inside a unit of work. Nothing here commits."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.keys.identity import PRIORITIES, Account, ApiKey
from server.accounts.tables import AccountRow, BalanceRow, KeyRow, Limited
from server.core import Limits
from server.core.money import ZERO

# What is read after a change in the same unit of work must be what was written, not what the session remembers.
KEYS = (
    select(KeyRow, AccountRow)
    .join(AccountRow, AccountRow.id == KeyRow.account_id)
    .execution_options(populate_existing=True)
)


class AccountRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, account: Account) -> None:
        self._session.add(
            AccountRow(
                id=account.id,
                name=account.name,
                metered=account.metered,
                created_at=account.created_at,
                closed_at=account.closed_at,
                weight=account.weight,
                number=account.number or None,
                email=account.email,
                **asdict(account.limits),
            )
        )
        await self._session.flush()
        self._session.add(BalanceRow(account_id=account.id, available=ZERO))
        await self._session.flush()

    async def change(self, account: Account) -> None:
        """Write what of an account may change: all but its id, and when it was made."""
        await self._session.execute(
            update(AccountRow)
            .where(AccountRow.id == account.id)
            .values(
                name=account.name,
                metered=account.metered,
                closed_at=account.closed_at,
                weight=account.weight,
                email=account.email,
                **asdict(account.limits),
            )
        )

    async def next_number(self) -> int:
        """For a new account; who asks holds the lock under which accounts are made."""
        return (await self._session.scalar(select(func.max(AccountRow.number))) or 0) + 1

    async def give_numbers(self) -> None:
        """To accounts without one: those that an older version made beside this one. For who holds the same lock."""
        rows = await self._session.scalars(
            select(AccountRow).where(AccountRow.number.is_(None)).order_by(AccountRow.created_at, AccountRow.id)
        )
        for row in rows.all():
            row.number = await self.next_number()
            await self._session.flush()

    async def find(self, named: str) -> Account | None:
        """By its id, its name or its e-mail address, in this order, should one account be named like another."""
        email = named.lower()
        rows = await self._session.scalars(
            select(AccountRow).where(
                (AccountRow.id == named) | (AccountRow.name == named) | (AccountRow.email == email)
            )
        )
        found = sorted(rows, key=lambda row: (row.id != named, row.name != named))
        return _account(found[0]) if found else None

    async def by_email(self, email: str) -> Account | None:
        row = await self._session.scalar(select(AccountRow).where(AccountRow.email == email.lower()))
        return None if row is None else _account(row)

    async def by_number(self, number: int) -> Account | None:
        row = await self._session.scalar(select(AccountRow).where(AccountRow.number == number))
        return None if row is None else _account(row)

    async def without_number(self) -> bool:
        """Whether an account has none yet."""
        return await self._session.scalar(select(AccountRow.id).where(AccountRow.number.is_(None)).limit(1)) is not None

    async def all(self) -> Sequence[Account]:
        rows = await self._session.scalars(select(AccountRow).order_by(AccountRow.created_at, AccountRow.id))
        return [_account(row) for row in rows]


class KeyRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, record: ApiKey, fingerprint: bytes) -> None:
        self._session.add(
            KeyRow(
                id=record.id,
                account_id=record.account_id,
                prefix=record.prefix,
                fingerprint=fingerprint,
                name=record.name,
                scopes=record.scopes,
                models=record.models,
                created_at=record.created_at,
                expires_at=record.expires_at,
                priority=record.priority.name.lower(),
                **asdict(record.limits),
            )
        )
        await self._session.flush()

    async def change(self, record: ApiKey) -> None:
        """Write what of a key may change: its name, what it may do, and until when."""
        await self._session.execute(
            update(KeyRow)
            .where(KeyRow.id == record.id)
            .values(
                name=record.name,
                scopes=record.scopes,
                models=record.models,
                expires_at=record.expires_at,
                priority=record.priority.name.lower(),
                **asdict(record.limits),
            )
        )

    async def with_prefix(self, prefix: str) -> Sequence[tuple[ApiKey, bytes, Account]]:
        """The keys with exactly this look-up prefix (one, but for a rare coincidence): record, fingerprint, account."""
        rows = await self._session.execute(KEYS.where(KeyRow.prefix == prefix))
        return [(_key(key, account), key.fingerprint, _account(account)) for key, account in rows]

    async def beginning_with(self, beginning: str) -> Sequence[ApiKey]:
        query = KEYS.where(KeyRow.prefix.startswith(beginning, autoescape=True)).order_by(KeyRow.created_at)
        return [_key(key, account) for key, account in await self._session.execute(query)]

    async def get(self, key_id: str) -> ApiKey | None:
        found = await self.with_account(key_id)
        return None if found is None else found[0]

    async def with_account(self, key_id: str) -> tuple[ApiKey, Account] | None:
        row = (await self._session.execute(KEYS.where(KeyRow.id == key_id))).first()
        return None if row is None else (_key(row[0], row[1]), _account(row[1]))

    async def all(self, account_id: str | None = None) -> Sequence[ApiKey]:
        query = KEYS.order_by(KeyRow.created_at, KeyRow.id)
        if account_id is not None:
            query = query.where(KeyRow.account_id == account_id)
        return [_key(key, account) for key, account in await self._session.execute(query)]

    async def count(self) -> int:
        """How many keys there ever were: revoked and expired ones count."""
        return await self._session.scalar(select(func.count()).select_from(KeyRow)) or 0

    async def revoke(self, key_id: str, at: datetime) -> None:
        """The first revocation's time stays."""
        await self._session.execute(
            update(KeyRow).where(KeyRow.id == key_id, KeyRow.revoked_at.is_(None)).values(revoked_at=at)
        )

    async def touch(self, key_id: str, at: datetime) -> None:
        await self._session.execute(update(KeyRow).where(KeyRow.id == key_id).values(last_used_at=at))


def _account(row: AccountRow) -> Account:
    return Account(
        id=row.id,
        name=row.name,
        metered=row.metered,
        created_at=row.created_at,
        limits=_limits(row),
        closed_at=row.closed_at,
        weight=row.weight,
        number=row.number or 0,
        email=row.email,
    )


def _key(row: KeyRow, account: AccountRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        account_id=row.account_id,
        prefix=row.prefix,
        name=row.name,
        scopes=row.scopes,
        models=row.models,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        limits=_limits(row),
        priority=PRIORITIES[row.priority],
        account_closed=account.closed_at is not None,
    )


def _limits(row: Limited) -> Limits:
    return Limits(
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        concurrent_requests=row.concurrent_requests,
    )
