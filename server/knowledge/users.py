"""What the Ask Sage dialect keeps of its users: questions and token exchanges. Their chats are in chats.py."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import CursorResult, delete, exists, insert, literal, select, table, update
from sqlalchemy import column as sql_column
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import Caller
from server.errors import NotFound
from server.knowledge.chats import Chats, is_uuid
from server.knowledge.tables import LoginRow, PromptRow
from server.storage.clock import utc_now
from server.storage.database import OUTAGE, Database

logger = logging.getLogger(__name__)

KEPT = 1000
"""Questions, and token exchanges, that are kept of each account. The oldest go first."""
LONGEST_TEXT = 64 * 1024
"""Characters that are kept of a question or an answer."""
ACCOUNTS = table("accounts", sql_column("id"))
Row = TypeVar("Row", PromptRow, LoginRow)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question and its answer. total_tokens: what it cost, in Ask Sage tokens. teach: tokens that were embedded."""

    id: int
    uuid: str
    at: datetime
    ip: str
    model: str
    prompt: str
    completion: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    teach: int
    downvoted: bool


@dataclass(frozen=True, slots=True)
class Login:
    """A token exchange."""

    id: int
    at: datetime
    ip: str
    succeeded: bool


class Users:
    """Each caller sees its own account's only.

    The log is kept beside answers: where the database does not answer, a line of it is lost, and no answer fails.
    """

    def __init__(
        self, database: Database, *, keep_prompts: bool = False, now: Callable[[], datetime] = utc_now
    ) -> None:
        """keep_prompts: whether the texts of questions and answers are kept, and not their tokens alone."""
        self._database = database
        self._keep_prompts = keep_prompts
        self._now = now
        self.chats = Chats(database, now)

    # ------------------------------------------------------------ questions

    async def asked(
        self,
        caller: Caller,
        *,
        ip: str | None,
        model: str,
        prompt: str,
        completion: str,
        prompt_tokens: int,
        completion_tokens: int,
        total_tokens: int | None = None,
        teach: int = 0,
        uuid: str | None = None,
    ) -> str:
        """Note a question that was answered, and return its uuid, by which it is voted down.

        uuid: one that was given out with the answer already. total_tokens: the sum of both by default. Nothing is noted
        of a caller without an account, as there is where `auth` is off. Raises nothing for a database that fails.
        """
        uuid = uuid or str(uuid4())
        values = {
            "account_id": caller.account_id,
            "uuid": uuid,
            "at": self._now(),
            "ip": (ip or "")[:45],
            "model": _storable(model)[:160],
            "prompt": self._kept(prompt),
            "completion": self._kept(completion),
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens if total_tokens is None else total_tokens,
            "teach": teach,
            "downvoted": False,
        }
        try:
            async with self._database.write() as session:
                await _add(session, PromptRow, values)
        except OUTAGE as error:
            logger.warning("a question could not be noted for its account: %s", error)
        return uuid

    async def prompts(self, caller: Caller, limit: int = 100, before: int | None = None) -> Sequence[Prompt]:
        """The newest first; before: the id of the last one seen, for the next page."""
        query = select(PromptRow).where(PromptRow.account_id == caller.account_id)
        if before is not None:
            query = query.where(PromptRow.id < before)
        async with self._database.read() as session:
            rows = await session.scalars(query.order_by(PromptRow.id.desc()).limit(limit))
            return [
                Prompt(
                    row.id,
                    row.uuid,
                    row.at,
                    row.ip,
                    row.model,
                    row.prompt,
                    row.completion,
                    row.prompt_tokens,
                    row.completion_tokens,
                    row.total_tokens,
                    row.teach,
                    row.downvoted,
                )
                for row in rows
            ]

    async def vote_down(self, caller: Caller, uuid: str) -> None:
        """Mark an answer as a bad one. Raises NotFound, for an answer to somebody else too."""
        if not is_uuid(uuid):
            raise NotFound("There is no answer with this uuid.", param="uuid")
        async with self._database.write() as session:
            marked = await session.execute(
                update(PromptRow)
                .where(PromptRow.uuid == uuid.lower(), PromptRow.account_id == caller.account_id)
                .values(downvoted=True)
            )
        assert isinstance(marked, CursorResult)
        if not marked.rowcount:
            raise NotFound("There is no answer with this uuid.", param="uuid")

    # ------------------------------------------------------------ token exchanges

    async def logged_in(self, account_id: str, ip: str | None, succeeded: bool) -> None:
        """Note a token exchange. Raises nothing for a database that fails."""
        values = {"account_id": account_id, "at": self._now(), "ip": (ip or "")[:45], "succeeded": succeeded}
        try:
            async with self._database.write() as session:
                await _add(session, LoginRow, values)
        except OUTAGE as error:
            logger.warning("a token exchange could not be noted for its account: %s", error)

    async def logins(self, caller: Caller, limit: int = 5) -> Sequence[Login]:
        """The newest first."""
        query = select(LoginRow).where(LoginRow.account_id == caller.account_id)
        async with self._database.read() as session:
            rows = await session.scalars(query.order_by(LoginRow.id.desc()).limit(limit))
            return [Login(row.id, row.at, row.ip, row.succeeded) for row in rows]

    def _kept(self, text: str) -> str:
        return _storable(text[:LONGEST_TEXT]) if self._keep_prompts else ""


async def _add(session: AsyncSession, kind: type[Row], values: dict[str, object]) -> None:
    """Add a line to an account's log, and take out what is one too many. Nothing for who has no account."""
    account_id = values["account_id"]
    there = exists(select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == account_id))
    columns = kind.__table__.c
    line = select(*(literal(value, columns[name].type) for name, value in values.items())).where(there)
    await session.execute(insert(kind).from_select(list(values), line))
    oldest = (
        select(kind.id)
        .where(kind.account_id == account_id)
        .order_by(kind.id.desc())
        .offset(KEPT)
        .limit(1)
        .scalar_subquery()
    )
    await session.execute(delete(kind).where(kind.account_id == account_id, kind.id <= oldest))


def _storable(text: str) -> str:
    """Without zero bytes and lone surrogates, which PostgreSQL does not take."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
