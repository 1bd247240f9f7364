"""Accounts and keys as the rest of the server sees them: plain values, without the database."""

from dataclasses import dataclass
from datetime import datetime

from server.core import Limits, Priority

SCOPES = frozenset({"inference", "usage", "admin"})
DEFAULT_SCOPES = frozenset({"inference"})
NO_LIMITS = Limits()
PRIORITIES = {priority.name.lower(): priority for priority in Priority}
"""The classes of keys by their names: background, normal, high."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays. An account that is not metered is never asked for credits.

    closed_at: since when none of its keys works. weight: its share where accounts wait for the same model, 1 to 100.
    number, email: by which the Ask Sage API names it; the address is in lower case.
    """

    id: str
    name: str
    metered: bool
    created_at: datetime
    limits: Limits = NO_LIMITS
    closed_at: datetime | None = None
    weight: int = 1
    number: int = 0
    email: str | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key: everything but the key. `models` None means every model.

    priority: the highest class that its requests may have. account_closed: whether its account is.
    """

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
    priority: Priority = Priority.NORMAL
    account_closed: bool = False

    def valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired. It works if its account isn't closed besides."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at its birth, the only time that its text exists here."""

    key: str
    record: ApiKey
