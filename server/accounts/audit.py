"""The audit log: every act of administration, written in the same transaction as the act."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.tables import AuditRow


@dataclass(frozen=True, slots=True)
class Act:
    """Who (a key's id, or `local`) did what (`key.create`, `credits.grant` …) to what."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    details: dict[str, Any]


class AuditLog:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, at: datetime, actor: str, action: str, target: str, details: dict[str, Any]) -> None:
        await self._session.execute(
            insert(AuditRow).values(at=at, actor=actor, action=action, target=target, details=json.dumps(details))
        )

    async def latest(self, limit: int = 100, before: int | None = None) -> Sequence[Act]:
        """The newest acts first; `before` is the id of the last one seen, for the next page."""
        query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditRow.id < before)
        return [
            Act(row.id, row.at, row.actor, row.action, row.target, json.loads(row.details))
            for row in await self._session.scalars(query)
        ]


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The details of a change: what differs, as it was and as it is.

    Example: {"before": {"weight": 1}, "after": {"weight": 2}}. Of the limits, too, only those that differ.
    """
    was, is_now = _apart(before, after), _apart(after, before)
    return {"before": was, "after": is_now}


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    apart = {}
    for name, value in one.items():
        if value != other[name]:
            apart[name] = _apart(value, other[name]) if isinstance(value, Mapping) else value
    return apart
