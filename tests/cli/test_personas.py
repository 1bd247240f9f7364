"""`sagehold personas`: list, show, set, delete."""

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
    return lambda *words, **more: CliRunner().invoke(build("personas"), ["personas", *words], **more)


def printed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_one_is_set_shown_and_deleted(call: Call, tmp_path: Path) -> None:
    assert len(printed(call("list", "--json"))) == 12
    made = printed(call("set", "--name", "Clerk", "--prompt", "You are a clerk.", "--json"))
    assert made == {
        "id": 1000, "name": "Clerk", "description": "", "prompt": "You are a clerk.", "origin": "database",
        "version": 1,
    }  # fmt: skip
    (tmp_path / "prompt.txt").write_text("You are a brief clerk.\nÉt cetera.\n")
    again = call("set", "1000", "--prompt-file", str(tmp_path / "prompt.txt"))
    assert again.stdout == "Persona 1000 (Clerk) is set, version 2.\n"
    assert call("show", "1000").stdout == "1000  Clerk (database, version 2)\n\nYou are a brief clerk.\nÉt cetera.\n"
    call("set", "1000", "--prompt-file", "-", input="From standard input.")
    assert printed(call("show", "1000", "--json"))["prompt"] == "From standard input."
    assert "Software engineer" in call("list").stdout
    assert call("delete", "1000").stdout == "Deleted persona 1000.\n"
    refused = call("show", "1000")
    assert (refused.exit_code, refused.stderr) == (1, "There is no persona 1000.\n")


def test_files_are_seen_and_wrong_ones_told(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "personas"
    folder.mkdir()
    (folder / "a.yaml").write_text("id: 40\nname: Clerk\nprompt: You are a clerk.\n")
    monkeypatch.setenv("SAGEHOLD_PERSONAS", str(folder))
    assert printed(call("show", "40", "--json"))["origin"] == "file"
    (folder / "a.yaml").write_text("id: 40\nnam: Clerk\nprompt: You are a clerk.\n")
    refused = call("list")
    assert refused.exit_code == 2
    assert "a.yaml:2: nam: there is no such field; did you mean name? allowed: id, name" in refused.stderr
    checked = CliRunner().invoke(build("config"), ["config", "check"])
    assert checked.exit_code == 2
    assert "a.yaml:2: nam: there is no such field" in checked.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("set", "--name", "Clerk"), "a new persona needs --name, and --prompt or --prompt-file"),
        (("set", "--prompt", "x"), "a new persona needs --name, and --prompt or --prompt-file"),
        (("set", "3", "--prompt", "x", "--prompt-file", "-"), "choose one of --prompt and --prompt-file"),
        (("set", "3", "--prompt-file", "/nowhere"), "can't be read as UTF-8 text"),
    ],
)
def test_what_is_given_wrong_is_told(call: Call, words: tuple[str, ...], complaint: str) -> None:
    refused = call(*words)
    assert refused.exit_code == 2
    assert complaint in " ".join(refused.stderr.replace("│", " ").split())
