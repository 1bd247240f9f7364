"""`sagehold datasets`, as a person and as a script use it, and what a backup holds of datasets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import build
from tests.cli.installed import install

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("SAGEHOLD_DATA_DIR", str(install(tmp_path / "data")))
    invoke: Call = lambda *words: CliRunner().invoke(build(words[0]), list(words))  # noqa: E731
    for name in ("default", "team"):
        assert invoke("accounts", "create", name).exit_code == 0
    return invoke


def printed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_dataset_is_made_shared_changed_and_deleted(call: Call) -> None:
    made = printed(call("datasets", "create", "handbook", "--classification", "CUI", "--json"))
    assert (made["name"], made["permission"], made["classification"]) == ("handbook", "owner", "CUI")
    assert made["full_name"].endswith("_handbook_content")
    taken = call("datasets", "create", "handbook")
    assert (taken.exit_code, taken.stderr) == (1, "You have a dataset `handbook` already.\n")
    assert printed(call("datasets", "list", "--account", "team", "--json")) == []
    assert (
        call("datasets", "assign", "handbook", "team", "--permission", "edit").stdout == "team may edit handbook now.\n"
    )
    [shared] = printed(call("datasets", "list", "--account", "team", "--json"))
    assert (shared["id"], shared["permission"]) == (made["id"], "edit")
    refused = call("datasets", "delete", "handbook", "--account", "team")
    assert (refused.exit_code, "the permission owner" in refused.stderr) == (1, True)
    changed = printed(call("datasets", "change", "handbook", "--fusion", "keyword", "--rerank", "--json"))
    assert (changed["fusion"], changed["rerank"], changed["dense_weight"]) == ("keyword", True, 1.0)
    assert call("datasets", "deassign", "handbook", "team").exit_code == 0
    absent = call("datasets", "documents", "handbook", "--account", "team")
    assert (absent.exit_code, "does not exist or you do not have access" in absent.stderr) == (1, True)
    assert made["full_name"] in call("datasets", "list").stdout
    assert call("datasets", "delete", "handbook").stdout == "Deleted handbook.\n"
    assert printed(call("datasets", "list", "--json")) == printed(call("datasets", "documents", "--json")) == []


def test_wrong_words_are_refused_in_a_line(call: Call) -> None:
    assert call("datasets", "create", "abc").exit_code == 1
    assert call("datasets", "create", "handbook", "--account", "nobody").exit_code == 1
    assert call("datasets", "remove", "absent", "a.txt").exit_code == 1
    assert call("datasets", "assign", "absent", "team", "--permission", "owner").exit_code == 2


def test_a_restored_backup_has_the_datasets_and_can_go_on_with_them(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their tables of words among them. Files that wait in `documents/` are not in it."""
    made = printed(call("datasets", "create", "handbook", "--json"))
    waiting = tmp_path / "data" / "documents"
    waiting.mkdir()
    (waiting / "doc_1").write_text("waits")
    assert call("backup", str(tmp_path / "b.tar")).exit_code == 0
    monkeypatch.setenv("SAGEHOLD_DATA_DIR", str(tmp_path / "new"))
    restored = call("restore", str(tmp_path / "b.tar"))
    assert restored.exit_code == 0, restored.output
    assert not (tmp_path / "new" / "documents").exists()
    assert [one["id"] for one in printed(call("datasets", "list", "--json"))] == [made["id"]]
    assert call("datasets", "create", "minutes").exit_code == 0
    assert call("datasets", "delete", "handbook").exit_code == 0
    assert [one["name"] for one in printed(call("datasets", "list", "--json"))] == ["minutes"]
