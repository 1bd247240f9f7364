"""Conversations: what is said in one is kept apart from responses, in order, until it is deleted or expires."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import InvalidRequest
from server.jobs.responses.records import (
    ROW,
    Conversation,
    Item,
    Page,
    conversation_id,
    item_id,
    no_conversation,
    no_item,
)
from server.jobs.responses.retention import Retention
from server.jobs.responses.sealing import Sealed
from server.jobs.tables import ConversationItemRow, ConversationRow
from server.storage.clock import utc_now
from server.storage.database import Database
from server.storage.named import called

ITEM, METADATA = "conversation_items.item", "conversations.metadata"
MOST_ITEMS = 2000
"""That are read for one response."""
PIECE = 500
"""Rows that are written at once."""

Room = Callable[[int], AbstractAsyncContextManager[None]]
"""Around the reading of so many bytes."""


def no_limit(_: int) -> AbstractAsyncContextManager[None]:
    return nullcontext()


class Conversations:
    """Every method that names a conversation raises NotFound for one that is not there, and for another account's.

    Whoever adds items holds the conversation's row until they are written, so that those of one turn stay together.
    """

    def __init__(
        self,
        database: Database,
        sealed: Sealed,
        retention: Retention,
        *,
        ttl: float,
        most_bytes: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """ttl: seconds that one is kept after it was last added to. most_bytes: of all its items together."""
        self._database = database
        self._sealed = sealed
        self._retention = retention
        self._ttl = timedelta(seconds=ttl)
        self._most_bytes = most_bytes
        self._now = now

    async def create(self, account_id: str, metadata: Mapping[str, str], items: Sequence[Item] = ()) -> Conversation:
        """items: with ids. Raises InvalidRequest, PayloadTooLarge."""
        made = Conversation(conversation_id(), self._now(), dict(metadata))
        details = self._sealed.pack(METADATA, made.id, made.metadata)
        size = ROW + len(details)
        async with self._database.write() as session:
            await session.execute(
                insert(ConversationRow).values(
                    id=made.id,
                    account_id=account_id,
                    details=details,
                    size=size,
                    created_at=made.created_at,
                    expires_at=made.created_at + self._ttl,
                )
            )
            self._retention.added(account_id, size)
            if items:
                await self._add(session, account_id, await self._locked(session, account_id, made.id), items)
        await self._retention.trim(account_id)
        return made

    async def find(self, account_id: str, named: str) -> Conversation:
        async with self._database.read() as session:
            row = await self._own(session, account_id, named)
        return self._conversation(row)

    async def update(self, account_id: str, named: str, metadata: Mapping[str, str]) -> Conversation:
        """Put `metadata` in place of what there was."""
        async with self._database.write() as session:
            row = await self._locked(session, account_id, named)
            details = self._sealed.pack(METADATA, row.id, dict(metadata))
            more = len(details) - len(row.details or b"")
            row.details, row.size = details, row.size + more
            changed = self._conversation(row)
        self._retention.added(account_id, more)
        await self._retention.trim(account_id)
        return changed

    async def delete(self, account_id: str, named: str) -> None:
        """With its items. Responses that were made in it stay."""
        async with self._database.write() as session:
            row = await self._locked(session, account_id, named)
            await session.execute(delete(ConversationRow).where(ConversationRow.number == row.number))

    # ------------------------------------------------------------ items

    async def add(self, account_id: str, named: str, items: Sequence[Item]) -> Sequence[Item]:
        """Returns them as they are kept. Raises InvalidRequest where there is no room for them in the conversation."""
        async with self._database.write() as session:
            row = await self._locked(session, account_id, named)
            added, _ = await self._add(session, account_id, row, items)
        await self._retention.trim(account_id)
        return added

    async def append(self, session: AsyncSession, account_id: str, named: str, items: Sequence[Item]) -> int | None:
        """Add a response's turn, within a unit of work. The number of its last item; None if it is not there any more.

        What was answered is not lost for being too long: the next response in the conversation is refused.
        """
        row = await session.scalar(self._query(account_id, named).with_for_update())
        if row is None:
            return None
        _, last = await self._add(session, account_id, row, items, bounded=False)
        return last

    async def _add(
        self,
        session: AsyncSession,
        account_id: str,
        row: ConversationRow,
        items: Sequence[Item],
        *,
        bounded: bool = True,
    ) -> tuple[Sequence[Item], int | None]:
        asked = [str(item["id"]) for item in items]
        here = ConversationItemRow.conversation_number == row.number
        taken: set[str] = set()
        for begin in range(0, len(asked), PIECE):
            some = asked[begin : begin + PIECE]
            taken |= set(
                await session.scalars(select(ConversationItemRow.id).where(here, ConversationItemRow.id.in_(some)))
            )
        kept: list[Item] = []
        for item, named in zip(items, asked, strict=True):
            own = item_id(str(item.get("type", ""))) if named in taken else named
            taken.add(own)
            kept.append({**item, "id": own})
        packed = [self._sealed.pack(ITEM, f"{row.id}/{item['id']}", item) for item in kept]
        size = sum(map(len, packed)) + ROW * len(packed)
        if bounded and row.size + size > self._most_bytes:
            raise InvalidRequest(
                f"There is no room for this in the conversation '{row.id}': it may have {self._most_bytes} bytes.",
                param="items",
            )
        for begin in range(0, len(kept), PIECE):
            values = [
                {"id": item["id"], "conversation_number": row.number, "item": data}
                for item, data in zip(kept[begin : begin + PIECE], packed[begin : begin + PIECE], strict=True)
            ]
            await session.execute(insert(ConversationItemRow).values(values))
        last = await session.scalar(select(func.max(ConversationItemRow.number)).where(here))
        row.size += size
        row.expires_at = self._now() + self._ttl
        self._retention.added(account_id, size)
        return kept, last

    async def items(
        self, account_id: str, named: str, *, after: str | None = None, limit: int = 20, ascending: bool = False
    ) -> Page:
        """after: the id of the last one seen. Raises InvalidRequest for one that is not there."""
        number = ConversationItemRow.number
        async with self._database.read() as session:
            row = await self._own(session, account_id, named)
            query = select(ConversationItemRow.id, ConversationItemRow.item).where(
                ConversationItemRow.conversation_number == row.number
            )
            if after is not None:
                seen = await session.scalar(
                    select(number).where(
                        ConversationItemRow.conversation_number == row.number, called(ConversationItemRow.id, after)
                    )
                )
                if seen is None:
                    raise InvalidRequest(
                        f"Invalid value for 'after': there is no item with id '{after[:80]}'.", param="after"
                    )
                query = query.where(number > seen if ascending else number < seen)
            query = query.order_by(number if ascending else number.desc()).limit(limit + 1)
            found = (await session.execute(query)).all()
        return Page([self._unpacked(named, item, data) for item, data in found[:limit]], len(found) > limit)

    async def item(self, account_id: str, named: str, item: str) -> Item:
        """Raises NotFound for an item that is not there, too."""
        async with self._database.read() as session:
            row = await self._own(session, account_id, named)
            data = await session.scalar(
                select(ConversationItemRow.item).where(
                    ConversationItemRow.conversation_number == row.number, called(ConversationItemRow.id, item)
                )
            )
        if data is None:
            raise no_item(item)
        return self._unpacked(named, item, data)

    async def delete_item(self, account_id: str, named: str, item: str) -> Conversation:
        """Raises NotFound for an item that is not there, too."""
        async with self._database.write() as session:
            row = await self._locked(session, account_id, named)
            gone = await session.execute(
                delete(ConversationItemRow)
                .where(ConversationItemRow.conversation_number == row.number, called(ConversationItemRow.id, item))
                .returning(func.length(ConversationItemRow.item))
            )
            size = gone.scalar_one_or_none()
            if size is None:
                raise no_item(item)
            row.size = max(ROW, row.size - size - ROW)
            return self._conversation(row)

    async def history(
        self,
        account_id: str,
        named: str,
        *,
        until: int | None = None,
        room: Room = no_limit,
        param: str = "conversation",
    ) -> Sequence[Item]:
        """All that was said in it, or until the item with that number.

        Raises InvalidRequest where that is too much for one request.
        """
        async with self._database.read() as session:
            row = await self._own(session, account_id, named, param)
            query = select(ConversationItemRow.id, ConversationItemRow.item).where(
                ConversationItemRow.conversation_number == row.number
            )
            if until is not None:
                query = query.where(ConversationItemRow.number <= until)
            inner = query.subquery()
            measure = select(func.count(), func.coalesce(func.sum(func.length(inner.c.item)), 0))
            count, size = (await session.execute(measure.select_from(inner))).one()
        check_length(count, int(size), MOST_ITEMS, self._most_bytes, "items", param)
        async with room(int(size)), self._database.read() as session:
            found = (await session.execute(query.order_by(ConversationItemRow.number).limit(MOST_ITEMS))).all()
        return [self._unpacked(named, item, data) for item, data in found]

    def _conversation(self, row: ConversationRow) -> Conversation:
        metadata = {} if row.details is None else self._sealed.unpack(METADATA, row.id, row.details)
        return Conversation(row.id, row.created_at, cast(Mapping[str, str], metadata))

    def _unpacked(self, conversation: str, item: str, data: bytes) -> Item:
        return cast(Item, self._sealed.unpack(ITEM, f"{conversation}/{item}", data))

    async def _own(
        self, session: AsyncSession, account_id: str, named: str, param: str | None = None
    ) -> ConversationRow:
        row = await session.scalar(self._query(account_id, named))
        if row is None:
            raise no_conversation(named, param)
        return row

    async def _locked(self, session: AsyncSession, account_id: str, named: str) -> ConversationRow:
        row = await session.scalar(self._query(account_id, named).with_for_update())
        if row is None:
            raise no_conversation(named)
        return row

    def _query(self, account_id: str, named: str) -> Select[ConversationRow]:
        return select(ConversationRow).where(
            called(ConversationRow.id, named),
            ConversationRow.account_id == account_id,
            ConversationRow.expires_at > self._now(),
        )


def check_length(count: int, size: int, most: int, most_bytes: int, what: str, param: str) -> None:
    """Raises InvalidRequest for a history that is too long to be read for one request."""
    if count > most:
        raise InvalidRequest(
            f"What was said before has more than {most} {what}, and no more are read for one response. Begin anew with "
            "what still matters.",
            param=param,
        )
    if size > most_bytes:
        raise InvalidRequest(
            f"What was said before has {size} bytes, and a response may have {most_bytes}. Begin anew with what still "
            "matters.",
            param=param,
        )
