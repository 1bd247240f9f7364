"""`sagehold datasets add` and `search`, over a fake embedding model, without a server and beside one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import build
from server.accounts.administration import Administration
from server.core import Task
from server.knowledge.spool import Spool
from server.settings import Settings
from server.testing import FakeServer
from tests.cli.installed import install

Call = Callable[..., Result]

ROOT = Path(__file__).parents[2]
MODEL = "name: fake-embedding\nengine: fake\nserves: embedding\n"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the account `default` and its dataset `handbook`."""
    for name, value in (("DATA_DIR", "data"), ("MODEL_CONFIGS", "configs"), ("MODELS_DIR", "models")):
        monkeypatch.setenv(f"SAGEHOLD_{name}", str(tmp_path / value))
    (tmp_path / "configs").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "configs" / "fake.yaml").write_text(MODEL)
    folder = install(tmp_path / "data")
    assert call("accounts", "create", "default").exit_code == 0
    assert call("datasets", "create", "handbook").exit_code == 0
    return folder


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    (folder / "more" / ".git").mkdir(parents=True)
    (folder / "leave.txt").write_text("Leave is thirty days a year.")
    (folder / "more" / "work.md").write_text("# Hours\n\nWork begins at nine.")
    (folder / "more" / "empty.txt").touch()
    (folder / "more" / ".git" / "hidden.txt").write_text("hidden")
    (folder / "photo.png").write_bytes(b"\x89PNG")
    return folder


def call(*words: str, input: str | None = None) -> Result:  # noqa: A002 - CliRunner's own word
    return CliRunner().invoke(build(words[0]), list(words), input=input)


def printed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def spooled(data: Path) -> list[str]:
    return [path.name for path in (data / "documents").iterdir()]


def test_a_folder_is_added_and_found(data: Path, rules: Path) -> None:
    added = call("datasets", "add", "handbook", str(rules), "--context", "rules of 2027")
    assert (added.exit_code, added.stderr) == (0, "")
    first, second = added.stdout.splitlines()
    assert first == "Added 2 documents to handbook: 2 passages."
    assert second == "Left out of folders: 1 empty, 1 hidden, 1 of a kind that is not read (.png)."
    assert spooled(data) == []
    shown = call("datasets", "search", "When does work begin?", "--fusion", "keyword")
    assert shown.stdout.startswith("[1] work.md, Hours (handbook, score ")
    assert "    Work begins at nine.\n" in shown.stdout
    for fusion in ("keyword", "hybrid"):
        found = printed(call("datasets", "search", "thirty leave", "--fusion", fusion, "--limit", "1", "--json"))
        assert [(one["filename"], one["context"], one["start"]) for one in found] == [("leave.txt", "rules of 2027", 0)]
    # Another account's search does not reach it.
    assert call("accounts", "create", "team").exit_code == 0
    nothing = call("datasets", "search", "leave", "--account", "team")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "Nothing was found.\n")


def test_each_failure_has_its_line(data: Path, rules: Path, tmp_path: Path) -> None:
    (rules / "bad.pdf").write_text("no PDF")
    (rules / "more" / "leave.txt").write_text("Another text of the same name.")
    photo = rules / "photo.png"
    added = call("datasets", "add", "handbook", str(rules), str(photo), str(rules / "leave.txt"))
    assert added.exit_code == 1
    lines = added.stderr.splitlines()
    assert len(lines) == 3
    told = dict(line.split(": ", 1) for line in lines)
    assert "it is no PDF" in told[str(rules / "bad.pdf")]
    assert f"{rules / 'leave.txt'} is added under the same name" in told[str(rules / "more" / "leave.txt")]
    assert "are not read" in told[str(photo)]
    assert added.stdout.startswith("Added 2 documents to handbook")
    told = json.loads(call("datasets", "add", "handbook", str(photo), "--json").stdout)
    assert (told["added"], [one["file"] for one in told["failed"]]) == ([], [str(photo)])


def test_standard_input_replaces_what_had_its_name(data: Path) -> None:
    for text in ("The first words.", "Entirely different ones."):
        added = call("datasets", "add", "handbook", "-", "--name", "note.md", input=text)
        assert added.stdout == "Added 1 document to handbook: 1 passages.\n", added.output
    assert [one["filename"] for one in printed(call("datasets", "documents", "--json"))] == ["note.md"]
    [found] = printed(call("datasets", "search", "words different", "--json"))
    assert found["text"] == "Entirely different ones."
    empty = call("datasets", "add", "handbook", "-", input="")
    assert (empty.exit_code, empty.stderr) == (1, "stdin.txt: The document is empty.\n")


