"""Accounts and keys as the rest of the server sees them: plain values, without the database."""

from dataclasses import dataclass
from datetime import datetime

from server.core import Limits

SCOPES = frozenset({"inference", "usage", "admin"})
DEFAULT_SCOPES = frozenset({"inference"})
NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays. An account that is not metered is never asked for credits."""

    id: str
    name: str
    metered: bool
    created_at: datetime
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key: everything but the key. `models` None means every model."""

    id: str
    account_id: str
    prefix: str
    name: str
    scopes: frozenset[str]
    models: frozenset[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    limits: Limits = NO_LIMITS

    def usable(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at its birth, the only time that its text exists here."""

    key: str
    record: ApiKey
