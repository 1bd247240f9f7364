"""Responses under way, as the process writes them that works on them; and those whose process has died."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Result, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import InvalidRequest, RateLimited
from server.jobs.responses.events import Event, EventLog
from server.jobs.responses.records import OPEN, SAID, Turn
from server.jobs.responses.retention import Retention
from server.jobs.responses.sealing import Sealed
from server.jobs.responses.store import BODY, ResponseStore
from server.jobs.tables import ResponseRow
from server.storage.clock import DatabaseClock, database_time
from server.storage.database import Database

SILENCE = timedelta(seconds=120)
"""After so long without a word a process is taken for dead whose lock can't be asked."""
MOST_OPEN = 100
"""Of an account, over all processes."""
CANCELLED = "cancelled"


class NotOurs(Exception):
    """The response was cancelled or deleted, or this process was taken for dead."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A response that this process works on. streamed: whether its events are kept."""

    number: int
    id: str
    account_id: str
    instance_id: str
    streamed: bool

    def held(self) -> tuple[ColumnElement[bool], ...]:
        return (
            ResponseRow.number == self.number,
            ResponseRow.instance_id == self.instance_id,
            ResponseRow.status.in_(OPEN),
        )


@dataclass(frozen=True, slots=True)
class Lost:
    """A response whose process has died, or may have. instance_id: that process."""

    number: int
    id: str
    account_id: str
    instance_id: str | None
    streamed: bool
    status: str
    silent: bool


