"""What was said before a response: from the one that it goes on from back to the first, and in order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, func, literal, select

from server.errors import InvalidRequest, NotFound
from server.jobs.responses.conversations import Conversations, Room, check_length, no_limit
from server.jobs.responses.records import OPEN, Item, no_previous
from server.jobs.responses.sealing import Sealed
from server.jobs.responses.store import BODY, ITEMS, read
from server.jobs.tables import ResponseRow
from server.storage.clock import utc_now
from server.storage.database import Database
from server.storage.named import called

MOST_TURNS = 1000
PIECE = 200
"""Rows that are read at once."""
PARAM = "previous_response_id"


@dataclass(frozen=True, slots=True)
class History:
    """items: oldest first. numbers: of the responses that they are from."""

    items: Sequence[Item] = ()
    numbers: Sequence[int] = ()


class Chain:
    """Responses as they go on from each other. Two may go on from the same one."""

    def __init__(
        self,
        database: Database,
        sealed: Sealed,
        conversations: Conversations,
        *,
        most_bytes: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """most_bytes: of all turns together."""
        self._database = database
        self._sealed = sealed
        self._conversations = conversations
        self._most_bytes = most_bytes
        self._now = now

    async def history(self, account_id: str, previous_id: str, room: Room = no_limit) -> History:
        """All input and output up to a response of the account's. room: held while it is read.

        It is whole or refused. Raises InvalidRequest: where the response is not there or not done, where one before it
        was deleted or has expired, where one can't be read any more, and where it all is too long.
        """
        walked = await self._walk(account_id, previous_id)
        if not walked:
            raise no_previous(previous_id)
        newest, oldest = walked[0], walked[-1]
        if newest.status in OPEN:
            raise InvalidRequest(
                f"Response '{previous_id[:80]}' is {newest.status}: it can be gone on from once it is completed.",
                param=PARAM,
            )
        check_length(len(walked), sum(row.size for row in walked), MOST_TURNS, self._most_bytes, "turns", PARAM)
        if oldest.conversation_id is not None:
            # It was made in a conversation, of which it is a part; a failed one is in none.
            return await self._from_conversation(account_id, walked, room)
        if oldest.previous_id is not None:
            raise gone(oldest.id, oldest.previous_id)
        return History(await self._read(walked[::-1], room), [row.number for row in walked])

    async def _from_conversation(self, account_id: str, walked: Sequence[Any], room: Room) -> History:
        oldest, later = walked[-1], walked[-2::-1]
        if oldest.conversation_item is None:
            message = f"Response '{oldest.id}' is not part of its conversation: it has status '{oldest.status}'."
            raise InvalidRequest(message, param=PARAM)
        try:
            before = await self._conversations.history(
                account_id, oldest.conversation_id, until=oldest.conversation_item, room=room, param=PARAM
            )
        except NotFound:
            raise InvalidRequest(
                f"The conversation of response '{oldest.id}' was deleted or has expired.", param=PARAM
            ) from None
        return History([*before, *await self._read(later, room)], [row.number for row in walked])

    async def _walk(self, account_id: str, previous_id: str) -> Sequence[Any]:
        """The responses, the newest first, without what is in them; one more than are allowed at most."""
        columns = (
            ResponseRow.number,
            ResponseRow.id,
            ResponseRow.previous_id,
            ResponseRow.conversation_id,
            ResponseRow.conversation_item,
            ResponseRow.status,
            (func.length(ResponseRow.body) + func.length(ResponseRow.items)).label("size"),
        )
        there: ColumnElement[bool] = and_(ResponseRow.account_id == account_id, ResponseRow.expires_at > self._now())
        first = select(*columns, literal(1).label("turn")).where(called(ResponseRow.id, previous_id), there)
        chain = first.cte("chain", recursive=True)
        before = select(*columns, chain.c.turn + 1).join(
            chain, and_(ResponseRow.id == chain.c.previous_id, chain.c.turn <= MOST_TURNS)
        )
        chain = chain.union_all(before.where(there))
        async with self._database.read() as session:
            return (await session.execute(select(chain).order_by(chain.c.turn))).all()

    async def _read(self, rows: Sequence[Any], room: Room) -> Sequence[Item]:
        items: list[Item] = []
        async with room(sum(row.size for row in rows)):
            for begin in range(0, len(rows), PIECE):
                some = rows[begin : begin + PIECE]
                query = select(ResponseRow.number, ResponseRow.body, ResponseRow.items).where(
                    ResponseRow.number.in_([row.number for row in some])
                )
                async with self._database.read() as session:
                    found = {number: (body, own) for number, body, own in await session.execute(query)}
                for row in some:
                    if row.number not in found:  # since it was walked over
                        raise gone(row.id, row.id)
                    body, own = found[row.number]
                    items += cast(Sequence[Item], await self._unpacked(ITEMS, row.id, own))
                    response = cast(Mapping[str, Any], await self._unpacked(BODY, row.id, body))
                    items += cast(Sequence[Item], response["output"])
        return items

    async def _unpacked(self, kind: str, row: str, stored: bytes) -> object:
        try:
            return await read(self._sealed, kind, row, stored)
        except InvalidRequest as error:
            raise InvalidRequest(error.message, param=PARAM, code=error.code) from None


def gone(named: str, before: str) -> InvalidRequest:
    if named == before:
        return InvalidRequest(f"Response '{named}' was deleted meanwhile.", param=PARAM)
    return InvalidRequest(
        f"Response '{before}', from which '{named}' goes on, was deleted or has expired: what was said before is not "
        "whole any more.",
        param=PARAM,
        code="previous_response_not_found",
    )
