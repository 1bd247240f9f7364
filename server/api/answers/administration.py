"""Accounts, keys, credits, usage, the ledger and the audit log. Amounts are JSON numbers with up to nine places."""

from datetime import datetime
from typing import Any, Literal

from server.api.answers.base import Answer, Listing


class Limits(Answer):
    """null is without limit."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None


class Balance(Answer):
    """balance: what the account owns; held: the part set aside for requests in flight; available: the rest."""

    account: str | None
    balance: float
    held: float
    available: float
    metered: bool


class Granted(Balance):
    """already_granted: whether the reference was counted before, so that nothing changed now."""

    already_granted: bool


class Account(Answer):
    """weight: 1 to 100, its share where accounts wait for the same model. closed_at: since when no key of it works.

    number, email: by which the Ask Sage API names it.
    """

    id: str
    number: int | None
    name: str
    email: str | None
    metered: bool
    balance: float
    held: float
    available: float
    limits: Limits
    weight: int
    created_at: datetime
    closed_at: datetime | None


class AccountOf(Answer):
    id: str
    name: str


class OwnKey(Answer):
    """What the key that asks may do. scopes: `usage` too where `admin` includes it. id, account: null for whoever needs
    no key. models: null for all.
    """

    id: str | None
    name: str
    account: AccountOf | None
    scopes: list[str]
    models: list[str] | None
    limits: Limits
    priority: Literal["background", "normal", "high"]
    expires_at: datetime | None


class Key(Answer):
    """models: public names that it may use; null for all. prefix: how its text begins. priority: the highest class that
    its requests may have where requests wait for a model. state: `closed` where its account is.
    """

    id: str
    prefix: str
    name: str
    account: str
    scopes: list[str]
    models: list[str] | None
    limits: Limits
    priority: Literal["background", "normal", "high"]
    state: Literal["active", "expired", "revoked", "closed"]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class ChangedKey(Key):
    """warnings: what may be a slip, such as names in `models` that are not served now."""

    warnings: list[str]


class NewKey(ChangedKey):
    """key: its text, which is shown only this once."""

    key: str


class Entry(Answer):
    """A line of the ledger."""

    id: int
    created_at: datetime
    account: str
    key: str | None
    reference: str
    kind: str
    line: int
    amount: float
    note: str


class Act(Answer):
    """actor: the id of the key that acted, or `local` for the command line."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    details: dict[str, Any]


class Persona(Answer):
    """prompt: the system prompt that it stands for. origin: those of a file or built in are hidden, never changed, by
    one of the same id in the database. version: grows by one with each change.
    """

    id: int
    name: str
    description: str
    prompt: str
    origin: Literal["built-in", "file", "database"]
    version: int


class DeletedPersona(Answer):
    """now: the persona that was hidden by the deleted one, and has this id again; null if there is none."""

    id: int
    deleted: Literal[True]
    now: Persona | None


class UsageRow(Answer):
    """A sum of requests, by what was asked for: accounts and keys by id and name."""

    account: str = ""
    account_name: str = ""
    key: str = ""
    key_name: str = ""
    model: str = ""
    served_by: str = ""
    task: str = ""
    day: str = ""
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    audio_seconds: float
    characters: int
    images: int
    cost: float


class Accounts(Listing[Account]):
    pass


class Keys(Listing[Key]):
    pass


class Entries(Listing[Entry]):
    pass


class Usage(Listing[UsageRow]):
    pass


class Personas(Listing[Persona]):
    pass


class Acts(Listing[Act]):
    """has_more: whether there are older ones."""

    has_more: bool
