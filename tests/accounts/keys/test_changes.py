"""Accounts and keys are changed, closed and opened again, on SQLite and on PostgreSQL, and the audit tells of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from server.accounts.keys.authentication import VERIFIED_LIFETIME
from server.accounts.keys.service import Accounts
from server.accounts.ledger.ledger import Ledger
from server.accounts.ledger.terms import Line
from server.accounts.reports.usage import Reports
from server.core import Caller, Limits, Priority
from server.errors import AccountClosed, InvalidRequest, NotFound
from server.settings import Settings
from tests.accounts.ledger.customers import D

if TYPE_CHECKING:
    from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio


async def caller_of(accounts: Accounts, key: str) -> Caller:
    caller = await accounts.authenticate(key)
    assert caller is not None
    return caller


async def last_act(accounts: Accounts) -> tuple[str, str, dict[str, Any]]:
    [act] = await Reports(accounts.database).acts(1)
    return act.actor, act.action, act.details


# ---------------------------------------------------------------- accounts


async def test_a_closed_accounts_keys_are_told_so_until_it_is_opened_again(accounts: Accounts) -> None:
    account = await accounts.create_account("team")
    key = (await accounts.create_key(account="team")).key
    await caller_of(accounts, key)  # remembered from now on
    closed = await accounts.change_account("team", closed=True, actor="key_admin")
    assert closed.closed_at is not None
    assert await last_act(accounts) == ("key_admin", "account.close", {"name": "team"})
    with pytest.raises(AccountClosed) as refused:
        await accounts.authenticate(key)
    assert (refused.value.status, refused.value.code) == (401, "account_deactivated")
    assert await accounts.authenticate(key[:-1] + "!") is None  # who has not the whole key is told nothing
    assert [record.account_closed for record in await accounts.list_keys("team")] == [True]
    with pytest.raises(InvalidRequest, match="is closed") as no_key:
        await accounts.create_key(account="team")
    assert no_key.value.param == "account"
    assert await accounts.change_account("team", closed=True) == closed  # its time stays
    assert (await accounts.change_account(account.id, closed=False)).closed_at is None
    assert await last_act(accounts) == ("local", "account.reopen", {"name": "team"})
    assert (await caller_of(accounts, key)).account_id == account.id


async def test_a_revoked_key_of_a_closed_account_is_nobody(accounts: Accounts) -> None:
    await accounts.create_account("team")
    new = await accounts.create_key(account="team")
    await accounts.revoke_key(new.record.id)
    await accounts.change_account("team", closed=True)
    assert await accounts.authenticate(new.key) is None


async def test_what_a_closed_account_holds_is_settled_and_its_money_stays(accounts: Accounts, ledger: Ledger) -> None:
    account = await accounts.create_account("team")
    await ledger.grant(account.id, D(5))
    caller = await caller_of(accounts, (await accounts.create_key(account="team")).key)
    hold = await ledger.hold(caller, "req_1", D(2))
    await accounts.change_account("team", closed=True)
    assert (await ledger.settle(hold, [Line("answer", D("0.5"))])).charged == D("0.5")
    assert (await ledger.balance(account.id)).balance == D("4.5")
    assert [entry.kind async for entry in ledger.entries(account.id)] == ["grant", "hold", "release", "charge"]


async def test_changes_by_another_process_count_within_seconds(
    accounts: Accounts, make_settings: Callable[..., Settings], clock: "Clock"
) -> None:
    await accounts.create_account("team")
    new = await accounts.create_key(account="team")
    before = await caller_of(accounts, new.key)
    assert (before.weight, before.priority) == (1, Priority.NORMAL)
    async with await Accounts.open(make_settings(), now=clock) as other:
        await other.change_account("team", weight=3)
        await other.change_key(new.record.prefix, priority=Priority.HIGH)
    assert await caller_of(accounts, new.key) == before
    clock.forward(seconds=VERIFIED_LIFETIME.total_seconds())
    after = await caller_of(accounts, new.key)
    assert (after.weight, after.priority) == (3, Priority.HIGH)
    async with await Accounts.open(make_settings(), now=clock) as other:
        await other.change_account("team", closed=True)
    clock.forward(seconds=VERIFIED_LIFETIME.total_seconds())
    with pytest.raises(AccountClosed):
        await accounts.authenticate(new.key)


async def test_an_account_is_renamed_and_keeps_its_id_and_keys(accounts: Accounts) -> None:
    account = await accounts.create_account("team")
    key = (await accounts.create_key(account="team")).key
    assert (await accounts.change_account("team", name="squad")).id == account.id
    details = {"before": {"name": "team"}, "after": {"name": "squad"}}
    assert await last_act(accounts) == ("local", "account.change", details)
    assert (await accounts.find_account("squad")).id == account.id
    with pytest.raises(NotFound):
        await accounts.find_account("team")
    assert (await caller_of(accounts, key)).account_id == account.id
    await accounts.create_account("team")  # the name is free again


async def test_a_name_that_is_taken_or_needed_is_not_given(accounts: Accounts) -> None:
    team, other = await accounts.create_account("team"), await accounts.create_account("other")
    await accounts.create_key()  # makes `default`
    for account, name in (("team", "other"), ("team", ""), ("team", "x" * 65), ("team", other.id), ("default", "mine")):
        with pytest.raises(InvalidRequest) as refused:
            await accounts.change_account(account, name=name)
        assert refused.value.param == "name"
    assert {account.name for account in await accounts.list_accounts()} == {"team", "other", "default"}
    assert await accounts.change_account("team", name="team") == team


async def test_a_key_does_not_close_its_own_account(accounts: Accounts) -> None:
    await accounts.create_account("team")
    new = await accounts.create_key(account="team", scopes={"admin"})
    with pytest.raises(InvalidRequest) as refused:
        await accounts.change_account("team", closed=True, name="squad", actor=new.record.id)
    assert refused.value.param == "closed"
    assert (await accounts.find_account("team")).closed_at is None  # nor renamed
    await caller_of(accounts, new.key)


async def test_weights_have_bounds(accounts: Accounts) -> None:
    assert (await accounts.create_account("team", weight=100)).weight == 100
    for weight in (0, 101, -1):
        with pytest.raises(InvalidRequest) as refused:
            await accounts.change_account("team", weight=weight)
        assert refused.value.param == "weight"
    with pytest.raises(InvalidRequest):
        await accounts.create_account("other", weight=0)
    await accounts.change_account("team", weight=7, limits={"requests_per_minute": 9}, metered=False)
    assert (await last_act(accounts))[2] == {
        "before": {"weight": 100, "metered": True, "limits": {"requests_per_minute": None}},
        "after": {"weight": 7, "metered": False, "limits": {"requests_per_minute": 9}},
    }


# ---------------------------------------------------------------- keys


async def test_a_key_changes_at_once_and_keeps_its_text(accounts: Accounts, clock: "Clock") -> None:
    limits = Limits(requests_per_minute=5, tokens_per_minute=100)
    new = await accounts.create_key(name="laptop", models={"a"}, limits=limits)
    await caller_of(accounts, new.key)  # remembered from now on
    later = clock() + timedelta(days=1)
    changed = await accounts.change_key(
        new.record.id,
        name="desk",
        scopes={"inference", "usage"},
        models=None,
        expires_at=later,
        limits={"tokens_per_minute": None},
        priority=Priority.BACKGROUND,
        actor="key_admin",
    )
    [kept] = await accounts.list_keys()
    # The note of its first use may be written before, between or after.
    assert replace(kept, last_used_at=None) == replace(changed, last_used_at=None)
    assert changed.prefix == new.record.prefix
    caller = await caller_of(accounts, new.key)
    assert (caller.scopes, caller.models) == ({"inference", "usage"}, None)
    assert (caller.limits, caller.priority) == (Limits(requests_per_minute=5), Priority.BACKGROUND)
    assert await last_act(accounts) == (
        "key_admin",
        "key.change",
        {
            "account": new.record.account_id,
            "before": {
                "name": "laptop",
                "scopes": ["inference"],
                "models": ["a"],
                "expires_at": None,
                "limits": {"tokens_per_minute": 100},
                "priority": "normal",
            },
            "after": {
                "name": "desk",
                "scopes": ["inference", "usage"],
                "models": None,
                "expires_at": later.isoformat(),
                "limits": {"tokens_per_minute": None},
                "priority": "background",
            },
        },
    )
    clock.forward(days=2)
    assert await accounts.authenticate(new.key) is None
    await accounts.change_key(new.record.id, expires_at=None)  # an expired key may be given more time
    await caller_of(accounts, new.key)


async def test_what_changes_nothing_leaves_no_note(accounts: Accounts) -> None:
    new = await accounts.create_key(name="laptop")
    acts = await Reports(accounts.database).acts()
    assert await accounts.change_key(new.record.id, name="laptop", priority=Priority.NORMAL) == new.record
    await accounts.change_account("default", metered=False, closed=False, name=None)
    assert await Reports(accounts.database).acts() == acts


async def test_wrong_changes_of_keys_change_nothing(accounts: Accounts, clock: "Clock") -> None:
    new = await accounts.create_key()
    wrong: list[tuple[str, Any]] = [
        ("scopes", ()),
        ("scopes", ("root",)),
        ("models", ("two words",)),
        ("name", "x" * 65),
        ("expires_at", clock() - timedelta(seconds=1)),
    ]
    for field, value in wrong:
        with pytest.raises(InvalidRequest) as refused:
            await accounts.change_key(new.record.id, **{field: value})  # type: ignore[misc]
        assert refused.value.param == field
    with pytest.raises(InvalidRequest):
        await accounts.change_key(new.record.id, limits={"requests_per_minute": -1})
    with pytest.raises(NotFound):
        await accounts.change_key("key_nothing", name="x")
    assert await accounts.list_keys() == [new.record]


async def test_a_revoked_key_stays_revoked(accounts: Accounts) -> None:
    new = await accounts.create_key()
    revoked = await accounts.revoke_key(new.record.id)
    with pytest.raises(InvalidRequest, match="for good"):
        await accounts.change_key(new.record.id, expires_at=None, name="again")
    assert await accounts.list_keys() == [revoked]


async def test_the_first_key_and_its_account_are_in_the_audit(accounts: Accounts) -> None:
    assert await accounts.ensure_first_key() is not None
    acts = await Reports(accounts.database).acts()
    assert [(act.actor, act.action, act.details["name"]) for act in acts] == [
        ("local", "key.create", "first key"),
        ("local", "account.create", "default"),
    ]


# ---------------------------------------------------------------- grants


async def test_a_grant_that_was_counted_before_says_so(accounts: Accounts, ledger: Ledger) -> None:
    account = await accounts.create_account("team")
    first = await ledger.grant(account.id, D(5), reference="invoice-7")
    again = await ledger.grant(account.id, D(5), reference="invoice-7")
    assert (first.already, again.already) == (False, True)
    assert first.balance.balance == again.balance.balance == 5
    assert not (await ledger.grant(account.id, D(5))).already
