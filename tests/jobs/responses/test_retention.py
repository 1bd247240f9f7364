"""What has expired goes, then what closed accounts own, and the oldest of what is too much; nothing else."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select, update

from server.accounts.tables import AccountRow
from server.errors import NotFound
from server.jobs.responses import retention
from server.jobs.responses.responses import Responses
from server.jobs.tables import ConversationItemRow, ConversationRow, ResponseRow
from server.storage.database import Database
from tests.accounts.conftest import Clock
from tests.jobs.conftest import OTHER, OWNER
from tests.jobs.responses.conftest import Make, message, turn

pytestmark = pytest.mark.anyio
ME = OWNER.account_id


async def _ids(database: Database) -> set[str]:
    async with database.read() as session:
        return set(await session.scalars(select(ResponseRow.id))) | set(
            await session.scalars(select(ConversationRow.id))
        )


async def test_the_sweep_deletes_what_has_expired(
    make: Make, clock: Clock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PIECE", 2)
    responses = make(response_ttl=100)
    for _ in range(5):
        await responses.store.keep(turn(ME, "q", "a"))
    await responses.conversations.create(ME, {}, [message("old")])
    clock.forward(seconds=50)
    young = turn(ME, "q", "a")
    await responses.store.keep(young)
    talk = await responses.conversations.create(ME, {}, [message("young")])
    clock.forward(seconds=51)
    await responses.retention.sweep()
    assert await _ids(database) == {young.id, talk.id}
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(ConversationItemRow)) == 1


async def test_what_is_worked_on_does_not_expire(make: Make, clock: Clock, database: Database) -> None:
    responses = make(response_ttl=10)
    begun = turn(ME, "q", status="queued", background=True)
    await responses.store.keep(begun, instance_id="rsp_here")
    clock.forward(seconds=11)
    await responses.retention.sweep()
    assert (await responses.store.find(ME, begun.id)).status == "queued"


async def test_the_sweep_deletes_what_closed_accounts_own(
    responses: Responses, clock: Clock, database: Database
) -> None:
    mine, theirs = turn(ME, "q", "a"), turn(OTHER.account_id, "q", "a")
    for each in (mine, theirs):
        await responses.store.keep(each)
    await responses.conversations.create(ME, {})
    async with database.write() as session:
        await session.execute(update(AccountRow).where(AccountRow.id == ME).values(closed_at=clock()))
    await responses.retention.sweep()
    assert await _ids(database) == {theirs.id}


async def _sizes(database: Database) -> int:
    async with database.read() as session:
        return int(await session.scalar(select(func.sum(ResponseRow.size))) or 0)


async def _keep(responses: Responses, clock: Clock, count: int) -> Sequence[str]:
    ids = []
    for _ in range(count):
        clock.forward(seconds=1)
        kept = turn(ME, "q", "a" * 1000)
        await responses.store.keep(kept)
        ids.append(kept.id)
    return ids


async def test_the_oldest_go_when_there_is_too_much(make: Make, clock: Clock, database: Database) -> None:
    responses = make(max_account_responses=8000)
    theirs = turn(OTHER.account_id, "q", "a")
    await responses.store.keep(theirs)
    talk = await responses.conversations.create(ME, {})
    ids = await _keep(responses, clock, 6)
    left = await _ids(database)
    assert theirs.id in left, "another account's"
    assert talk.id not in left
    assert [each in left for each in ids] == [False, False, True, True, True, True]
    with pytest.raises(NotFound):
        await responses.store.find(ME, ids[0])


async def test_a_full_account_is_not_counted_with_every_response(
    make: Make, clock: Clock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SPARE", 0.5)
    responses = make(max_account_responses=20_000)
    counted = 0
    trim = responses.retention._trim

    async def counting(*arguments: Any) -> int:
        nonlocal counted
        counted += 1
        return await trim(*arguments)

    monkeypatch.setattr(responses.retention, "_trim", counting)
    await _keep(responses, clock, 30)
    assert counted <= 6
    assert await _sizes(database) <= 20_000


async def test_what_was_just_gone_on_from_is_not_the_oldest(make: Make, clock: Clock) -> None:
    responses = make(max_account_responses=8000)
    first, *_, last = await _keep(responses, clock, 4)
    clock.forward(days=1)
    history = await responses.chain.history(ME, first)
    await responses.store.keep(turn(ME, "on", "a" * 1000, previous_id=first), history.numbers)
    await _keep(responses, clock, 1)
    await responses.store.find(ME, first)
    await responses.store.find(ME, last)


async def test_many_who_write_at_once_stay_within_the_bound(make: Make, database: Database) -> None:
    processes = [make(max_account_responses=8000), make(max_account_responses=8000)]
    await asyncio.gather(*(processes[place % 2].store.keep(turn(ME, "q", "a" * 1000)) for place in range(20)))
    await processes[0].retention.sweep()
    assert 4000 < await _sizes(database) <= 8000


async def test_a_smaller_bound_holds_from_the_next_sweep_on(make: Make, clock: Clock, database: Database) -> None:
    ids = await _keep(make(), clock, 5)
    await make(max_account_responses=4000).retention.sweep()
    assert await _ids(database) == set(ids[-2:])


async def test_small_ones_are_not_added_up_again_for_each_that_comes(
    make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses = make(max_account_responses=200 * 600)
    trims = 0
    trim = responses.retention._trim

    async def counted(*of: Any) -> int:
        nonlocal trims
        trims += 1
        return await trim(*of)

    monkeypatch.setattr(responses.retention, "_trim", counted)
    for _ in range(260):
        clock.forward(seconds=1)
        await responses.conversations.create(ME, {})
    assert 2 <= trims <= 20
