"""What is kept no longer: what has expired, what closed accounts own, and the oldest of what is too much."""

import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.tables import AccountRow
from server.errors import PayloadTooLarge
from server.jobs.responses.records import OPEN
from server.jobs.tables import ConversationRow, ResponseRow
from server.storage.clock import utc_now
from server.storage.database import OUTAGE, Database

log = logging.getLogger(__name__)

PIECE = 200
"""Rows that are deleted in one unit of work."""
SPARE = 0.01
"""Of what an account may keep: how much is free after its oldest were deleted."""
TRIM_LOCK = 0x5A6E_000B
RESPONSE, CONVERSATION = 0, 1


class Retention:
    """For one process. A response that is still worked on is never deleted here."""

    def __init__(self, database: Database, *, most: int, now: Callable[[], Any] = utc_now) -> None:
        """most: bytes of an account's responses and conversations together."""
        self._database = database
        self._most = most
        self._now = now
        self._sizes: dict[str, int] = {}
        """Of accounts, as last looked up, with what this process has written since."""

    def check(self, size: int) -> None:
        """Raises PayloadTooLarge for what could not be kept even alone."""
        if size > self._most:
            raise PayloadTooLarge(
                f"The response has {size} bytes, and an account may keep {self._most}. Ask with `store` false."
            )

    def added(self, account_id: str, size: int) -> None:
        """So many bytes were written; `trim` is to follow."""
        if account_id in self._sizes:
            self._sizes[account_id] += size

    async def trim(self, account_id: str) -> None:
        """Delete the account's oldest until what is left is not too much. It never raises: what was written stays, and
        what is too much goes with the next response, or with a sweep."""
        if self._sizes.get(account_id, self._most + 1) <= self._most:
            return
        try:
            async with self._database.write() as session:
                await self._database.lock(session, TRIM_LOCK)
                self._sizes[account_id] = await self._trim(session, account_id)
        except OUTAGE as error:
            log.warning("what account %s keeps too much is deleted later: %s", account_id, error)

    async def _trim(self, session: AsyncSession, account_id: str) -> int:
        """The bytes that are left: a little less than the account may keep, so that not every response that is added
        to a full account counts all of it."""
        total = 0
        for row in (ResponseRow, ConversationRow):
            total += int(
                await session.scalar(select(func.coalesce(func.sum(row.size), 0)).where(row.account_id == account_id))
                or 0
            )
        if total <= self._most:
            return total
        goal = self._most - int(self._most * SPARE)
        while total > goal:
            oldest = (await session.execute(_oldest(account_id))).all()
            gone: dict[int, list[int]] = {RESPONSE: [], CONVERSATION: []}
            for kind, number, size, _ in oldest:
                if total <= goal:
                    break
                gone[kind].append(number)
                total -= size
            await session.execute(delete(ResponseRow).where(ResponseRow.number.in_(gone[RESPONSE])))
            await session.execute(delete(ConversationRow).where(ConversationRow.number.in_(gone[CONVERSATION])))
            if not any(gone.values()):  # the rest is worked on, or large
                break
        return total

    async def sweep(self) -> None:
        """Once a minute. Raises DatabaseUnavailable."""
        closed = select(AccountRow.id).where(AccountRow.closed_at.is_not(None))
        done = ResponseRow.status.not_in(OPEN)
        await self._delete(ResponseRow, done, ResponseRow.expires_at <= self._now())
        await self._delete(ConversationRow, ConversationRow.expires_at <= self._now())
        await self._delete(ResponseRow, done, ResponseRow.account_id.in_(closed))
        await self._delete(ConversationRow, ConversationRow.account_id.in_(closed))
        async with self._database.read() as session:
            sizes: dict[str, int] = {}
            for row in (ResponseRow, ConversationRow):
                for account_id, size in await session.execute(
                    select(row.account_id, func.sum(row.size)).group_by(row.account_id)
                ):
                    sizes[account_id] = sizes.get(account_id, 0) + int(size)
        self._sizes = sizes
        for account_id in [account_id for account_id, size in sizes.items() if size > self._most]:
            await self.trim(account_id)

    async def _delete(self, row: type[ResponseRow] | type[ConversationRow], *which: Any) -> None:
        """Piece by piece: others write meanwhile."""
        while True:
            async with self._database.write() as session:
                numbers = list(await session.scalars(select(row.number).where(*which).limit(PIECE)))
                if numbers:
                    await session.execute(delete(row).where(row.number.in_(numbers), *which))
            if len(numbers) < PIECE:
                return


def _oldest(account_id: str) -> Any:
    """The oldest of either kind, by the index of each, and then of both."""
    responses = _first(ResponseRow, RESPONSE, account_id).where(ResponseRow.status.not_in(OPEN))
    conversations = _first(ConversationRow, CONVERSATION, account_id)
    both = union_all(select(responses.subquery()), select(conversations.subquery())).subquery()
    return select(both).order_by(both.c.expires_at, both.c.number).limit(PIECE)


def _first(row: type[ResponseRow] | type[ConversationRow], kind: int, account_id: str) -> Any:
    columns = select(literal(kind).label("kind"), row.number, row.size, row.expires_at)
    return columns.where(row.account_id == account_id).order_by(row.expires_at, row.number).limit(PIECE)