def test_a_file_goes_before_the_command_ends(data: Path, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document is ready before its file is gone."""
    removed = Spool.remove

    async def late(spool: Spool, document_id: str) -> None:
        for _ in range(200):
            await asyncio.sleep(0.001)
        await removed(spool, document_id)

    monkeypatch.setattr(Spool, "remove", late)
    assert call("datasets", "add", "handbook", str(rules / "leave.txt")).exit_code == 0
    assert spooled(data) == []


def test_what_a_terminal_would_obey_is_not_printed(data: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Evil \x1b]0;title\x07 words \x1b[31m here.")
    (tmp_path / "\x1b[31m.txt").write_text("red")
    refused = call("datasets", "add", "handbook", str(tmp_path / "a.txt"), str(tmp_path / "\x1b[31m.txt"))
    assert refused.exit_code == 1
    found = call("datasets", "search", "evil words")
    assert "words" in found.stdout
    assert "\x1b" not in refused.stderr + found.stdout


def test_what_is_wrong_from_the_start_is_one_line(data: Path, rules: Path, tmp_path: Path) -> None:
    absent = call("datasets", "add", "absent", str(rules))
    assert (absent.exit_code, len(absent.stderr.splitlines())) == (1, 1)
    assert call("datasets", "add", "handbook", str(tmp_path / "nothing")).exit_code == 2
    assert call("datasets", "search", " ").exit_code == 2
    assert call("datasets", "search", "x", "--fusion", "best").exit_code == 2
    assert call("datasets", "search", "x", "--dataset", "absent").exit_code == 1
    (tmp_path / "configs" / "fake.yaml").write_text(MODEL.replace("embedding", "chat"))
    without = call("datasets", "add", "handbook", str(rules))
    words = "sagehold: This server has no embedding model, so it keeps no datasets.\n"
    assert (without.exit_code, without.stderr) == (2, words)


def started(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "server", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_takes_back_what_is_not_ready(data: Path, rules: Path, tmp_path: Path) -> None:
    (tmp_path / "configs" / "fake.yaml").write_text(MODEL + "options: {pause: 600}\n")
    process = started("datasets", "add", "handbook", str(rules))
    try:
        limit = time.monotonic() + 60
        while not any(one["state"] == "embedding" for one in printed(call("datasets", "documents", "--json"))):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < limit
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    assert error == "Stopped: 0 documents of 2 were added before.\n"
    assert printed(call("datasets", "documents", "--json")) == []
    assert spooled(data) == []
    assert b"thirty days" not in b"".join(path.read_bytes() for path in data.glob("sagehold.db*"))


@pytest.fixture
async def beside(data: Path) -> AsyncIterator[FakeServer]:
    """A server on the same data folder."""
    settings = Settings(data_dir=data, models_dir=data.parent / "models", model_configs=data.parent / "configs")
    async with (
        Administration.open(settings) as administration,
        FakeServer(settings, accounts=administration.accounts, knowledge=administration.accounts.database) as fake,
    ):
        yield fake


@pytest.mark.anyio
async def test_beside_a_server_the_server_ingests(beside: FakeServer, rules: Path) -> None:
    process = await anyio.to_thread.run_sync(lambda: started("datasets", "add", "handbook", str(rules)))
    out, error = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=60))
    assert (process.returncode, error) == (0, "")
    assert out.startswith("Added 2 documents to handbook")
    assert beside.engines[Task.EMBEDDING].finished == 2
    process = await anyio.to_thread.run_sync(lambda: started("datasets", "search", "thirty days", "--json"))
    out, error = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=60))
    assert json.loads(out)[0]["filename"] == "leave.txt", error
    assert beside.engines[Task.EMBEDDING].finished == 2


@pytest.mark.models
def test_by_the_starter_model(data: Path, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meaning, without a word in common."""
    monkeypatch.setenv("SAGEHOLD_MODEL_CONFIGS", str(ROOT / "model_configs"))
    monkeypatch.setenv("SAGEHOLD_MODELS_DIR", str(ROOT / "models"))
    monkeypatch.setenv("SAGEHOLD_MODELS", "all-minilm-l6-v2")
    assert call("datasets", "add", "handbook", str(rules)).exit_code == 0
    [found] = printed(
        call("datasets", "search", "How long may I go on vacation?", "--limit", "1", "--fusion", "dense", "--json")
    )
    assert found["filename"] == "leave.txt"
    assert found["dense_rank"] == 1
