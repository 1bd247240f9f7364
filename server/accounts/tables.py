"""The tables, as the newest migration leaves them."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.storage.columns import Credits, UtcDateTime, Words
from server.storage.tables import Base, Serial


class Limited:
    """Columns of what has limits; None is without limit."""

    requests_per_minute: Mapped[int | None]
    tokens_per_minute: Mapped[int | None]
    concurrent_requests: Mapped[int | None]


class AccountRow(Limited, Base):
    """Who pays. Keys belong to an account; `metered` accounts pay with credits, others don't.

    closed_at: since when no key of the account works; money and history stay. weight: 1 to 100, its share where
    accounts wait for the same model. number, email: by which the Ask Sage API names it; older versions write no number.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        Index("uq_accounts_number", "number", unique=True),
        Index("uq_accounts_email", "email", unique=True),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    metered: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    weight: Mapped[int] = mapped_column(server_default="1")
    number: Mapped[int | None]
    email: Mapped[str | None] = mapped_column(String(254))


class KeyRow(Limited, Base):
    """An API key without the key: `prefix` finds the row, `fingerprint` (32 bytes) proves the rest.

    priority: background, normal or high, the highest class that its requests may have.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    prefix: Mapped[str] = mapped_column(String(16), index=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    name: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[frozenset[str]] = mapped_column(Words)
    models: Mapped[frozenset[str] | None] = mapped_column(Words)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    priority: Mapped[str] = mapped_column(String(10), server_default="normal")


class BalanceRow(Base):
    """The sum of an account's ledger entries, kept beside them: the row that parallel holds queue for.

    The database itself refuses to let it go below zero.
    """

    __tablename__ = "balances"
    __table_args__ = (CheckConstraint("available >= 0", name="not_overspent"),)

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    available: Mapped[Decimal] = mapped_column(Credits)


class HoldRow(Base):
    """A hold that is neither settled nor released yet, and the server process that has it."""

    __tablename__ = "holds"

    reference: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    amount: Mapped[Decimal] = mapped_column(Credits)
    instance_id: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EntryRow(Base):
    """A line of the ledger, never changed and never deleted (triggers see to it).

    kind: grant (+), hold (-), release (+, the whole hold), charge (-, one for each pass of the work). `reference`
    names the request, or the grant; with kind and line it is unique, which makes every step idempotent.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (
        UniqueConstraint("reference", "kind", "line"),
        Index("ix_ledger_entries_account_id_id", "account_id", "id"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id"))
    reference: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(8))
    line: Mapped[int]
    amount: Mapped[Decimal] = mapped_column(Credits)
    note: Mapped[str] = mapped_column(String(256))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class UsageRow(Base):
    """What one request used and what that costs, whether or not its account pays. `day` is a date in UTC."""

    __tablename__ = "usage_records"
    __table_args__ = (
        Index("ix_usage_records_account_id_day", "account_id", "day"),
        Index("ix_usage_records_day", "day"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    reference: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"))
    model: Mapped[str] = mapped_column(String(160))
    served_by: Mapped[str] = mapped_column(String(160))
    task: Mapped[str] = mapped_column(String(16))
    day: Mapped[str] = mapped_column(String(10))
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    reasoning_tokens: Mapped[int] = mapped_column(BigInteger)
    audio_milliseconds: Mapped[int] = mapped_column(BigInteger)
    characters: Mapped[int] = mapped_column(BigInteger)
    images: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[Decimal] = mapped_column(Credits)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AuditRow(Base):
    """An act of administration: who did what to what. `actor` is a key's id, or `local` for the command line."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(String(64))
    details: Mapped[str] = mapped_column(Text)


class InstanceRow(Base):
    """A server process at work, and when it last said so. Whose holds have no row here, has died.

    host, pid and started are for people, and for servers of older versions that share the database; see `instances.py`.
    """

    __tablename__ = "instances"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(BigInteger)
    started: Mapped[float] = mapped_column(Double)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class InstallationRow(Base):
    """What belongs to the installation as a whole, by name.

    secret_check: the check value of keys.secret (see `keys/secret.py`). tried: when a write was last tried after an
    outage.
    """

    __tablename__ = "installation"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
