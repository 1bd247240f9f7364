"""What an operator sees and does of everybody's files: never what is in them. Each deletion stands in the audit log."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.audit import AuditLog
from server.accounts.tables import AccountRow
from server.jobs.files.records import StoredFile
from server.jobs.files.store import Files


class FileOversight:
    """By ids, whoever the owner is. Raises NotFound."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def page(
        self, account_id: str | None = None, *, after: str | None, limit: int, purpose: str | None
    ) -> Sequence[tuple[StoredFile, str]]:
        """Files, the newest first, each with its account's name; of one account only, where it is given."""
        found = await self._files.page(account_id, after=after, limit=limit, purpose=purpose)
        names = await self._names({one.account_id for one in found})
        return [(one, names[one.account_id]) for one in found]

    async def delete(self, file_id: str, *, actor: str) -> None:
        """actor: the key that acts."""

        async def note(session: AsyncSession, file: StoredFile) -> None:
            details = {"account": file.account_id, "filename": file.filename, "purpose": file.purpose}
            await AuditLog(session).add(self._files.now(), actor, "file.delete", file.id, details)

        await self._files.delete(None, file_id, note)

    async def _names(self, account_ids: set[str]) -> Mapping[str, str]:
        query = select(AccountRow.id, AccountRow.name).where(AccountRow.id.in_(account_ids))
        async with self._files.database.read() as session:
            return {row.id: row.name for row in await session.execute(query)}
