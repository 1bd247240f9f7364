"""Administration as a whole: accounts with their first credits, changes, reports with names."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal

import pytest

from server.accounts.administration import Administration
from server.accounts.keys.service import Accounts
from server.accounts.ledger.ledger import Ledger
from server.accounts.ledger.terms import Line, Use
from server.accounts.reports.usage import By, Reports
from server.core import Limits, Usage
from server.errors import InvalidRequest, NotFound

pytestmark = pytest.mark.anyio


@pytest.fixture
async def administration(accounts: Accounts) -> AsyncIterator[Administration]:
    ledger = Ledger(accounts.database)
    yield Administration(accounts, ledger, Reports(accounts.database))
    await ledger.aclose()


@pytest.mark.parametrize("amount", ["-1", "1E-10", "NaN", "Infinity", "1000000001"])
async def test_an_account_that_begins_wrongly_does_not_begin(administration: Administration, amount: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await administration.create_account("team", credits=Decimal(amount))
    assert refused.value.param == "credits"
    assert await administration.accounts.list_accounts() == []


async def test_an_account_may_begin_with_nothing(administration: Administration) -> None:
    account, balance = await administration.create_account("team", credits=Decimal("0.00"))
    assert (balance.balance, account.metered) == (0, True)
    assert [entry async for entry in administration.ledger.entries(account.id)] == []


async def test_balances_of_all_accounts_are_those_of_each(administration: Administration) -> None:
    rich, _ = await administration.create_account("rich", credits=Decimal("12.5"))
    poor, nothing = await administration.create_account("poor")
    assert nothing.balance == 0
    key = (await administration.accounts.create_key(account=rich.id)).key
    caller = await administration.accounts.authenticate(key)
    assert caller is not None
    await administration.ledger.hold(caller, "req_1", Decimal(2))
    balances = await administration.ledger.balances()
    assert balances == {rich.id: await administration.ledger.balance(rich.id), poor.id: nothing}
    assert (balances[rich.id].available, balances[rich.id].held) == (Decimal("10.5"), Decimal(2))
    assert balances[rich.id].balance == Decimal("12.5")


async def test_a_reference_belongs_to_one_grant(administration: Administration) -> None:
    one, _ = await administration.create_account("one")
    two, _ = await administration.create_account("two")
    for _ in range(2):
        assert (await administration.ledger.grant(one.id, Decimal(5), reference="invoice-7")).balance.balance == 5
    for account, amount in ((two, Decimal(5)), (one, Decimal(6))):
        with pytest.raises(InvalidRequest) as refused:
            await administration.ledger.grant(account.id, amount, reference="invoice-7")
        assert refused.value.param == "reference"
    assert (await administration.ledger.balance(two.id)).balance == 0
    assert len(await administration.reports.acts()) == 3  # two accounts, one grant


async def test_entries_go_on_after_the_last_one_known(administration: Administration) -> None:
    account, _ = await administration.create_account("team", credits=Decimal(1))
    await administration.ledger.grant(account.id, Decimal(2), "more")
    rows = [row async for row in administration.entries()]
    assert [(row["amount"], row["note"]) for row in rows] == [(1, "first credits"), (2, "more")]
    assert [row async for row in administration.entries(account.id, after=rows[0]["id"])] == rows[1:]


async def test_a_change_touches_only_what_it_names(administration: Administration) -> None:
    account, _ = await administration.create_account(
        "team", limits=Limits(requests_per_minute=5, tokens_per_minute=100)
    )
    key = (await administration.accounts.create_key(account=account.id)).key
    await administration.accounts.authenticate(key)  # remembered from now on
    changed = await administration.accounts.change_account(
        "team", limits={"tokens_per_minute": None, "concurrent_requests": 2}
    )
    assert changed.limits == Limits(requests_per_minute=5, concurrent_requests=2)
    assert changed.metered
    caller = await administration.accounts.authenticate(key)
    assert caller is not None
    assert caller.account_limits == changed.limits
    assert not (await administration.accounts.change_account("team", metered=False)).metered
    assert await administration.accounts.find_account("team") == await administration.accounts.change_account("team")
    acts = [act.action for act in await administration.reports.acts()]
    assert acts.count("account.change") == 2  # not the one that changed nothing
    with pytest.raises(NotFound):
        await administration.accounts.change_account("nobody", metered=True)
    with pytest.raises(InvalidRequest):
        await administration.accounts.change_account("team", limits={"requests_per_minute": -1})


async def test_usage_tells_names_beside_ids(administration: Administration) -> None:
    account, _ = await administration.create_account("team", credits=Decimal(10))
    new = await administration.accounts.create_key(account=account.id, name="laptop")
    caller = await administration.accounts.authenticate(new.key)
    assert caller is not None
    hold = await administration.ledger.hold(caller, "req_1", Decimal(3))
    use = Use("gpt-4o", "tiny", "chat", Usage(prompt_tokens=3, completion_tokens=4))
    await administration.ledger.settle(hold, [Line("answer", Decimal("0.07"))], use)
    [row] = await administration.usage((By.ACCOUNT, By.KEY, By.MODEL), account="team")
    assert (row["account"], row["account_name"]) == (account.id, "team")
    assert (row["key"], row["key_name"]) == (new.record.id, "laptop")
    assert (row["model"], row["requests"], row["completion_tokens"], row["cost"]) == ("gpt-4o", 1, 4, Decimal("0.07"))
    with pytest.raises(NotFound):
        await administration.usage((), account="nobody")
    with pytest.raises(InvalidRequest) as refused:
        await administration.usage((), since=date(2026, 2, 1), until=date(2026, 1, 1))
    assert refused.value.param == "until"
