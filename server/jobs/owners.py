"""What accounts keep here, of which each may have so much."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.tables import AccountRow


async def one_by_one(session: AsyncSession, account_id: str) -> None:
    """Let units of work that add something to an account's come one after the other, so that each sees what those
    before it have added. SQLite has one writer at a time anyway."""
    await session.execute(select(AccountRow.id).where(AccountRow.id == account_id).with_for_update(key_share=True))
