"""Chats that clients of the Ask Sage dialect keep here: a title, and whatever JSON they put there."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import Caller
from server.errors import Conflict, InvalidRequest, NotFound, PayloadTooLarge
from server.knowledge.tables import ChatSessionRow
from server.storage.clock import utc_now
from server.storage.database import Database

MOST_CHATS = 200
"""Of an account."""
MOST_COPIED = MOST_CHATS // 2
"""That an account may have when another one gives it a copy: the rest is for its own."""
MOST_CONTENT = 512 * 1024
"""Bytes of a chat, as JSON in ASCII."""
LONGEST_TITLE = 255
UNTITLED = "New Chat"
CHATS_LOCK = 0x5A6E_0009


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat session. content: what was put there, in order; of what `find` gives alone."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    content: list[Any] | None = None


class Chats:
    """Each caller sees its own account's. Every method that names one raises NotFound, for somebody else's too.

    An account has at most MOST_CHATS, each of at most MOST_CONTENT bytes: InvalidRequest for a title that is too long,
    PayloadTooLarge for content, Conflict for one chat too many.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now

    async def create(self, caller: Caller, title: str = UNTITLED, content: Sequence[Any] = ()) -> Chat:
        written = _written(content)
        async with self._database.write() as session:
            made = _listed(await self._add(session, caller.account_id, title, written))
        return replace(made, content=list(content))

    async def list(self, caller: Caller) -> Sequence[Chat]:
        """Without what is in them, the one that was changed last first."""
        query = (
            select(ChatSessionRow.id, ChatSessionRow.title, ChatSessionRow.created_at, ChatSessionRow.updated_at)
            .where(ChatSessionRow.account_id == caller.account_id)
            .order_by(ChatSessionRow.updated_at.desc(), ChatSessionRow.id)
        )
        async with self._database.read() as session:
            return [Chat(*row) for row in await session.execute(query)]

    async def find(self, caller: Caller, chat_id: str) -> Chat:
        async with self._database.read() as session:
            return _chat(await _own(session, caller, chat_id))

    async def append(self, caller: Caller, chat_id: str, more: Sequence[Any]) -> Chat:
        added = _written(more)
        async with self._database.write() as session:
            row = await _own(session, caller, chat_id, change=True)
            return self._extend(row, added)

    async def append_to_title(self, caller: Caller, title: str, more: Sequence[Any]) -> Chat:
        """To the caller's newest chat of that title, which is made where there is none."""
        title, added = _checked(title), _written(more)
        query = select(ChatSessionRow).where(
            ChatSessionRow.account_id == caller.account_id, ChatSessionRow.title == title
        )
        async with self._database.write() as session:
            await self._database.lock(session, CHATS_LOCK)  # two at once would each make one
            row = await session.scalar(query.order_by(ChatSessionRow.created_at.desc(), ChatSessionRow.id).limit(1))
            if row is None:
                return _listed(await self._add(session, caller.account_id, title, added))
            return self._extend(row, added)

    async def copy(self, caller: Caller, chat_id: str, account_id: str) -> None:
        """Give another account a chat like it. Conflict where that account has too many to be given more."""
        most = MOST_CHATS if account_id == caller.account_id else MOST_COPIED
        async with self._database.write() as session:
            row = await _own(session, caller, chat_id)
            await self._add(session, account_id, row.title, row.content, most)

    async def retitle(self, caller: Caller, chat_id: str, title: str) -> None:
        title = _checked(title)
        async with self._database.write() as session:
            row = await _own(session, caller, chat_id, change=True)
            row.title, row.updated_at = title, self._now()

    async def replace(self, caller: Caller, chat_id: str, title: str, content: Sequence[Any]) -> None:
        title, text = _checked(title), _written(content)
        async with self._database.write() as session:
            row = await _own(session, caller, chat_id, change=True)
            row.title, row.content, row.updated_at = title, text, self._now()

    async def delete(self, caller: Caller, chat_id: str) -> None:
        async with self._database.write() as session:
            row = await _own(session, caller, chat_id, change=True)
            await session.execute(delete(ChatSessionRow).where(ChatSessionRow.id == row.id))

    async def _add(
        self, session: AsyncSession, account_id: str, title: str, text: str, most: int | None = None
    ) -> ChatSessionRow:
        title, now = _checked(title), self._now()
        await self._database.lock(session, CHATS_LOCK)
        query = select(func.count()).select_from(ChatSessionRow).where(ChatSessionRow.account_id == account_id)
        if (await session.scalar(query) or 0) >= (MOST_CHATS if most is None else most):
            raise Conflict(f"An account keeps at most {MOST_CHATS} chats, and half as many before it is given others'.")
        row = ChatSessionRow(
            id=str(uuid4()), account_id=account_id, title=title, content=text, created_at=now, updated_at=now
        )
        session.add(row)
        await session.flush()
        return row

    def _extend(self, row: ChatSessionRow, added: str) -> Chat:
        """added: a list as `_written` has it. Nothing is parsed while SQLite's one writer waits."""
        row.content = _bounded(
            f"{row.content[:-1]},{added[1:]}" if "[]" not in (row.content, added) else max(row.content, added, key=len)
        )
        row.updated_at = self._now()
        return _listed(row)


async def _own(session: AsyncSession, caller: Caller, chat_id: str, *, change: bool = False) -> ChatSessionRow:
    """change: whether others who change it wait meanwhile."""
    row = None
    if is_uuid(chat_id):
        query = select(ChatSessionRow).where(
            ChatSessionRow.id == chat_id.lower(), ChatSessionRow.account_id == caller.account_id
        )
        row = await session.scalar(query.with_for_update() if change else query)
    if row is None:
        raise NotFound("There is no chat session with this id.", param="session_id")
    return row


def is_uuid(text: str) -> bool:
    """Whether it is written as we write them. PostgreSQL refuses to look for other texts, such as one with a NUL."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _checked(title: str) -> str:
    title = title.strip()
    if len(title) > LONGEST_TITLE or not title.isprintable():
        raise InvalidRequest(f"A title has at most {LONGEST_TITLE} printable characters.", param="title")
    return title or UNTITLED


def _written(content: Sequence[Any]) -> str:
    # In ASCII: PostgreSQL takes no NUL and no half of a surrogate pair, which clients may send.
    return _bounded(json.dumps(list(content), separators=(",", ":")))


def _bounded(text: str) -> str:
    if len(text) > MOST_CONTENT:
        raise PayloadTooLarge(f"A chat has at most {MOST_CONTENT} bytes as JSON.")
    return text


def _listed(row: ChatSessionRow) -> Chat:
    return Chat(row.id, row.title, row.created_at, row.updated_at)


def _chat(row: ChatSessionRow) -> Chat:
    return Chat(row.id, row.title, row.created_at, row.updated_at, json.loads(row.content))
