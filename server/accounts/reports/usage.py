"""What was used, summed by key, account, model, task or day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import func, select

from server.accounts.audit import Act, AuditLog
from server.accounts.tables import UsageRow
from server.core.money import ZERO
from server.storage.database import Database


class By(StrEnum):
    """What a sum is for; the names are columns of `usage_records`."""

    ACCOUNT = "account_id"
    KEY = "key_id"
    MODEL = "model"
    SERVED_BY = "served_by"
    TASK = "task"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class UsageSum:
    """A line of a report. group: value by what it was asked for; days are ISO dates in UTC. cost: credits."""

    group: dict[By, str]
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    audio_seconds: float
    characters: int
    images: int
    cost: Decimal


MEASURES = (
    UsageRow.prompt_tokens,
    UsageRow.completion_tokens,
    UsageRow.cached_tokens,
    UsageRow.reasoning_tokens,
    UsageRow.audio_milliseconds,
    UsageRow.characters,
    UsageRow.images,
)


class Reports:
    """Read-only questions about what happened."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def usage(
        self,
        by: Sequence[By] = (),
        *,
        account_id: str | None = None,
        key_id: str | None = None,
        model: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> Sequence[UsageSum]:
        """Sums over the requests that match, from `since` to `until`, both included; one line without `by`."""
        columns = [getattr(UsageRow, name) for name in by]
        query = select(
            *columns,
            func.count().label("requests"),
            *(func.sum(measure).label(measure.key) for measure in MEASURES),
            func.sum(UsageRow.cost).label("cost"),
        ).select_from(UsageRow)
        for column, wanted in ((UsageRow.account_id, account_id), (UsageRow.key_id, key_id), (UsageRow.model, model)):
            if wanted is not None:
                query = query.where(column == wanted)
        if since is not None:
            query = query.where(UsageRow.day >= since.isoformat())
        if until is not None:
            query = query.where(UsageRow.day <= until.isoformat())
        if columns:
            query = query.group_by(*columns).order_by(*columns)
        async with self._database.read() as session:
            rows = (await session.execute(query)).all()
        return [
            UsageSum(
                group={name: getattr(row, name) for name in by},
                requests=row.requests,
                prompt_tokens=int(row.prompt_tokens or 0),
                completion_tokens=int(row.completion_tokens or 0),
                cached_tokens=int(row.cached_tokens or 0),
                reasoning_tokens=int(row.reasoning_tokens or 0),
                audio_seconds=int(row.audio_milliseconds or 0) / 1000,
                characters=int(row.characters or 0),
                images=int(row.images or 0),
                cost=row.cost or ZERO,
            )
            for row in rows
        ]

    async def acts(self, limit: int = 100, before: int | None = None) -> Sequence[Act]:
        """The audit log, the newest first."""
        async with self._database.read() as session:
            return await AuditLog(session).latest(limit, before)