class Claims:
    """Whatever is written of a response under way is written only as long as it is that of the process."""

    def __init__(
        self,
        database: Database,
        sealed: Sealed,
        store: ResponseStore,
        log: EventLog,
        retention: Retention,
        *,
        time: DatabaseClock = database_time,
    ) -> None:
        """time: the clock that all processes have in common."""
        self._database = database
        self._sealed = sealed
        self._store = store
        self._log = log
        self._retention = retention
        self._time = time

    async def check_room(self, account_id: str) -> None:
        """Raises RateLimited for an account that has MOST_OPEN responses under way."""
        query = select(func.count()).where(ResponseRow.account_id == account_id, ResponseRow.status.in_(OPEN))
        async with self._database.read() as session:
            count = await session.scalar(query) or 0
        check_open(count)

    async def beat(self, claims: Collection[Claim]) -> Sequence[Claim]:
        """Say that this process is at work; which responses are not its any more."""
        lost = []
        for claim in claims:
            async with self._database.write() as session:
                seen = await self._time(session)
                if not written(await session.execute(update(ResponseRow).where(*claim.held()).values(seen_at=seen))):
                    lost.append(claim)
        return lost

    async def ours(self, claims: Collection[Claim]) -> Sequence[Claim]:
        """Which responses are not this process's any more."""
        query = select(ResponseRow.number).where(
            ResponseRow.number.in_([claim.number for claim in claims]), ResponseRow.status.in_(OPEN)
        )
        async with self._database.read() as session:
            there = set(await session.scalars(query))
        return [claim for claim in claims if claim.number not in there]

    async def write(self, claim: Claim, events: Sequence[Event]) -> None:
        """It is worked on, and these are the next of its events. Raises NotOurs."""
        piece = self._log.packed(claim, events)
        size = 0 if piece is None else len(piece.events)
        async with self._database.write() as session:
            changed = await session.execute(
                update(ResponseRow).where(*claim.held()).values(status="in_progress", size=ResponseRow.size + size)
            )
            if not written(changed):
                raise NotOurs
            if piece is not None:
                await piece.write(session)
        self._retention.added(claim.account_id, size)

    async def end(self, claim: Claim, turn: Turn, events: Sequence[Event]) -> None:
        """It is done, one way or another. turn: with the response as it is now.

        One that was cancelled by another process stays cancelled; turn must have that status then. It may be said
        again where it is not known whether it was written. Raises NotOurs.
        """
        body = self._sealed.pack(BODY, claim.id, turn.response)
        whose = claim.held()
        if turn.status == CANCELLED:
            whose = (*whose[:2], ResponseRow.status.in_((*OPEN, CANCELLED)))
        piece = self._log.packed(claim, events)
        size = 0 if piece is None else len(piece.events)
        async with self._database.write() as session:
            changed = await session.execute(
                update(ResponseRow)
                .where(*whose)
                .values(
                    status=turn.status,
                    body=body,
                    size=ResponseRow.size + size + len(body) - func.length(ResponseRow.body),
                    instance_id=None,
                    seen_at=None,
                )
            )
            if not written(changed):
                if await self._ended(session, claim, turn.status):
                    return
                raise NotOurs
            if turn.status in SAID and (last := await self._store.say(session, turn)) is not None:
                whose = (ResponseRow.number == claim.number,)
                await session.execute(update(ResponseRow).where(*whose).values(conversation_item=last))
            if piece is not None:
                await piece.write(session)
            await self._store.index(session, claim.number, turn.response["output"])
        self._retention.added(claim.account_id, size + len(body))
        await self._retention.trim(claim.account_id)

    async def _ended(self, session: AsyncSession, claim: Claim, status: str) -> bool:
        """Whether it has ended so already: it was written the first time, and the database's answer was lost."""
        query = select(ResponseRow.number).where(
            ResponseRow.number == claim.number, ResponseRow.status == status, ResponseRow.instance_id.is_(None)
        )
        return (await session.execute(query)).first() is not None

    async def cancel(self, account_id: str, named: str) -> bool:
        """Let the process that works on it end. False where it is done."""
        async with self._database.write() as session:
            changed = await session.execute(
                update(ResponseRow)
                .where(ResponseRow.id == named, ResponseRow.account_id == account_id, ResponseRow.status.in_(OPEN))
                .values(status=CANCELLED)
            )
            return written(changed)

    async def let_go(self, named: str) -> bool:
        """Whether no process works on it any more."""
        query = select(ResponseRow.number).where(ResponseRow.id == named, ResponseRow.instance_id.is_not(None))
        async with self._database.read() as session:
            return (await session.execute(query)).first() is None

    async def others(self, instance_id: str) -> Sequence[Lost]:
        """Responses that other processes work on, or did when they died."""
        async with self._database.read() as session:
            since = await self._time(session) - SILENCE
            rows = await session.execute(
                select(
                    ResponseRow.number,
                    ResponseRow.id,
                    ResponseRow.account_id,
                    ResponseRow.instance_id,
                    ResponseRow.streamed,
                    ResponseRow.status,
                    (ResponseRow.seen_at < since).label("silent"),
                ).where(ResponseRow.instance_id.is_not(None), ResponseRow.instance_id != instance_id)
            )
            return [Lost(*row) for row in rows]

    async def bury(self, lost: Lost, words: str) -> bool:
        """Say that it has failed, or was cancelled, where its process did not come to it. False where it did.

        One that was encrypted under another secret is left as it is, but for its status.
        """
        async with self._database.write() as session:
            row = (
                await session.execute(
                    select(ResponseRow.body, ResponseRow.status, ResponseRow.conversation_id)
                    .where(ResponseRow.number == lost.number, ResponseRow.instance_id == lost.instance_id)
                    .with_for_update()
                )
            ).first()
            if row is None:
                return False
            status = CANCELLED if row.status == CANCELLED else "failed"
            values: dict[str, Any] = {"status": status, "instance_id": None, "seen_at": None}
            try:
                response = cast(dict[str, Any], self._sealed.unpack(BODY, lost.id, row.body)) | {"status": status}
            except InvalidRequest:  # the operator is told
                pass
            else:
                if status == "failed":
                    response["error"] = {"code": "server_error", "message": words}
                if lost.streamed:
                    await self._log.close(session, lost.number, lost.id, response)
                values["body"] = self._sealed.pack(BODY, lost.id, response)
            await session.execute(update(ResponseRow).where(ResponseRow.number == lost.number).values(**values))
        return True


def check_open(count: int) -> None:
    """Raises RateLimited for an account that has so many responses under way."""
    if count >= MOST_OPEN:
        raise RateLimited(
            f"Rate limit reached: this account may have {MOST_OPEN} background responses that are not done.",
            headers={"Retry-After": "5", "retry-after-ms": "5000"},
        )


def written(result: Result[Any]) -> bool:
    """Whether a row was changed."""
    return bool(result.rowcount)  # type: ignore[attr-defined]
