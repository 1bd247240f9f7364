"""A server that is killed in the middle of its requests, and the one that starts after it."""

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.keys.service import Accounts
from server.accounts.ledger.instances import Instance
from server.accounts.ledger.ledger import Ledger
from server.accounts.ledger.terms import Balance
from server.settings import Settings
from server.storage.clock import database_time

pytestmark = pytest.mark.anyio

# Settles two of its requests, has three in flight, and hammers on with more until it is killed.
VICTIM = """
import asyncio, sys
from decimal import Decimal
from pathlib import Path
from server.accounts.ledger.ledger import Ledger
from server.accounts.ledger.terms import Line
from server.accounts.keys.service import Accounts
from server.settings import Settings

async def main():
    async with await Accounts.open(Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[2])) as accounts:
        ledger = Ledger(accounts.database)
        await ledger.start()
        caller = await accounts.authenticate(sys.argv[3])
        holds = [await ledger.hold(caller, f"req_{n}", Decimal(1)) for n in range(5)]
        for hold in holds[:2]:
            await ledger.settle(hold, [Line("pass", Decimal("0.25"))])
        print("working", flush=True)
        for n in range(10**6):
            await ledger.release(await ledger.hold(caller, f"more_{n}", Decimal(1)))

asyncio.run(main())
"""


async def in_two_minutes(session: AsyncSession) -> datetime:
    """As if the survivor came when the victim had been silent for so long."""
    return await database_time(session) + timedelta(minutes=2)


async def test_a_killed_server_leaves_an_exact_ledger(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    settings = make_settings()
    async with await Accounts.open(settings) as accounts:
        ledger = Ledger(accounts.database, instance=Instance(in_two_minutes))
        account = await accounts.create_account("team")
        await ledger.grant(account.id, Decimal(20))
        key = (await accounts.create_key(account="team")).key
        command = [sys.executable, "-c", VICTIM, str(settings.data_dir), settings.database, key]
        victim = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert victim.stdout is not None
        assert victim.stdout.readline() == "working\n"
        victim.kill()
        victim.communicate()
        assert (await ledger.balance(account.id)).held >= 3
        assert await ledger.start() in (3, 4)
        assert await ledger.balance(account.id) == Balance(Decimal("19.5"), Decimal(0), metered=True)
        assert sum([entry.amount async for entry in ledger.entries(account.id)]) == Decimal("19.5")
        assert await ledger.discrepancies() == []
        await ledger.aclose()
