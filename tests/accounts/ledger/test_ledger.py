"""The ledger, on SQLite and on PostgreSQL: exact, idempotent, never overspent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import OperationalError

from server.accounts.keys.service import Accounts
from server.accounts.ledger.instances import Instance, Process
from server.accounts.ledger.ledger import Ledger
from server.accounts.ledger.terms import Balance, Hold, Line, Settlement, Use
from server.accounts.reports.usage import By, Reports
from server.core import Caller, Usage
from server.errors import InsufficientCredits, InternalError, InvalidRequest, NotFound, Unavailable
from server.storage.clock import utc_now

if TYPE_CHECKING:
    from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio

Customer = Callable[[str], Awaitable[Caller]]
D = Decimal
NO_PROCESS = 2**31 - 1


@pytest.fixture
async def ledger(accounts: Accounts, clock: "Clock") -> AsyncIterator[Ledger]:
    opened = Ledger(accounts.database, clock, Instance(clock.by_database))
    await opened.start()
    yield opened
    assert await opened.discrepancies() == []
    await opened.aclose()


@pytest.fixture
def customer(accounts: Accounts, ledger: Ledger) -> Customer:
    """A caller whose metered account was granted so many credits."""

    async def create(granted: str) -> Caller:
        account = await accounts.create_account(f"customer {len(await accounts.list_accounts())}")
        if D(granted):
            await ledger.grant(account.id, D(granted), "for a test")
        caller = await accounts.authenticate((await accounts.create_key(account=account.id)).key)
        assert caller is not None
        assert caller.metered
        return caller

    return create


def use(prompt: int = 10, completion: int = 25, model: str = "gpt-4o") -> Use:
    return Use(model, "smollm2", "chat", Usage(prompt_tokens=prompt, completion_tokens=completion))


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
    assert (await ledger.grant(caller.account_id, D(-3), "correction")).available == 2
    with pytest.raises(InvalidRequest, match="balance would be -1"):
        await ledger.grant(caller.account_id, D(-3))
    for wrong in ("0", "NaN", "Infinity", "10000000000"):
        with pytest.raises(InvalidRequest):
            await ledger.grant(caller.account_id, D(wrong))
    with pytest.raises(NotFound):
        await ledger.grant("acct_0", D(1))
    with pytest.raises(NotFound):
        await ledger.balance("acct_0")


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


async def test_usage_by_key_model_and_day(
    accounts: Accounts, ledger: Ledger, customer: Customer, clock: "Clock"
) -> None:
    one, two = await customer("10"), await customer("10")
    for number, (caller, model) in enumerate([(one, "gpt-4o"), (one, "gpt-4o"), (one, "o3-mini"), (two, "gpt-4o")]):
        hold = await ledger.hold(caller, f"req_{number}", D(1))
        await ledger.settle(hold, [Line("pass", D("0.1"))], use(model=model))
        clock.forward(hours=8)
    reports = Reports(accounts.database)
    by_model = await reports.usage([By.MODEL])
    assert [(line.group[By.MODEL], line.requests, line.cost) for line in by_model] == [
        ("gpt-4o", 3, D("0.3")),
        ("o3-mini", 1, D("0.1")),
    ]
    by_day = await reports.usage([By.DAY], account_id=one.account_id)
    assert [(line.group[By.DAY], line.requests) for line in by_day] == [("2026-11-21", 2), ("2026-11-22", 1)]
    by_key = await reports.usage([By.KEY, By.MODEL], since=date(2026, 11, 22))
    assert {(line.group[By.KEY], line.group[By.MODEL]) for line in by_key} == {
        (one.key_id, "o3-mini"),
        (two.key_id, "gpt-4o"),
    }
    [everything] = await reports.usage()
    assert (everything.requests, everything.prompt_tokens, everything.completion_tokens) == (4, 40, 100)
    [nothing] = await reports.usage(until=date(2020, 1, 1))
    assert (nothing.requests, nothing.prompt_tokens, nothing.cost) == (0, 0, D(0))


async def test_media_are_counted_in_their_own_units(accounts: Accounts, ledger: Ledger, customer: Customer) -> None:
    caller = await customer("10")
    hold = await ledger.hold(caller, "req_1", D(1))
    spoken = Usage(audio_seconds=1.2345, characters=120, images=2)
    await ledger.settle(hold, [Line("pass", D("0.1"))], Use("tts-1", "piper", "speech", spoken))
    [line] = await Reports(accounts.database).usage([By.TASK, By.SERVED_BY])
    assert line.group == {By.TASK: "speech", By.SERVED_BY: "piper"}
    assert (line.audio_seconds, line.characters, line.images) == (1.234, 120, 2)


async def test_every_act_of_administration_is_in_the_audit_log(accounts: Accounts, ledger: Ledger) -> None:
    account = await accounts.create_account("team", actor="key_admin")
    new = await accounts.create_key(account="team", name="laptop", scopes={"usage", "inference"})
    await ledger.grant(account.id, D("2.50"), "welcome", actor="key_admin")
    await accounts.revoke_key(new.record.id)
    reports = Reports(accounts.database)
    acts = await reports.acts()
    assert [(act.actor, act.action, act.target) for act in acts] == [
        ("local", "key.revoke", new.record.id),
        ("key_admin", "credits.grant", account.id),
        ("local", "key.create", new.record.id),
        ("key_admin", "account.create", account.id),
    ]
    assert acts[1].details["credits"] == "2.5"
    assert acts[1].details["note"] == "welcome"
    assert acts[2].details == {"account": account.id, "name": "laptop", "scopes": ["inference", "usage"]}
    assert [act.action for act in await reports.acts(limit=1, before=acts[0].id)] == ["credits.grant"]
    assert new.key not in str(acts)


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
