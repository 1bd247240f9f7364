"""Accounts, keys, ledger entries, acts and usage as rows of plain values: what the admin API and the CLI show."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from server.accounts.audit import Act
from server.accounts.keys.identity import Account, ApiKey
from server.accounts.ledger.terms import Balance, Entry
from server.accounts.reports.usage import By, UsageSum
from server.errors import InvalidRequest

LEDGER_COLUMNS = ("id", "created_at", "account", "key", "reference", "kind", "line", "amount", "note")
USAGE_MEASURES = (
    "requests",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "audio_seconds",
    "characters",
    "images",
    "cost",
)
NAMED = (By.ACCOUNT, By.KEY)
"""What is shown by its id and by its name."""


def account_row(account: Account, balance: Balance) -> dict[str, Any]:
    """balance: what the account owns; held: the part of it set aside for requests in flight; available: the rest."""
    return {
        "id": account.id,
        "number": account.number or None,
        "name": account.name,
        "email": account.email,
        "metered": account.metered,
        **balance_row(balance),
        "limits": asdict(account.limits),
        "weight": account.weight,
        "created_at": account.created_at,
        "closed_at": account.closed_at,
    }


def balance_row(balance: Balance) -> dict[str, Any]:
    return {
        "balance": balance.balance,
        "held": balance.held,
        "available": balance.available,
        "metered": balance.metered,
    }


def key_row(key: ApiKey, now: datetime) -> dict[str, Any]:
    """state: active, expired, revoked, or closed where its account is."""
    state = "revoked" if key.revoked_at is not None else "active" if key.valid(now) else "expired"
    if state == "active" and key.account_closed:
        state = "closed"
    return {
        "id": key.id,
        "prefix": key.prefix,
        "name": key.name,
        "account": key.account_id,
        "scopes": sorted(key.scopes),
        "models": None if key.models is None else sorted(key.models),
        "limits": asdict(key.limits),
        "priority": key.priority.name.lower(),
        "state": state,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def entry_row(entry: Entry) -> dict[str, Any]:
    """A line of the ledger; its keys are LEDGER_COLUMNS."""
    return {
        "id": entry.id,
        "created_at": entry.created_at,
        "account": entry.account_id,
        "key": entry.key_id,
        "reference": entry.reference,
        "kind": entry.kind,
        "line": entry.line,
        "amount": entry.amount,
        "note": entry.note,
    }


def act_row(act: Act) -> dict[str, Any]:
    return {
        "id": act.id,
        "at": act.at,
        "actor": act.actor,
        "action": act.action,
        "target": act.target,
        "details": act.details,
    }


# ---------------------------------------------------------------- usage


def grouping(words: str) -> tuple[By, ...]:
    """`key,model,day` as what to sum by; nothing for one sum of all. Raises InvalidRequest with the allowed words."""
    asked = [word.strip().lower() for word in words.split(",") if word.strip()]
    known = {by.name.lower(): by for by in By}
    if unknown := [word for word in asked if word not in known]:
        raise InvalidRequest(f"There is no usage by {unknown[0][:40]!r}, but by {', '.join(known)}.", param="by")
    return tuple(dict.fromkeys(known[word] for word in asked))


def usage_columns(by: Sequence[By]) -> list[str]:
    """The columns of a report, in order."""
    columns = []
    for part in by:
        word = part.name.lower()
        columns += [word, f"{word}_name"] if part in NAMED else [word]
    return [*columns, *USAGE_MEASURES]


def usage_row(line: UsageSum, names: Mapping[str, str]) -> dict[str, Any]:
    """A line of a report; its keys are `usage_columns`. names: of accounts and keys, by id."""
    row: dict[str, Any] = {}
    for part, value in line.group.items():
        row[part.name.lower()] = value
        if part in NAMED:
            row[f"{part.name.lower()}_name"] = names.get(value, "")
    return row | {measure: getattr(line, measure) for measure in USAGE_MEASURES}
