"""Who is calling, and how fast they may go."""

from dataclasses import dataclass
from enum import IntEnum


class Priority(IntEnum):
    """Who goes first where requests wait for a model; the lowest gives way to all others."""

    BACKGROUND = 0
    NORMAL = 1
    HIGH = 2


CLASS = 1 << 20
"""Ranks (Engine.behind) between two classes: more than an account can have places. The background's begin with it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast a key or an account may go; None is without limit. Tokens are those used, not those asked for."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as authenticated: an API key and the account it draws on.

    models: public names that the key may use, None for all. metered: whether the account pays with credits.
    limits, account_limits: both apply, the account's to all of its keys together. priority: the highest class that the
    key's requests may have. weight: its account's share where accounts of one class wait for the same model; 2 gets
    twice as much done as 1.
    """

    key_id: str
    account_id: str
    scopes: frozenset[str] = frozenset({"inference"})
    models: frozenset[str] | None = None
    metered: bool = False
    limits: Limits = Limits()
    account_limits: Limits = Limits()
    priority: Priority = Priority.NORMAL
    weight: int = 1
