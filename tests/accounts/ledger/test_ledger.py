"""The ledger, on SQLite and on PostgreSQL: exact, idempotent, never overspent."""

import asyncio
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.keys.service import Accounts
from server.accounts.ledger.ledger import Ledger
from server.accounts.ledger.terms import Balance, GrantOutcome, GrantStep, Hold, Line, Settlement
from server.accounts.reports.usage import Reports
from server.errors import InsufficientCredits, InternalError, InvalidRequest, NotFound, Unavailable
from tests.accounts.ledger.customers import Customer, D, use

if TYPE_CHECKING:
    from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio


async def lines_of(ledger: Ledger, account_id: str) -> list[tuple[str, str, Decimal]]:
    return [(entry.reference, entry.kind, entry.amount) async for entry in ledger.entries(account_id)]


async def test_a_request_is_held_then_charged_what_it_used(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("1")
    hold = await ledger.hold(caller, "req_1", D("0.5"))
    assert await ledger.balance(caller.account_id) == Balance(D("0.5"), D("0.5"), metered=True)
    assert (await ledger.balance(caller.account_id)).balance == 1
    # 35 tokens at 0.0004 credits
    assert await ledger.settle(hold, [Line("draft", D("0.0004") * 35)], use()) == Settlement(D("0.014"), D("0.014"))
    assert await ledger.balance(caller.account_id) == Balance(D("0.986"), D(0), metered=True)
    assert (await lines_of(ledger, caller.account_id))[1:] == [
        ("req_1", "hold", D("-0.5")),
        ("req_1", "release", D("0.5")),
        ("req_1", "charge", D("-0.014")),
    ]


async def test_who_could_not_pay_at_all_is_refused_without_a_hold(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("1")
    await ledger.demand(caller, D(1))
    with pytest.raises(InsufficientCredits, match=r"may cost 1\.1 credits, but 1 are left"):
        await ledger.demand(caller, D("1.1"))
    hold = await ledger.hold(caller, "req_1", D("0.7"))
    with pytest.raises(InsufficientCredits):
        await ledger.demand(caller, D("0.5"))  # what is held is not available
    await ledger.release(hold)
    await ledger.demand(caller, D("0.5"))
    assert [kind for _, kind, _ in await lines_of(ledger, caller.account_id)] == ["grant", "hold", "release"]


async def test_a_grant_by_another_process_counts_at_once(
    ledger: Ledger, accounts: Accounts, customer: Customer
) -> None:
    caller = await customer("1")
    with pytest.raises(InsufficientCredits):
        await ledger.demand(caller, D(2))
    await Ledger(accounts.database).grant(caller.account_id, D(1))
    await ledger.demand(caller, D(2))


async def test_work_in_passes_is_one_hold_with_a_line_for_each(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("1")
    hold = await ledger.hold(caller, "req_1", D("0.3"))
    settled = await ledger.settle(
        hold, [Line("drafts", D("0.1")), Line("critique", D("0.02")), Line("final", D("0.03"))]
    )
    assert settled.charged == D("0.15")
    charges = [entry async for entry in ledger.entries(caller.account_id) if entry.kind == "charge"]
    assert [(entry.line, entry.note, entry.amount) for entry in charges] == [
        (0, "drafts", D("-0.1")),
        (1, "critique", D("-0.02")),
        (2, "final", D("-0.03")),
    ]


async def test_every_step_counts_once(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("1")
    hold = await ledger.hold(caller, "req_1", D("0.5"))
    assert await ledger.hold(caller, "req_1", D("0.5")) == hold
    first = await ledger.settle(hold, [Line("pass", D("0.2"))], use())
    again = await asyncio.gather(*(ledger.settle(hold, [Line("pass", D("0.2"))], use()) for _ in range(5)))
    assert again == [first] * 5
    await ledger.release(hold)
    assert await ledger.balance(caller.account_id) == Balance(D("0.8"), D(0), metered=True)
    for _ in range(2):
        await ledger.grant(caller.account_id, D(1), reference="invoice 7")
    assert (await ledger.balance(caller.account_id)).available == D("1.8")


async def test_of_grants_of_one_reference_in_one_batch_the_first_counts(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("5")
    steps = [GrantStep("set 1", caller.account_id, D(amount), "", "admin") for amount in (-4, -2, -4)]
    first, other, again = await ledger._post(steps)
    assert (first, again) == (GrantOutcome(already=False), GrantOutcome(already=True))
    assert isinstance(other, InvalidRequest)
    assert other.param == "reference"
    assert (await ledger.balance(caller.account_id)).balance == 1


async def test_a_reference_whose_hold_is_closed_can_not_be_held_again(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("1")
    await ledger.release(await ledger.hold(caller, "req_1", D("0.5")))
    others = [ledger.hold(caller, f"req_other_{number}", D("0.1")) for number in range(3)]
    again, *held = await asyncio.gather(ledger.hold(caller, "req_1", D("0.5")), *others, return_exceptions=True)
    assert isinstance(again, Exception)
    assert not isinstance(again, InsufficientCredits)
    # the one bad step of a shared transaction did not take the others with it
    assert all(isinstance(hold, Hold) for hold in held)
    assert await ledger.balance(caller.account_id) == Balance(D("0.7"), D("0.3"), metered=True)


async def test_a_reference_belongs_to_the_account_that_held_under_it(ledger: Ledger, customer: Customer) -> None:
    """A request's id is its reference. Were two alike, one account would be given back what another had set aside."""
    one, two = await customer("1"), await customer("1")
    hold = await ledger.hold(one, "req_1", D("0.5"))
    with pytest.raises(InternalError):
        await ledger.hold(two, "req_1", D("0.5"))
    assert (await ledger.balance(two.account_id)).available == 1
    await ledger.release(hold)
    assert (await ledger.balance(one.account_id)).available == 1


async def test_a_reference_of_any_form_will_do(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("1")
    for reference in ("req_" + "0123456789abcdef" * 2, "é", "x" * 64):
        await ledger.settle(await ledger.hold(caller, reference, D("0.5")), [Line("pass", D("0.1"))], use())
    references = [reference for reference, kind, _ in await lines_of(ledger, caller.account_id) if kind == "charge"]
    assert references == ["req_" + "0123456789abcdef" * 2, "é", "x" * 64]


async def test_a_released_hold_costs_nothing_even_if_it_is_settled_later(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("1")
    hold = await ledger.hold(caller, "req_1", D("0.5"))
    await ledger.release(hold)
    await ledger.release(hold)
    assert await ledger.settle(hold, [Line("pass", D("0.2"))]) == Settlement(D("0.2"), D(0))
    assert await ledger.balance(caller.account_id) == Balance(D(1), D(0), metered=True)


async def test_what_does_not_fit_is_refused_with_cost_and_balance(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("0.01")
    with pytest.raises(InsufficientCredits) as refusal:
        await ledger.hold(caller, "req_1", D("0.0104"))
    assert refusal.value.message == "This request may cost 0.0104 credits, but 0.01 are left."
    assert refusal.value.headers == {"x-should-retry": "false"}
    assert len(await lines_of(ledger, caller.account_id)) == 1
    assert (await ledger.hold(caller, "req_2", D("0.01"))).amount == D("0.01")


async def test_a_hold_may_be_bounded_by_what_there_is(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("0.3")
    assert (await ledger.hold(caller, "req_1", D(100), least=D("0.1"))).amount == D("0.3")
    with pytest.raises(InsufficientCredits, match=r"may cost 0\.1 credits, but 0 are left"):
        await ledger.hold(caller, "req_2", D(100), least=D("0.1"))


async def test_no_more_than_the_hold_is_ever_charged(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("1")
    hold = await ledger.hold(caller, "req_1", D("0.5"))
    settled = await ledger.settle(hold, [Line("one", D("0.4")), Line("two", D("0.4"))])
    assert settled == Settlement(D("0.8"), D("0.5"))
    assert (await ledger.balance(caller.account_id)).available == D("0.5")


async def test_amounts_have_nine_places_and_are_exact(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("0.000000003")
    assert (await ledger.hold(caller, "req_1", D("0.0000000011"))).amount == D("0.000000002")
    with pytest.raises(InvalidRequest):
        await ledger.grant(caller.account_id, D("0.0000000001"))
    for number in range(10):
        await ledger.grant(caller.account_id, D("0.1"), reference=f"grant {number}")
    assert (await ledger.balance(caller.account_id)).balance == D("1.000000003")
    hold = await ledger.hold(caller, "req_2", D("0.5"))
    # half to even: 0.0000000025 is 2 nano-credits, 0.0000000035 is 4
    settled = await ledger.settle(hold, [Line("a", D("0.0000000025")), Line("b", D("0.0000000035"))])
    assert settled.charged == D("0.000000006")


async def test_parallel_requests_can_not_overspend(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("20")
    attempts = await asyncio.gather(
        *(ledger.hold(caller, f"req_{number}", D(1)) for number in range(500)), return_exceptions=True
    )
    held = [attempt for attempt in attempts if isinstance(attempt, Hold)]
    assert len(held) == 20
    assert all(isinstance(attempt, Hold | InsufficientCredits) for attempt in attempts)
    assert await ledger.balance(caller.account_id) == Balance(D(0), D(20), metered=True)
    await asyncio.gather(*(ledger.settle(hold, [Line("pass", D("0.75"))], use()) for hold in held))
    assert await ledger.balance(caller.account_id) == Balance(D(5), D(0), metered=True)
    assert sum(amount for _, _, amount in await lines_of(ledger, caller.account_id)) == 5


async def test_servers_that_share_a_database_can_not_overspend_together(
    accounts: Accounts, ledger: Ledger, customer: Customer, clock: "Clock"
) -> None:
    caller = await customer("20")
    others = [Ledger(accounts.database, now=clock) for _ in range(3)]
    attempts = await asyncio.gather(
        *(one.hold(caller, f"req_{number}", D(1)) for number, one in enumerate([ledger, *others] * 50)),
        return_exceptions=True,
    )
    assert sum(isinstance(attempt, Hold) for attempt in attempts) == 20
    assert (await ledger.balance(caller.account_id)).available == 0
    for other in others:
        await other.aclose()


async def test_a_request_that_goes_while_it_waits_gets_its_hold_back(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("1")
    waiting = [asyncio.create_task(ledger.hold(caller, f"req_{number}", D("0.1"))) for number in range(5)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await ledger.aclose()
    assert await ledger.balance(caller.account_id) == Balance(D(1), D(0), metered=True)


async def test_who_is_ended_while_it_pays_has_paid_by_then(
    accounts: Accounts, ledger: Ledger, customer: Customer
) -> None:
    """A line of a batch may be run again by another process at once, and must not be paid a second time."""
    caller = await customer("1")
    hold = await ledger.hold(caller, "batch_1-7", D("0.5"))
    paying = asyncio.create_task(ledger.settle(hold, [Line("pass", D("0.25"))], use()))
    await asyncio.sleep(0)
    paying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await paying
    assert await ledger.settled("batch_1-") == {7}
    assert await ledger.balance(caller.account_id) == Balance(D("0.75"), D(0), metered=True)


async def test_who_is_not_metered_is_never_asked_but_counted(
    accounts: Accounts, ledger: Ledger, clock: "Clock"
) -> None:
    caller = await accounts.authenticate((await accounts.create_key()).key)
    assert caller is not None
    hold = await ledger.hold(caller, "req_1", D(1000))
    for _ in range(2):
        assert await ledger.settle(hold, [Line("pass", D("0.35"))], use()) == Settlement(D("0.35"), D(0))
    await ledger.release(hold)
    assert await lines_of(ledger, caller.account_id) == []
    assert (await ledger.balance(caller.account_id)).metered is False
    [line] = await Reports(accounts.database).usage(key_id=caller.key_id)
    assert (line.requests, line.prompt_tokens, line.completion_tokens, line.cost) == (1, 10, 25, D("0.35"))


async def test_credits_can_be_taken_back_but_not_below_zero(ledger: Ledger, customer: Customer) -> None:
    caller = await customer("5")
    assert (await ledger.grant(caller.account_id, D(-3), "correction")).balance.available == 2
    with pytest.raises(InvalidRequest, match="balance would be -1"):
        await ledger.grant(caller.account_id, D(-3))
    for wrong in ("0", "NaN", "Infinity", "10000000000"):
        with pytest.raises(InvalidRequest):
            await ledger.grant(caller.account_id, D(wrong))
    with pytest.raises(NotFound):
        await ledger.grant("acct_0", D(1))
    with pytest.raises(NotFound):
        await ledger.balance("acct_0")


async def test_a_database_that_can_not_write_is_an_outage(
    accounts: Accounts, ledger: Ledger, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await customer("10")

    async def full(_: object) -> None:
        raise OperationalError("insert", None, Exception("database or disk is full"))

    with monkeypatch.context() as broken:
        broken.setattr(accounts.database, "run", full)
        with pytest.raises(Unavailable, match="can't be written") as raised:
            await ledger.hold(caller, "one", D("1"))
    assert "disk" not in raised.value.message
    assert (await ledger.hold(caller, "two", D("10"))).amount == 10


async def test_a_balance_that_can_not_be_read_is_an_outage(
    accounts: Accounts, ledger: Ledger, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await customer("10")

    def gone(within: float | None = None) -> AbstractAsyncContextManager[AsyncSession]:
        raise OperationalError("select", None, Exception("server closed the connection"))

    with monkeypatch.context() as broken:
        broken.setattr(accounts.database, "read", gone)
        with pytest.raises(Unavailable, match="can't be read") as raised:
            await Ledger(accounts.database).demand(caller, D("1"))
    assert "connection" not in raised.value.message
    await ledger.demand(caller, D("1"))


@pytest.mark.parametrize("failure", [OperationalError("insert", None, Exception("locked")), ConnectionRefusedError()])
async def test_a_bill_waits_for_a_database_that_is_down(
    accounts: Accounts, ledger: Ledger, customer: Customer, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    caller = await customer("10")
    holds = [await ledger.hold(caller, name, D("2")) for name in ("one", "two", "three")]
    tries = 0

    async def down(_: object) -> None:
        nonlocal tries
        tries += 1
        raise failure

    with monkeypatch.context() as broken:
        broken.setattr(accounts.database, "run", down)
        closing = [ledger.settle(hold, [Line("pass", D("0.5"))]) for hold in holds[:2]] + [ledger.release(holds[2])]
        outcomes = await asyncio.gather(*closing, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == 3 * [Unavailable]
        assert tries == 1  # an outage concerns all: each for itself would only wait as long again
        await ledger.beat()
    assert (await ledger.balance(caller.account_id)).held == 6
    await ledger.aclose()  # the last chance
    assert await ledger.balance(caller.account_id) == Balance(D("9"), D("0"), metered=True)


async def test_the_settled_parts_of_a_piece_of_work_are_known_by_their_numbers(
    ledger: Ledger, customer: Customer, accounts: Accounts
) -> None:
    caller = await customer("10")
    others = ("batch_1f-12x", "batch_1f", "batch_1f2-5", "batch_1e-6", "batch_20-7", "batch_1f-", "batch-1f-8", "req_1")
    for reference in ("batch_1f-0", "batch_1f-7.2.1", "batch_1f-49999.12.3", "batch_1f-12", *others):
        await ledger.settle(await ledger.hold(caller, reference, D("0.5")), [Line("pass", D("0.25"))], use())
    await ledger.settle(await ledger.hold(caller, "batch_1f-12.3.1", D("0.5")), [Line("pass", D("0.125"))], use())
    await ledger.release(await ledger.hold(caller, "batch_1f-3", D("0.5")))  # it failed
    await ledger.hold(caller, "batch_1f-4", D("0.5"))  # the server died while it was at work
    assert await ledger.settled("batch_1f-") == {0, 7, 12, 49999}
    assert [await ledger.cost(f"batch_1f-{part}") for part in (12, 7, 3, 1)] == [D("0.375"), D("0.25"), 0, 0]
    free = await accounts.authenticate((await accounts.create_key()).key)
    assert free is not None
    await ledger.settle(await ledger.hold(free, "batch_2f-1", D(1)), [Line("pass", D("0.25"))], use())
    assert await ledger.settled("batch_2f-") == {1}, "whoever pays nothing is not noted twice either"


async def test_settled_parts_are_found_by_the_index(accounts: Accounts) -> None:
    where = "SELECT reference FROM usage_records WHERE reference >= 'batch_1f-' AND reference < 'batch_1f-z'"
    async with accounts.database.read() as session:
        if session.get_bind().dialect.name == "sqlite":
            plan = (await session.execute(text(f"EXPLAIN QUERY PLAN {where}"))).all()
        else:
            await session.execute(text("SET LOCAL enable_seqscan = off"))  # it may prefer to scan an empty table
            plan = (await session.execute(text(f"EXPLAIN {where}"))).all()
    assert any("INDEX" in str(row).upper() and "reference" in str(row) for row in plan), plan
