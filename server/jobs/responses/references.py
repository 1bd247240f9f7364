"""Items by their ids alone, whichever of an account's responses and conversations they are in."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

import orjson
from sqlalchemy import func, select

from server.errors import InvalidRequest
from server.jobs.responses.conversations import ITEM, Room, no_limit
from server.jobs.responses.records import Item
from server.jobs.responses.sealing import Sealed
from server.jobs.responses.store import BODY, ITEMS, read
from server.jobs.tables import ConversationItemRow, ConversationRow, ResponseItemRow, ResponseRow
from server.storage.clock import utc_now
from server.storage.database import Database
from server.storage.named import storable

Named = TypeVar("Named", int, str)

PIECE = 500
"""Ids and rows that are asked for at once."""
SOURCES = 4
"""Responses are read whole for the items in them: so many times the bytes that the items may have."""


class References:
    """What a request refers to costs what it would if it were sent whole, whatever else is kept beside it."""

    def __init__(
        self, database: Database, sealed: Sealed, *, most_bytes: int, now: Callable[[], datetime] = utc_now
    ) -> None:
        """most_bytes: of all that one request refers to, each item as often as it is named."""
        self._database = database
        self._sealed = sealed
        self._most_bytes = most_bytes
        self._now = now

    async def find(self, account_id: str, ids: Sequence[str], room: Room = no_limit) -> dict[str, Item]:
        """Those items of the account's that there are, by their ids; of several with one id the newest.

        room: held while they are read. Raises InvalidRequest for too many bytes, and for what was encrypted under
        another secret.
        """
        found = _Found(Counter(ids), self._most_bytes)
        await self._in_responses(account_id, [one for one in found.wanted if storable(one)], found, room)
        left = [one for one in found.wanted if storable(one) and one not in found.items]
        await self._in_conversations(account_id, left, found, room)
        return found.items

    async def _in_responses(self, account_id: str, ids: Sequence[str], found: "_Found", room: Room) -> None:
        newest = func.max(ResponseRow.number)
        query = (
            select(newest, ResponseItemRow.id)
            .join(ResponseItemRow, ResponseItemRow.response_number == ResponseRow.number)
            .where(ResponseRow.account_id == account_id, ResponseRow.expires_at > self._now())
            .group_by(ResponseItemRow.id)
        )
        numbers: set[int] = set()
        async with self._database.read() as session:
            for some in _pieces(ids):
                numbers.update(await session.scalars(query.where(ResponseItemRow.id.in_(some))))
        size = func.length(ResponseRow.body) + func.length(ResponseRow.items)
        sizes: dict[int, int] = {}
        async with self._database.read() as session:
            for part in _pieces(numbers):
                which = select(ResponseRow.number, size).where(ResponseRow.number.in_(part))
                sizes.update((number, int(size)) for number, size in await session.execute(which))
        found.check(sum(sizes.values()), SOURCES * self._most_bytes)
        for number in sorted(sizes, reverse=True):
            async with room(sizes[number]):
                row = await self._row(number)
                if row is None:  # deleted since
                    continue
                own = cast(list[Item], await read(self._sealed, ITEMS, row.id, row.items))
                response = cast(dict[str, Any], await read(self._sealed, BODY, row.id, row.body))
                found.add((*response["output"], *own))

    async def _row(self, number: int) -> Any:
        columns = select(ResponseRow.id, ResponseRow.body, ResponseRow.items)
        async with self._database.read() as session:
            return (await session.execute(columns.where(ResponseRow.number == number))).first()

    async def _in_conversations(self, account_id: str, ids: Sequence[str], found: "_Found", room: Room) -> None:
        query = (
            select(func.max(ConversationItemRow.number), ConversationItemRow.id)
            .join(ConversationRow, ConversationRow.number == ConversationItemRow.conversation_number)
            .where(ConversationRow.account_id == account_id, ConversationRow.expires_at > self._now())
            .group_by(ConversationItemRow.id)
        )
        numbers: list[int] = []
        async with self._database.read() as session:
            for some in _pieces(ids):
                numbers += await session.scalars(query.where(ConversationItemRow.id.in_(some)))
        rows = select(ConversationRow.id.label("whose"), ConversationItemRow.id, ConversationItemRow.item)
        rows = rows.join(ConversationItemRow, ConversationRow.number == ConversationItemRow.conversation_number)
        measure = func.coalesce(func.sum(func.length(ConversationItemRow.item)), 0)
        for part in _pieces(numbers):
            which = ConversationItemRow.number.in_(part)
            async with self._database.read() as session:
                size = int(await session.scalar(select(measure).where(which)) or 0)
            found.check(size, self._most_bytes)
            async with room(size), self._database.read() as session:
                for row in await session.execute(rows.where(which)):
                    found.add([cast(Item, self._sealed.unpack(ITEM, f"{row.whose}/{row.id}", row.item))])


class _Found:
    """What was found so far. wanted: how often each id is named."""

    def __init__(self, wanted: Counter[str], most_bytes: int) -> None:
        self.wanted = wanted
        self.items: dict[str, Item] = {}
        self._most_bytes = most_bytes
        self._size = 0

    def add(self, items: Iterable[Item]) -> None:
        """Take those that are wanted and were not found in newer ones. Raises InvalidRequest."""
        for item in items:
            named = str(item["id"])
            if named in self.wanted and named not in self.items:
                self._size += len(orjson.dumps(item)) * self.wanted[named]
                self.check(self._size, self._most_bytes)
                self.items[named] = item

    def check(self, size: int, most: int) -> None:
        """Raises InvalidRequest."""
        if size > most:
            raise InvalidRequest(
                f"What is referred to has {size} bytes or more, and {most} are read for one response.", param="input"
            )


def _pieces(of: Iterable[Named]) -> Iterable[Sequence[Named]]:
    rows = list(of)
    return (rows[begin : begin + PIECE] for begin in range(0, len(rows), PIECE))
