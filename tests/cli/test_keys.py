"""`sagehold keys`, as a person and as a script use it."""

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from typer.testing import CliRunner, Result

from server.accounts.keys.service import Accounts
from server.cli.keys import app
from server.core import Caller
from server.settings import Settings
from tests.cli.installed import install

Keys = Callable[..., Result]


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setenv("SAGEHOLD_DATA_DIR", str(install(tmp_path / "data")))
    return lambda *words: CliRunner().invoke(app, list(words))


def caller_of(data_dir: Path, key: str) -> Caller | None:
    async def ask() -> Caller | None:
        async with await Accounts.open(Settings(data_dir=data_dir)) as accounts:
            return await accounts.authenticate(key)

    return anyio.run(ask)


def test_create_prints_the_key_alone_on_standard_output(keys: Keys, tmp_path: Path) -> None:
    result = keys("create", "--name", "laptop")
    assert result.exit_code == 0
    [line] = result.stdout.splitlines()
    assert line.startswith("sk-sage-")
    caller = caller_of(tmp_path / "data", line)
    assert caller is not None
    assert caller.scopes == {"inference"}


def test_create_as_json_holds_id_and_key(keys: Keys, tmp_path: Path) -> None:
    options = ("--scopes", "usage, admin", "--models", "gpt-4o", "--expires", "2999-01-31")
    new = json.loads(keys("create", "--json", *options).stdout)
    caller = caller_of(tmp_path / "data", new["key"])
    assert caller is not None
    assert caller.key_id == new["id"]
    assert caller.models == frozenset({"gpt-4o"})
    assert new["scopes"] == ["admin", "usage"]
    assert new["expires_at"] == "2999-01-31T00:00:00+00:00"
    assert new["state"] == "active"


def test_list_shows_prefixes_and_never_keys(keys: Keys) -> None:
    key = keys("create", "--name", "laptop").stdout.strip()
    table = keys("list")
    assert "laptop" in table.stdout
    assert key[:16] in table.stdout
    [listed] = json.loads(keys("list", "--json").stdout)
    assert listed["prefix"] == key[:16]
    for output in (table.stdout, json.dumps(listed)):
        assert key[16:] not in output


def test_revoke_ends_a_key(keys: Keys, tmp_path: Path) -> None:
    key = keys("create").stdout.strip()
    result = keys("revoke", key[:16])
    assert result.exit_code == 0
    assert caller_of(tmp_path / "data", key) is None
    assert json.loads(keys("list", "--json").stdout)[0]["state"] == "revoked"


def test_mistakes_are_explained_in_a_line(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = keys("revoke", "key_0000")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert unknown.stderr == "There is no key key_0000.\n"
    assert keys("create", "--account", "nobody").stderr == "There is no account nobody.\n"
    assert keys("create", "--scopes", "root").exit_code == 1
    assert keys("create", "--expires", "soon").exit_code == 2
    monkeypatch.setenv("SAGEHOLD_PORT", "many")
    wrong = keys("list")
    assert wrong.exit_code == 2
    assert "SAGEHOLD_PORT" in wrong.stderr
