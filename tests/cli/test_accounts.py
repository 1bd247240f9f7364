"""`sagehold accounts`, `usage`, `ledger` and `audit`, as a person and as a script use them."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import build
from server.accounts.administration import Administration
from server.accounts.ledger.terms import Line, Use
from server.core import Usage
from server.settings import Settings
from tests.cli.installed import install

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("SAGEHOLD_DATA_DIR", str(install(tmp_path / "data")))
    return lambda *words: CliRunner().invoke(build(words[0]), list(words))


def printed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_float=Decimal)


def test_a_script_makes_an_account_and_a_key(call: Call, tmp_path: Path) -> None:
    account = printed(call("accounts", "create", "team", "--credits", "12.000000001", "--json"))
    assert account["balance"] == Decimal("12.000000001")
    assert (account["held"], account["metered"]) == (0, True)
    key = printed(call("keys", "create", "--account", account["id"], "--json", "--requests-per-minute", "7"))

    async def use() -> None:
        async with Administration.open(Settings(data_dir=tmp_path / "data")) as administration:
            caller = await administration.accounts.authenticate(key["key"])
            assert caller is not None
            assert (caller.key_id, caller.account_id, caller.metered) == (key["id"], account["id"], True)
            assert caller.limits.requests_per_minute == 7
            hold = await administration.ledger.hold(caller, "req_1", Decimal(2))
            usage = Usage(prompt_tokens=30, completion_tokens=5)
            await administration.ledger.settle(
                hold, [Line("answer", Decimal("0.35"))], Use("gpt-4o", "tiny", "chat", usage)
            )

    anyio.run(use)
    assert printed(call("accounts", "show", "team", "--json"))["balance"] == Decimal("11.650000001")
    [row] = printed(call("usage", "--by", "key,model", "--json"))
    assert (row["key"], row["model"], row["prompt_tokens"], row["cost"]) == (key["id"], "gpt-4o", 30, Decimal("0.35"))
    assert call("usage", "--until", "2000-01-01", "--by", "day", "--csv").stdout.splitlines()[1:] == []
    assert "gpt-4o" in call("usage", "--by", "model").stdout
    entries = list(csv.DictReader(io.StringIO(call("ledger", "export", "--csv").stdout)))
    assert [entry["kind"] for entry in entries] == ["grant", "hold", "release", "charge"]
    assert sum(Decimal(entry["amount"]) for entry in entries) == Decimal("11.650000001")
    assert printed(call("ledger", "export", "--json", "--after", entries[2]["id"]))[0]["amount"] == Decimal("-0.35")
    assert call("ledger", "check").exit_code == 0


def test_credits_are_granted_once_for_a_reference_and_taken_back(call: Call) -> None:
    printed(call("accounts", "create", "team", "--json"))
    for _ in range(2):
        row = printed(call("accounts", "grant", "team", "10", "--note", "May", "--reference", "may", "--json"))
        assert row["balance"] == 10
    assert printed(call("accounts", "grant", "team", "-2.5", "--json"))["balance"] == Decimal("7.5")
    refused = call("accounts", "grant", "team", "-8")
    assert refused.exit_code == 1
    assert "-0.5" in refused.stderr
    acts = printed(call("audit", "--json"))
    assert [(act["action"], act["actor"]) for act in acts[:2]] == [("credits.grant", "local")] * 2
    assert acts[1]["details"] == {"credits": "10", "note": "May", "reference": "may"}
    assert "credits.grant" in call("audit").stdout


def test_an_account_changes(call: Call) -> None:
    printed(call("accounts", "create", "team", "--unmetered", "--requests-per-minute", "5", "--json"))
    row = printed(call("accounts", "change", "team", "--metered", "--concurrent", "2", "--json"))
    assert row["metered"]
    assert row["limits"] == {"requests_per_minute": 5, "tokens_per_minute": None, "concurrent_requests": 2}
    row = printed(call("accounts", "change", "team", "--no-limits", "--tokens-per-minute", "9", "--json"))
    assert row["limits"] == {"requests_per_minute": None, "tokens_per_minute": 9, "concurrent_requests": None}
    assert "9" in call("accounts", "show", "team").stdout
    assert [row["name"] for row in printed(call("accounts", "list", "--json"))] == ["team"]


def test_names_are_text_and_not_markup(call: Call) -> None:
    call("accounts", "create", "[/red] :smile:")
    assert "[/red] :smile:" in call("accounts", "list").stdout
    call("keys", "create", "--name", "[/red]")
    assert "[/red]" in call("keys", "list").stdout


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("accounts", "create", "x", "--credits", "many"), 2, "not a number"),
        (("accounts", "create", "x", "--credits", "NaN"), 1, "Credits are a number"),
        (("accounts", "grant", "nobody", "5"), 1, "There is no account nobody."),
        (("usage", "--by", "weather"), 1, "account, key, model"),
        (("usage", "--since", "yesterday"), 2, "not a day"),
        (("ledger", "export", "--account", "nobody"), 1, "There is no account nobody."),
        (("ledger", "export", "--csv", "--json"), 2, "one of"),
    ],
)
def test_mistakes_are_explained(call: Call, words: tuple[str, ...], status: int, message: str) -> None:
    result = call(*words)
    assert (result.exit_code, result.stdout) == (status, "")
    assert message in result.stderr
