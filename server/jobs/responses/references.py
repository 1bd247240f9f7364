"""Items by their ids alone, wherever an account has them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import func, select

from server.jobs.responses.conversations import ITEM, Room, check_length, no_limit
from server.jobs.responses.records import Item
from server.jobs.responses.sealing import Sealed
from server.jobs.responses.store import BODY, ITEMS, read
from server.jobs.tables import ConversationItemRow, ConversationRow, ResponseItemRow, ResponseRow
from server.storage.clock import utc_now
from server.storage.columns import storable
from server.storage.database import Database

PIECE = 500
"""Rows that are asked for at once."""
MOST = 2000
"""Responses that are read for one request."""
PARAM = "input"


class References:
    """Of several items of one id it is that of the newest response, and else that which was added last."""

    def __init__(
        self, database: Database, sealed: Sealed, *, most_bytes: int, now: Callable[[], datetime] = utc_now
    ) -> None:
        """most_bytes: of all that is read for one request. An item is read with the response that it is of."""
        self._database = database
        self._sealed = sealed
        self._most_bytes = most_bytes
        self._now = now

    async def find(self, account_id: str, names: Collection[str], room: Room = no_limit) -> Mapping[str, Item]:
        """Items of the account's responses and conversations; those that are not there are left out.

        room: held while they are read. Raises InvalidRequest where that is too much for one request, and for what was
        encrypted under another secret.
        """
        wanted = [named for named in dict.fromkeys(names) if storable(named)]
        found = await self._in_responses(account_id, wanted, room)
        return found | await self._in_conversations(account_id, [one for one in wanted if one not in found], room)

    async def _in_responses(self, account_id: str, wanted: Sequence[str], room: Room) -> dict[str, Item]:
        places: dict[str, int] = {}
        size = 0
        async with self._database.read() as session:
            for some in _pieces(wanted):
                query = (
                    select(ResponseItemRow.id, func.max(ResponseRow.number).label("number"))
                    .join(ResponseRow, ResponseRow.number == ResponseItemRow.response_number)
                    .where(ResponseItemRow.id.in_(some), ResponseRow.account_id == account_id)
                    .where(ResponseRow.expires_at > self._now())
                    .group_by(ResponseItemRow.id)
                )
                places |= {row.id: row.number for row in await session.execute(query)}
            numbers = sorted(set(places.values()))
            for some in _pieces(numbers):
                measure = func.sum(func.length(ResponseRow.body) + func.length(ResponseRow.items))
                size += int(await session.scalar(select(measure).where(ResponseRow.number.in_(some))) or 0)
        check_length(len(numbers), size, MOST, self._most_bytes, "turns", PARAM)
        found: dict[str, Item] = {}
        async with room(size):
            for number in numbers:
                for item in await self._all_of(number):
                    if places.get(item["id"]) == number:
                        found.setdefault(item["id"], item)
        return found

    async def _all_of(self, number: int) -> Sequence[Item]:
        """The items of a response, its output first; none where it was deleted meanwhile."""
        query = select(ResponseRow.id, ResponseRow.body, ResponseRow.items).where(ResponseRow.number == number)
        async with self._database.read() as session:
            row = (await session.execute(query)).first()
        if row is None:
            return ()
        own = cast(Sequence[Item], await read(self._sealed, ITEMS, row.id, row.items))
        response = cast(Mapping[str, Any], await read(self._sealed, BODY, row.id, row.body))
        return [*response["output"], *own]

    async def _in_conversations(self, account_id: str, wanted: Sequence[str], room: Room) -> dict[str, Item]:
        numbers: list[int] = []
        size = 0
        async with self._database.read() as session:
            for some in _pieces(wanted):
                query = (
                    select(func.max(ConversationItemRow.number))
                    .join(ConversationRow, ConversationRow.number == ConversationItemRow.conversation_number)
                    .where(ConversationItemRow.id.in_(some), ConversationRow.account_id == account_id)
                    .where(ConversationRow.expires_at > self._now())
                    .group_by(ConversationItemRow.id)
                )
                numbers += await session.scalars(query)
            for some in _pieces(numbers):
                measure = func.sum(func.length(ConversationItemRow.item))
                size += int(await session.scalar(select(measure).where(ConversationItemRow.number.in_(some))) or 0)
        check_length(len(numbers), size, len(wanted), self._most_bytes, "items", PARAM)
        found: dict[str, Item] = {}
        async with room(size), self._database.read() as session:
            for some in _pieces(numbers):
                of = select(ConversationRow.id.label("conversation"), ConversationItemRow.id, ConversationItemRow.item)
                there = of.join(ConversationRow, ConversationRow.number == ConversationItemRow.conversation_number)
                for row in await session.execute(there.where(ConversationItemRow.number.in_(some))):
                    found[row.id] = cast(Item, self._sealed.unpack(ITEM, f"{row.conversation}/{row.id}", row.item))
        return found


def _pieces(all_: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (all_[begin : begin + PIECE] for begin in range(0, len(all_), PIECE))
