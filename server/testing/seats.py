"""Fake accounts and keys in a real database, for what hangs on theirs."""

from collections.abc import Iterable
from datetime import UTC, datetime

from server.accounts.keys.identity import Account, ApiKey
from server.accounts.keys.repository import AccountRepository, KeyRepository
from server.core import Caller
from server.storage.database import Database

BORN = datetime(2026, 1, 1, tzinfo=UTC)


async def seat(database: Database, callers: Iterable[Caller]) -> None:
    """Enter the callers' accounts and keys where they are not there yet."""
    async with database.write() as session:
        accounts, keys = AccountRepository(session), KeyRepository(session)
        for caller in callers:
            if await accounts.find(caller.account_id) is None:
                number = await accounts.next_number()
                await accounts.add(Account(caller.account_id, caller.account_id, caller.metered, BORN, number=number))
            if await keys.get(caller.key_id) is None:
                record = ApiKey(
                    caller.key_id, caller.account_id, caller.key_id, "", caller.scopes, None, BORN, None, None, None
                )
                await keys.add(record, caller.key_id.encode())
