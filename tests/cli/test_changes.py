"""`sagehold accounts rename|close|reopen|change` and `keys change`, and what they warn of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import build
from server.accounts.keys.service import Accounts
from server.core import Caller, Priority
from server.errors import AccountClosed
from server.settings import Settings
from tests.cli.installed import install

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("SAGEHOLD_DATA_DIR", str(install(tmp_path / "data")))
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "a.yaml").write_text("name: fake-chat\nengine: fake\nserves: chat\n")
    monkeypatch.setenv("SAGEHOLD_MODEL_CONFIGS", str(configs))
    return lambda *words: CliRunner().invoke(build(words[0]), list(words))


def printed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def caller_of(folder: Path, key: str) -> Caller | None:
    async def ask() -> Caller | None:
        async with await Accounts.open(Settings(data_dir=folder / "data")) as accounts:
            return await accounts.authenticate(key)

    return anyio.run(ask)


def test_an_account_is_renamed_closed_and_opened_again(call: Call, tmp_path: Path) -> None:
    made = printed(call("accounts", "create", "team", "--weight", "3", "--json"))
    assert made["weight"] == 3
    key = call("keys", "create", "--account", "team").stdout.strip()
    renamed = call("accounts", "rename", "team", "squad")
    assert renamed.stdout == f"Renamed squad ({made['id']}).\n"
    assert call("accounts", "close", "squad").stdout == f"Closed squad ({made['id']}).\n"
    with pytest.raises(AccountClosed):
        caller_of(tmp_path, key)
    assert printed(call("keys", "list", "--json"))[0]["state"] == "closed"
    assert printed(call("accounts", "list", "--json"))[0]["closed_at"] is not None
    assert "closed" in call("accounts", "show", "squad").stdout
    assert printed(call("accounts", "reopen", "squad", "--json"))["closed_at"] is None
    assert printed(call("accounts", "change", "squad", "--weight", "5", "--json"))["weight"] == 5
    caller = caller_of(tmp_path, key)
    assert caller is not None
    assert (caller.account_id, caller.weight) == (made["id"], 5)
    acts = [(act["action"], act["details"]) for act in printed(call("audit", "--json"))]
    assert acts[:4] == [
        ("account.change", {"before": {"weight": 3}, "after": {"weight": 5}}),
        ("account.reopen", {"name": "squad"}),
        ("account.close", {"name": "squad"}),
        ("account.change", {"before": {"name": "team"}, "after": {"name": "squad"}}),
    ]


def test_a_key_changes(call: Call, tmp_path: Path) -> None:
    options = ("--name", "laptop", "--models", "fake-chat", "--requests-per-minute", "5", "--priority", "high")
    made = printed(call("keys", "create", *options, "--json"))
    assert (made["priority"], made["warnings"]) == ("high", [])
    change = ("--name", "desk", "--all-models", "--expires", "2999-01-31", "--priority", "background", "--no-limits")
    changed = printed(call("keys", "change", made["prefix"], *change, "--concurrent", "2", "--json"))
    assert (changed["id"], changed["name"], changed["models"]) == (made["id"], "desk", None)
    assert changed["expires_at"] == "2999-01-31T00:00:00+00:00"
    assert changed["limits"] == {"requests_per_minute": None, "tokens_per_minute": None, "concurrent_requests": 2}
    caller = caller_of(tmp_path, made["key"])
    assert caller is not None
    assert (caller.models, caller.priority) == (None, Priority.BACKGROUND)
    told = call("keys", "change", made["id"], "--expires", "never", "--scopes", "usage")
    assert told.stdout == f"Changed {made['id']} ({made['prefix']}…).\n"
    [listed] = printed(call("keys", "list", "--json"))
    assert (listed["expires_at"], listed["scopes"], listed["name"]) == (None, ["usage"], "desk")
    assert made["key"] not in call("audit").stdout


def test_models_that_are_not_served_are_warned_of_and_kept(call: Call, tmp_path: Path) -> None:
    made = call("keys", "create", "--models", "fake-chta,fake-chat")
    [key] = made.stdout.splitlines()
    assert "warning: no model is served by the name fake-chta now; did you mean fake-chat?\n" in made.stderr
    caller = caller_of(tmp_path, key)
    assert caller is not None
    assert caller.models == {"fake-chta", "fake-chat"}
    assert "warning" not in call("keys", "create", "--models", "fake-chat").stderr
    changed = call("keys", "change", key[:16], "--models", "nope")
    assert "no model is served by the name nope now" in changed.stderr
    assert "warning" not in call("keys", "change", key[:16], "--name", "x").stderr


def test_wrong_model_configs_do_not_keep_a_key_from_being_made(call: Call, tmp_path: Path) -> None:
    (tmp_path / "configs" / "a.yaml").write_text("nonsense")
    made = call("keys", "create", "--models", "fake-chat")
    assert made.exit_code == 0
    assert caller_of(tmp_path, made.stdout.strip()) is not None
    assert "the model configs are not right" in made.stderr


def test_a_grant_that_was_counted_before_says_so(call: Call) -> None:
    call("accounts", "create", "team")
    first, again = (call("accounts", "grant", "team", "10", "--reference", "may") for _ in range(2))
    assert first.stdout.endswith("has 10 credits now.\n")
    assert again.stdout.startswith("The reference may was already granted: nothing changed. team (acct_")
    assert again.stdout.endswith("has 10 credits.\n")
    assert printed(call("accounts", "grant", "team", "10", "--reference", "may", "--json"))["already_granted"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("accounts", "rename", "default", "mine"), 1, "keeps its name"),
        (("accounts", "rename", "team", "default"), 1, "There is an account default already."),
        (("accounts", "close", "nobody"), 1, "There is no account nobody."),
        (("accounts", "change", "team", "--weight", "0"), 2, "--weight"),
        (("keys", "change", "key_0000", "--name", "x"), 1, "There is no key key_0000."),
        (("keys", "create", "--priority", "urgent"), 2, "'urgent' is none of background, normal, high"),
        (("keys", "change", "key_0000", "--models", "a", "--all-models"), 2, "one of"),
    ],
)
def test_mistakes_are_explained(call: Call, words: tuple[str, ...], status: int, message: str) -> None:
    call("accounts", "create", "team")
    call("keys", "create")
    result = call(*words)
    assert (result.exit_code, result.stdout) == (status, "")
    assert message in result.stderr
