"""The account of a server without keys (`SAGEHOLD_AUTH=off`), for what belongs to accounts: datasets, and documents."""

from server.accounts.keys.identity import Account
from server.accounts.keys.repository import AccountRepository
from server.storage.clock import utc_now
from server.storage.database import Database

NAME = "anyone"


async def ensure_anyone(database: Database, account_id: str) -> None:
    """Make it if it is not there. Whoever calls has it, and so have commands by `--account anyone`."""
    async with database.write() as session:
        accounts = AccountRepository(session)
        if await accounts.find(account_id) is None:
            taken = await accounts.find(NAME) is not None
            name = f"{NAME} {account_id}" if taken else NAME
            account = Account(
                account_id, name, metered=False, created_at=utc_now(), number=await accounts.next_number()
            )
            await accounts.add(account)
