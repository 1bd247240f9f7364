"""Which batches are forgotten: those that ended, of closed accounts, and an account's oldest; none that goes on."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from server.accounts.tables import AccountRow
from server.jobs.batches import retention
from server.jobs.tables import BatchRow
from tests.jobs.batches.installation import ADA, BEGIN, BOB, Installation

pytestmark = pytest.mark.anyio


async def _left(installation: Installation) -> set[str]:
    async with installation.database.read() as session:
        return set(await session.scalars(select(BatchRow.id)))


async def test_the_oldest_that_ended_go(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MOST_KEPT", 2)
    monkeypatch.setattr(retention, "PIECE", 1)
    process = await installation.process()
    theirs = await installation.made(process, 1, BOB)
    ended = [await installation.made(process, 1) for _ in range(5)]
    await process.work_off()
    installation.executor.says = {}
    waiting = await installation.made(process, 1)
    await process.background.sweep()
    assert await _left(installation) == {theirs.id, waiting.id, *(batch.id for batch in ended[3:])}
    assert (await installation.files.page(ADA.account_id, purpose="batch_output"))[4:], "their files stay"


async def test_those_of_closed_accounts_go_once_they_have_ended(installation: Installation) -> None:
    process = await installation.process()
    ended, theirs = await installation.made(process, 1), await installation.made(process, 1, BOB)
    await process.work_off()
    waiting = await installation.made(process, 1)
    async with installation.database.write() as session:
        closing = update(AccountRow).where(AccountRow.id == ADA.account_id)
        await session.execute(closing.values(closed_at=BEGIN + timedelta(minutes=1)))
    await process.background.sweep()
    assert await _left(installation) == {theirs.id, waiting.id}
    assert ended.id not in await _left(installation)
