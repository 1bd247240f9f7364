"""E-mail addresses and numbers of accounts, and callers by the id of their key."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from server.accounts.audit import AuditLog
from server.accounts.keys.service import Accounts
from server.core import Limits, Priority
from server.errors import InvalidRequest, NotFound
from server.settings import Settings
from server.storage.database import Database
from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio


async def test_an_address_is_kept_in_lower_case_and_finds_its_account(accounts: Accounts) -> None:
    ada = await accounts.create_account("ada", email="Ada@Example.org")
    assert ada.email == "ada@example.org"
    assert await accounts.find_account("ADA@example.ORG") == ada
    assert await accounts.account_of("aDa@example.org") == ada
    assert await accounts.account_of("ada") is None, "a name is no address"
    assert await accounts.account_of("ada@example.org\0") is None
    assert (await accounts.change_account("ada@example.org", email="L@Example.org")).email == "l@example.org"
    assert await accounts.account_of("ada@example.org") is None
    assert (await accounts.change_account("ada", weight=2)).email == "l@example.org", "what isn't named stays"
    assert (await accounts.change_account("ada", email="")).email is None


@pytest.mark.parametrize("email", ["ada", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a@\0", "a@" + "b" * 253])
async def test_an_address_must_look_like_one(accounts: Accounts, email: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await accounts.create_account("ada", email=email)
    assert refused.value.param == "email"
    account = await accounts.create_account("grace")
    with pytest.raises(InvalidRequest):
        await accounts.change_account(account.id, email=email)
    assert [each.email for each in await accounts.list_accounts()] == [None]


async def test_an_address_means_one_account(accounts: Accounts) -> None:
    ada = await accounts.create_account("ada", email="a@b.c")
    await accounts.create_account("g@b.c")
    for taken in ("A@b.c", "g@b.c"):
        with pytest.raises(InvalidRequest, match=r"There is an account .@b\.c already") as refused:
            await accounts.create_account("other", email=taken)
        assert refused.value.param == "email"
    with pytest.raises(InvalidRequest):
        await accounts.create_account("a@b.c")
    with pytest.raises(InvalidRequest):
        await accounts.change_account("ada", email="g@b.c")
    assert (await accounts.change_account("ada", name="a@b.c")).id == ada.id, "its own address may be its name"
    assert (await accounts.change_account(ada.id, name="ada", email="a@b.c")).email == "a@b.c"


async def test_an_address_is_in_the_audit_log(accounts: Accounts) -> None:
    ada = await accounts.create_account("ada", email="a@b.c")
    await accounts.change_account("ada", email="b@b.c", actor="key_x")
    async with accounts.database.read() as session:
        changed, created = await AuditLog(session).latest(2)
    assert created.details["email"] == "a@b.c"
    assert (changed.target, changed.actor) == (ada.id, "key_x")
    assert changed.details == {"before": {"email": "a@b.c"}, "after": {"email": "b@b.c"}}


async def test_numbers_are_given_in_order_and_to_whom_an_older_version_made(accounts: Accounts, clock: Clock) -> None:
    for number, name in enumerate(("one", "two", "three"), 1):
        assert (await accounts.create_account(name)).number == number
        clock.forward(seconds=1)
    async with accounts.database.write() as session:
        await session.execute(text("UPDATE accounts SET number = NULL WHERE name IN ('two', 'three')"))
    assert (await accounts.find_account("two")).number == 0
    assert {account.name: account.number for account in await accounts.numbered()} == {"one": 1, "two": 2, "three": 3}
    assert (await accounts.create_account("four")).number == 4
    assert [account.number for account in await accounts.numbered()] == [1, 2, 3, 4]


async def test_accounts_of_an_older_schema_get_numbers(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, clock: Clock
) -> None:
    database = Database(database_url)
    await database.migrate("0004")
    async with database.write() as session:
        for name, day in (("late", 3), ("early", 1), ("middle", 2)):
            await session.execute(
                text("INSERT INTO accounts (id, name, metered, created_at) VALUES (:id, :name, :metered, :at)"),
                {"id": f"acct_{name}", "name": name, "metered": True, "at": clock().replace(day=day)}
                if not database.sqlite
                else {"id": f"acct_{name}", "name": name, "metered": True, "at": f"2026-11-0{day} 00:00:00.000000"},
            )
    await database.migrate()
    await database.aclose()
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), database_url=database_url)
    async with await Accounts.open(settings, now=clock) as accounts:
        found = {account.name: account.number for account in await accounts.list_accounts()}
        assert found == {"early": 1, "middle": 2, "late": 3}
        assert (await accounts.create_account("new", email="a@b.c")).number == 4


async def test_a_key_is_known_by_its_id_while_it_works(accounts: Accounts, clock: Clock) -> None:
    account = await accounts.create_account("ada", weight=3, limits=Limits(concurrent_requests=2))
    made = await accounts.create_key(
        account="ada", models=["a"], limits=Limits(requests_per_minute=5), priority=Priority.HIGH
    )
    caller = await accounts.caller(made.record.id)
    assert caller == await accounts.authenticate(made.key)
    assert caller is not None
    assert (caller.account_id, caller.weight, caller.models) == (account.id, 3, frozenset({"a"}))

    await accounts.change_account("ada", closed=True)
    assert await accounts.caller(made.record.id) is None
    await accounts.change_account("ada", closed=False)
    assert await accounts.caller(made.record.id) == caller
    await accounts.revoke_key(made.record.id)
    assert await accounts.caller(made.record.id) is None

    brief = await accounts.create_key(account="ada", expires_at=clock().replace(hour=13))
    assert await accounts.caller(brief.record.id) is not None
    clock.forward(hours=1)
    assert await accounts.caller(brief.record.id) is None


@pytest.mark.parametrize("key_id", ["", "key_0123456789ab", "key_\0", "none", "k" * 32])
async def test_what_is_no_keys_id_is_nobody(accounts: Accounts, key_id: str) -> None:
    assert await accounts.caller(key_id) is None


async def test_a_key_that_another_process_revoked_is_remembered_for_seconds_only(
    accounts: Accounts, make_settings: Callable[..., Settings], clock: Clock
) -> None:
    key = (await accounts.create_key()).record
    assert await accounts.caller(key.id) is not None
    async with await Accounts.open(make_settings(), now=clock) as other:
        await other.revoke_key(key.id)
    clock.forward(seconds=4)
    assert await accounts.caller(key.id) is None


async def test_who_is_not_there_is_not_found(accounts: Accounts) -> None:
    with pytest.raises(NotFound):
        await accounts.find_account("nobody@example.org")
