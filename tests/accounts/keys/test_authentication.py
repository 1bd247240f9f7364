"""Authentication, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from server.accounts.keys.authentication import VERIFIED_LIFETIME
from server.accounts.keys.service import Accounts
from server.settings import Settings

if TYPE_CHECKING:
    from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio


def count_statements(accounts: Accounts) -> list[str]:
    """Statements that reach the database from now on."""
    seen: list[str] = []
    event.listen(accounts.database.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    return seen


async def test_what_is_not_a_key_of_ours_is_nobody(accounts: Accounts) -> None:
    key = (await accounts.create_key()).key
    altered = key[:-1] + ("A" if key[-1] != "A" else "B")
    for text in ("", "nonsense", "sk-sage-", key[:-1], key + "x", altered, key.upper(), "\x00" * 20):
        assert await accounts.authenticate(text) is None
    assert await accounts.authenticate(key) is not None


async def test_what_a_key_may_do_comes_with_the_caller(accounts: Accounts) -> None:
    account = await accounts.create_account("team")
    new = await accounts.create_key(account="team", scopes={"usage", "admin"}, models={"gpt-4o", "org/model:ultra"})
    caller = await accounts.authenticate(new.key)
    assert caller is not None
    assert caller.key_id == new.record.id
    assert caller.account_id == account.id
    assert caller.scopes == {"usage", "admin"}
    assert caller.models == frozenset({"gpt-4o", "org/model:ultra"})
    assert caller.metered


async def test_a_verified_key_is_not_looked_up_again_for_a_while(accounts: Accounts, clock: "Clock") -> None:
    key = (await accounts.create_key()).key
    await accounts.authenticate(key)
    seen = count_statements(accounts)
    for _ in range(50):
        assert await accounts.authenticate(key) is not None
    assert not any("api_keys" in statement and statement.startswith("SELECT") for statement in seen)
    clock.forward(seconds=VERIFIED_LIFETIME.total_seconds())
    await accounts.authenticate(key)
    assert any("api_keys" in statement and statement.startswith("SELECT") for statement in seen)


async def test_requests_that_come_together_share_one_look_up(accounts: Accounts) -> None:
    key = (await accounts.create_key()).key
    seen = count_statements(accounts)
    callers = await asyncio.gather(*(accounts.authenticate(key) for _ in range(64)))
    assert all(caller is not None for caller in callers)
    assert sum(statement.startswith("SELECT") for statement in seen) == 1


async def test_a_request_that_is_cancelled_leaves_the_shared_look_up_to_the_others(accounts: Accounts) -> None:
    key = (await accounts.create_key()).key
    first = asyncio.create_task(accounts.authenticate(key))
    second = asyncio.create_task(accounts.authenticate(key))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_revocation_here_counts_at_once(accounts: Accounts) -> None:
    new = await accounts.create_key()
    assert await accounts.authenticate(new.key) is not None
    revoked = await accounts.revoke_key(new.record.id)
    assert revoked.revoked_at is not None
    assert await accounts.authenticate(new.key) is None


async def test_a_look_up_from_before_a_revocation_is_not_remembered(accounts: Accounts) -> None:
    new = await accounts.create_key()
    for _ in range(20):
        new = await accounts.create_key()
        early = asyncio.create_task(accounts.authenticate(new.key))
        await accounts.revoke_key(new.record.id)
        assert await accounts.authenticate(new.key) is None
        await early
        assert await accounts.authenticate(new.key) is None


async def test_a_revocation_by_another_process_counts_within_seconds(
    accounts: Accounts, make_settings: Callable[..., Settings], clock: "Clock"
) -> None:
    new = await accounts.create_key()
    assert await accounts.authenticate(new.key) is not None
    async with await Accounts.open(make_settings(), now=clock) as other:
        await other.revoke_key(new.record.prefix)
    assert await accounts.authenticate(new.key) is not None
    clock.forward(seconds=VERIFIED_LIFETIME.total_seconds())
    assert await accounts.authenticate(new.key) is None


async def test_a_key_ends_at_its_expiry_even_while_remembered(accounts: Accounts, clock: "Clock") -> None:
    key = (await accounts.create_key(expires_at=clock() + timedelta(seconds=1))).key
    assert await accounts.authenticate(key) is not None
    clock.forward(seconds=1)
    assert await accounts.authenticate(key) is None


async def test_a_clock_that_is_set_back_does_not_prolong_what_is_remembered(accounts: Accounts, clock: "Clock") -> None:
    key = (await accounts.create_key()).key
    await accounts.authenticate(key)
    clock.forward(days=-1)
    seen = count_statements(accounts)
    await accounts.authenticate(key)
    assert any(statement.startswith("SELECT") for statement in seen)


async def test_the_last_use_is_noted_once_a_minute(make_settings: Callable[..., Settings], clock: "Clock") -> None:
    async with await Accounts.open(make_settings(), now=clock) as accounts:
        key = (await accounts.create_key()).key
        first_use = clock()
        await accounts.authenticate(key)
    for seconds, expected in ((30, first_use), (31, first_use + timedelta(seconds=61))):
        clock.forward(seconds=seconds)
        async with await Accounts.open(make_settings(), now=clock) as accounts:
            await accounts.authenticate(key)
        async with await Accounts.open(make_settings(), now=clock) as accounts:
            [record] = await accounts.list_keys()
        assert record.last_used_at == expected
