"""What was used, summed; and the acts of administration."""

from datetime import date
from typing import TYPE_CHECKING

import pytest

from server.accounts.keys.service import Accounts
from server.accounts.ledger.ledger import Ledger
from server.accounts.ledger.terms import Line, Use
from server.accounts.reports.usage import By, Reports
from server.core import Usage
from tests.accounts.ledger.customers import Customer, D, use

if TYPE_CHECKING:
    from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio


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
    assert acts[2].details == {
        "account": account.id,
        "name": "laptop",
        "scopes": ["inference", "usage"],
        "models": None,
        "expires_at": None,
        "priority": "normal",
        "limits": {"requests_per_minute": None, "tokens_per_minute": None, "concurrent_requests": None},
    }
    assert [act.action for act in await reports.acts(limit=1, before=acts[0].id)] == ["credits.grant"]
    assert new.key not in str(acts)
