"""Responses that are kept: written, found and deleted."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, delete, distinct, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import InvalidRequest
from server.jobs.responses.conversations import Conversations
from server.jobs.responses.records import OPEN, ROW, SAID, Item, Kept, Page, Turn, no_response
from server.jobs.responses.retention import Retention
from server.jobs.responses.sealing import AES_256_GCM, Sealed
from server.jobs.tables import ConversationItemRow, ConversationRow, ResponseItemRow, ResponseRow
from server.storage.clock import DatabaseClock, database_time, utc_now
from server.storage.database import Database
from server.storage.named import called

BODY, ITEMS = "responses.body", "responses.items"
PIECE = 500
"""Rows that are written at once."""
LARGE = 256 * 1024
"""Bytes from which JSON is read beside the event loop."""


class ResponseStore:
    """Every method that names a response raises NotFound for one that is not there, and for another account's alike."""

    def __init__(
        self,
        database: Database,
        sealed: Sealed,
        conversations: Conversations,
        retention: Retention,
        *,
        ttl: float,
        now: Callable[[], datetime] = utc_now,
        time: DatabaseClock = database_time,
    ) -> None:
        """ttl: seconds that a response is kept after it, or one that goes on from it, was written. time: the clock that
        all processes have in common."""
        self._database = database
        self._sealed = sealed
        self._conversations = conversations
        self._retention = retention
        self._ttl = timedelta(seconds=ttl)
        self._now = now
        self._time = time

    async def keep(self, turn: Turn, ancestors: Sequence[int] = (), *, instance_id: str | None = None) -> int:
        """Write a response; its turn becomes part of its conversation unless it is still worked on, or failed.

        ancestors: numbers of those that it goes on from, which are kept longer for it. instance_id: the process that
        works on it. Returns its number. Raises PayloadTooLarge, DatabaseUnavailable.
        """
        body = self._sealed.pack(BODY, turn.id, turn.response)
        items = self._sealed.pack(ITEMS, turn.id, turn.items)
        size = len(body) + len(items) + ROW
        self._retention.check(size)
        async with self._database.write() as session:
            now = self._now()
            last = await self.say(session, turn) if turn.status in SAID else None
            result = await session.execute(
                insert(ResponseRow)
                .values(
                    id=turn.id,
                    account_id=turn.account_id,
                    previous_id=turn.previous_id,
                    conversation_id=turn.conversation_id,
                    conversation_item=last,
                    status=turn.status,
                    background=turn.background,
                    streamed=turn.streamed,
                    body=body,
                    items=items,
                    size=size,
                    instance_id=instance_id,
                    seen_at=None if instance_id is None else await self._time(session),
                    created_at=now,
                    expires_at=now + self._ttl,
                )
                .returning(ResponseRow.number)
            )
            number: int = result.scalar_one()
            await self.index(session, number, [*turn.items, *turn.response["output"]])
            await self._prolong(session, ancestors, now)
        self._retention.added(turn.account_id, size)
        await self._retention.trim(turn.account_id)
        return number

    async def index(self, session: AsyncSession, number: int, items: Sequence[Item]) -> None:
        """So that items are found by their ids alone."""
        rows = [{"response_number": number, "id": named} for named in dict.fromkeys(str(item["id"]) for item in items)]
        for begin in range(0, len(rows), PIECE):
            await session.execute(insert(ResponseItemRow).values(rows[begin : begin + PIECE]))

    async def say(self, session: AsyncSession, turn: Turn) -> int | None:
        """Add a turn to its conversation, unless that was deleted meanwhile: the response stays all the same."""
        if turn.conversation_id is None:
            return None
        said = [*turn.items, *turn.response["output"]]
        return await self._conversations.append(session, turn.account_id, turn.conversation_id, said)

    async def _prolong(self, session: AsyncSession, numbers: Sequence[int], now: datetime) -> None:
        """Keep what was gone on from, and the conversation that it began in; not written anew for less than a hundredth
        of the time."""
        until = now + self._ttl
        late = until - self._ttl / 100
        for begin in range(0, len(numbers), PIECE):
            some = numbers[begin : begin + PIECE]
            # Those that another turn prolongs just now are left to it: two could wait for each other.
            short = select(ResponseRow.number).where(ResponseRow.number.in_(some), ResponseRow.expires_at < late)
            found = list(await session.scalars(short.with_for_update(skip_locked=True)))
            if not found:
                continue
            await session.execute(update(ResponseRow).where(ResponseRow.number.in_(found)).values(expires_at=until))
            said_in = (
                select(ConversationRow.number)
                .join(ResponseRow, ResponseRow.conversation_id == ConversationRow.id)
                .where(ResponseRow.number.in_(found), ConversationRow.expires_at < late)
            )
            talks = list(await session.scalars(said_in.with_for_update(skip_locked=True, of=ConversationRow)))
            if talks:
                longer = update(ConversationRow).where(ConversationRow.number.in_(talks)).values(expires_at=until)
                await session.execute(longer)

    async def find(self, account_id: str, named: str) -> Kept:
        """Raises InvalidRequest too, for one that was encrypted under another secret."""
        columns = (
            ResponseRow.number,
            ResponseRow.id,
            ResponseRow.status,
            ResponseRow.background,
            ResponseRow.streamed,
            ResponseRow.body,
        )
        async with self._database.read() as session:
            row = (await session.execute(select(*columns).where(*self.own(account_id, named)))).first()
        if row is None:
            raise no_response(named)
        response = cast(dict[str, Any], await read(self._sealed, BODY, row.id, row.body))
        return Kept(
            number=row.number,
            id=row.id,
            status=row.status,
            background=row.background,
            streamed=row.streamed,
            response=response | {"status": row.status},
        )

    async def status(self, account_id: str, named: str) -> str:
        async with self._database.read() as session:
            status = await session.scalar(select(ResponseRow.status).where(*self.own(account_id, named)))
        if status is None:
            raise no_response(named)
        return status

    async def input_items(
        self, account_id: str, named: str, *, after: str | None = None, limit: int = 20, ascending: bool = False
    ) -> Page:
        """Its own input items. after: the id of the last one seen. Raises InvalidRequest for one that is not there."""
        async with self._database.read() as session:
            stored = await session.scalar(select(ResponseRow.items).where(*self.own(account_id, named)))
        if stored is None:
            raise no_response(named)
        items = cast(list[Item], await read(self._sealed, ITEMS, named, stored))
        return paged(items if ascending else items[::-1], after, limit)

    async def delete(self, account_id: str, named: str) -> None:
        """What goes on from it stays, and can't be gone on from any more."""
        async with self._database.write() as session:
            gone = await session.execute(
                delete(ResponseRow).where(*self.own(account_id, named)).returning(ResponseRow.number)
            )
            if gone.first() is None:
                raise no_response(named)

    def own(self, account_id: str, named: str) -> tuple[ColumnElement[bool], ...]:
        """An account's own response that has not expired; one that is still worked on does not."""
        there = (ResponseRow.expires_at > self._now()) | ResponseRow.status.in_(OPEN)
        return called(ResponseRow.id, named), ResponseRow.account_id == account_id, there


async def count_encrypted(database: Database) -> int:
    """Responses and conversations that only the secret of now can open."""
    body, item = (func.substr(column, 1, 1) == AES_256_GCM for column in (ResponseRow.body, ConversationItemRow.item))
    responses = select(func.count()).select_from(ResponseRow).where(body)
    conversations = select(func.count(distinct(ConversationItemRow.conversation_number))).where(item)
    async with database.read() as session:
        return (await session.scalar(responses) or 0) + (await session.scalar(conversations) or 0)


async def read(sealed: Sealed, kind: str, row: str, stored: bytes) -> object:
    """As `Sealed.unpack`, where others need not wait for it."""
    if len(stored) < LARGE:
        return sealed.unpack(kind, row, stored)
    return await asyncio.to_thread(sealed.unpack, kind, row, stored)


def paged(items: Sequence[Item], after: str | None, limit: int) -> Page:
    """A page of items that are all there."""
    first = 0
    if after is not None:
        first = next((place + 1 for place, item in enumerate(items) if item.get("id") == after), 0)
        if not first:
            raise no_after(after)
    return Page(items[first : first + limit], len(items) > first + limit)


def no_after(named: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for 'after': there is no item with id '{named[:80]}'.", param="after")
