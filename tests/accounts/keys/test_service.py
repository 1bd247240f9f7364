"""Accounts and keys, on SQLite and on PostgreSQL."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.accounts.keys import credentials
from server.accounts.keys.service import Accounts
from server.errors import InvalidRequest, NotFound
from server.settings import Settings

if TYPE_CHECKING:
    from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio


async def test_the_first_key_is_made_once_for_an_unmetered_default_account(accounts: Accounts) -> None:
    key = await accounts.ensure_first_key()
    assert key is not None
    assert key.startswith("sk-sage-")
    assert await accounts.ensure_first_key() is None
    [account] = await accounts.list_accounts()
    assert (account.name, account.metered) == ("default", False)
    caller = await accounts.authenticate(key)
    assert caller is not None
    assert caller.account_id == account.id
    assert caller.scopes == {"inference"}
    assert caller.models is None
    assert not caller.metered


async def test_a_key_made_before_the_first_start_is_the_first_key(accounts: Accounts) -> None:
    new = await accounts.create_key(name="by hand")
    assert await accounts.ensure_first_key() is None
    await accounts.revoke_key(new.record.id)
    assert await accounts.ensure_first_key() is None


async def test_the_text_of_a_key_is_nowhere_on_the_disk(tmp_path: Path, clock: "Clock") -> None:
    async with await Accounts.open(Settings(data_dir=tmp_path / "data"), now=clock) as accounts:
        keys = [await accounts.ensure_first_key(), (await accounts.create_key()).key]
        for key in keys:
            assert key is not None
            await accounts.authenticate(key)
        files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
        assert any(path.name.endswith("-wal") for path in files)
        content = b"".join(path.read_bytes() for path in files)
    content += b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    for key in keys:
        assert key is not None
        assert credentials.lookup_prefix(key).encode() in content
        assert key.encode() not in content
        assert key[len("sk-sage-") :].encode() not in content
        # beyond the prefix that finds it, no run of the key's characters
        assert key[16:32].encode() not in content


async def test_keys_are_listed_by_age_and_account(accounts: Accounts, clock: "Clock") -> None:
    team = await accounts.create_account("team")
    first = await accounts.create_key(name="first")
    clock.forward(seconds=1)
    second = await accounts.create_key(name="second", account=team.id)
    assert await accounts.list_keys() == [first.record, second.record]
    assert await accounts.list_keys("team") == [second.record]
    with pytest.raises(NotFound):
        await accounts.list_keys("nobody")


async def test_revoking_by_prefix_or_whole_text(accounts: Accounts) -> None:
    one, two, three = [await accounts.create_key() for _ in range(3)]
    assert (await accounts.revoke_key(one.key[:12])).id == one.record.id
    assert (await accounts.revoke_key(two.key)).id == two.record.id
    for vague in ("sk-sage-", "sk-sage-%", "sk-sage-____", "key_0000", ""):
        with pytest.raises(NotFound):
            await accounts.revoke_key(vague)
    assert await accounts.authenticate(three.key) is not None


async def test_a_prefix_of_several_keys_revokes_none(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = iter(["sk-sage-samesame" + "a" * 40, "sk-sage-samesame" + "b" * 40])
    monkeypatch.setattr(credentials, "generate_key", lambda: next(texts))
    one, two = await accounts.create_key(), await accounts.create_key()
    with pytest.raises(InvalidRequest, match="2 keys"):
        await accounts.revoke_key("sk-sage-samesame")
    callers = [await accounts.authenticate(new.key) for new in (one, two)]
    assert [caller and caller.key_id for caller in callers] == [one.record.id, two.record.id]


async def test_revoking_twice_keeps_the_first_time(accounts: Accounts, clock: "Clock") -> None:
    new = await accounts.create_key()
    revoked_at = (await accounts.revoke_key(new.record.id)).revoked_at
    clock.forward(hours=1)
    assert (await accounts.revoke_key(new.record.id)).revoked_at == revoked_at == clock() - timedelta(hours=1)


async def test_wrong_wishes_are_refused(accounts: Accounts, clock: "Clock") -> None:
    await accounts.create_account("team")
    with pytest.raises(InvalidRequest, match="already"):
        await accounts.create_account("team")
    for name in ("", "x" * 65, "new\nline"):
        with pytest.raises(InvalidRequest):
            await accounts.create_account(name)
    with pytest.raises(NotFound):
        await accounts.create_key(account="nobody")
    with pytest.raises(InvalidRequest, match="admin, inference, usage"):
        await accounts.create_key(scopes={"root"})
    with pytest.raises(InvalidRequest):
        await accounts.create_key(scopes=())
    with pytest.raises(InvalidRequest, match="past"):
        await accounts.create_key(expires_at=clock())
    with pytest.raises(InvalidRequest):
        await accounts.create_key(models={"two words"})
    assert await accounts.list_keys() == []


FIRST_START = """
import asyncio, sys
from pathlib import Path
from typing import TYPE_CHECKING
from server.accounts.keys.service import Accounts
from server.settings import Settings

async def main():
    async with await Accounts.open(Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[2])) as accounts:
        print(await accounts.ensure_first_key() or "")

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main())
"""


def test_two_processes_that_start_at_once_make_one_first_key(tmp_path: Path, database_url: str) -> None:
    command = [sys.executable, "-c", FIRST_START, str(tmp_path / "data"), database_url]
    starts = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
        for _ in range(2)
    ]
    for start in starts:
        assert start.stdout is not None
        assert start.stdout.readline() == "ready\n"
    for start in starts:
        assert start.stdin is not None
        start.stdin.write("\n")
        start.stdin.flush()
    printed = [start.communicate(timeout=60)[0].strip() for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    assert len([key for key in printed if key.startswith("sk-sage-")]) == 1
    assert printed.count("") == 1
