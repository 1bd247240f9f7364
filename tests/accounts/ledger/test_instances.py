"""Which servers are at work, and what becomes of the holds of one that is not."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from server.accounts.keys.service import Accounts
from server.accounts.ledger.instances import Instance, Process
from server.accounts.ledger.ledger import Ledger
from server.accounts.ledger.terms import Balance, Line
from server.storage.clock import utc_now
from tests.accounts.ledger.customers import Customer, D

if TYPE_CHECKING:
    from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio

NO_PROCESS = 2**31 - 1


async def test_the_holds_of_a_server_that_died_are_given_back_at_the_next_start(
    accounts: Accounts, ledger: Ledger, customer: Customer, clock: "Clock"
) -> None:
    caller = await customer("1")
    dead = Ledger(accounts.database, clock, Instance(clock.by_database))
    await dead.reconcile()
    lost = await dead.hold(caller, "req_lost", D("0.4"))
    kept = await ledger.hold(caller, "req_kept", D("0.1"))
    clock.forward(seconds=60)
    await ledger.reconcile()
    clock.forward(seconds=30)
    fresh = Ledger(accounts.database, clock, Instance(clock.by_database))
    assert await fresh.start() == 1
    assert await ledger.balance(caller.account_id) == Balance(D("0.9"), D("0.1"), metered=True)
    assert await fresh.reconcile() == 0
    # one that was wrongly taken for dead can't charge what was given back
    assert (await dead.settle(lost, [Line("pass", D("0.4"))])).charged == 0
    assert (await ledger.settle(kept, [Line("pass", D("0.1"))])).charged == D("0.1")
    await fresh.aclose()
    await dead.aclose()


async def test_a_server_on_another_host_is_dead_after_a_long_silence(
    accounts: Accounts, ledger: Ledger, customer: Customer, clock: "Clock"
) -> None:
    caller = await customer("1")
    far = Ledger(accounts.database, clock, Instance(clock.by_database, Process("elsewhere", 1, 0.0)))
    await far.reconcile()
    await far.hold(caller, "req_far", D("0.4"))
    clock.forward(seconds=89)
    assert await ledger.reconcile() == 0
    clock.forward(seconds=1)
    assert await ledger.reconcile() == 1
    assert (await ledger.balance(caller.account_id)).held == 0
    await far.aclose()


async def test_a_neighbour_with_the_same_host_name_and_no_process_here_keeps_its_holds(
    accounts: Accounts, ledger: Ledger, customer: Customer, clock: "Clock"
) -> None:
    """Two containers on host networking: the number of a process in one means nothing in the other."""
    caller = await customer("1")
    elsewhere = Process(Process.current().host, NO_PROCESS, 0.0)
    beside = Ledger(accounts.database, clock, Instance(clock.by_database, elsewhere))
    await beside.start()
    hold = await beside.hold(caller, "req_1", D("0.4"))
    assert await ledger.reconcile() == 0
    assert (await beside.settle(hold, [Line("pass", D("0.3"))])).charged == D("0.3")
    await beside.aclose()


async def test_servers_whose_clocks_differ_agree_on_who_is_at_work(accounts: Accounts, customer: Customer) -> None:
    caller = await customer("1")
    late = Ledger(accounts.database, lambda: utc_now() - timedelta(hours=1))
    early = Ledger(accounts.database, lambda: utc_now() + timedelta(hours=1))
    for one in (late, early):
        await one.start()
        await one.hold(caller, f"req_{id(one)}", D("0.1"))
    assert [await one.reconcile() for one in (early, late)] == [0, 0]
    assert (await late.balance(caller.account_id)).held == D("0.2")
    for one in (late, early):
        await one.aclose()


async def test_a_server_that_was_silent_for_too_long_joins_again(
    accounts: Accounts, ledger: Ledger, customer: Customer, clock: "Clock"
) -> None:
    caller = await customer("1")
    slow = Ledger(accounts.database, clock, Instance(clock.by_database))
    await slow.reconcile()
    lost = await slow.hold(caller, "req_1", D("0.4"))
    clock.forward(seconds=90)
    assert await ledger.reconcile() == 1
    assert await slow.reconcile() == 0
    assert (await slow.settle(lost, [Line("pass", D("0.4"))])).charged == 0
    hold = await slow.hold(caller, "req_2", D("0.4"))
    assert await ledger.reconcile() == 0
    assert (await slow.settle(hold, [Line("pass", D("0.4"))])).charged == D("0.4")
    await slow.aclose()
