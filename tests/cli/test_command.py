"""The command `sagehold`: help that is quick, errors that are one clear line."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server import __version__
from server.__main__ import COMMANDS, build, main
from server.settings import Settings

REPOSITORY = Path(__file__).parents[2]
FAKE = "name: fake-chat\nengine: fake\nserves: chat\n"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("SAGEHOLD_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def call(*words: str) -> Result:
    return CliRunner().invoke(build(words[0]), list(words))


def test_help_names_every_command_and_imports_none() -> None:
    shown = CliRunner().invoke(build(None), ["--help"])
    assert shown.exit_code == 0
    for name, (_, line) in COMMANDS.items():
        assert name in shown.output
        assert line in shown.output
    heavy = ("pydantic", "fastapi", "sqlalchemy", "httpx", "torch", "vllm", "yaml")
    script = (
        f"import sys; from server.__main__ import build; build(None); print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("words", "code"), [(["version"], 0), (["keys", "nonsense"], 2)])
def test_what_has_loaded_a_chat_model_ends_without_the_interpreter_s_end(
    monkeypatch: pytest.MonkeyPatch, words: list[str], code: int
) -> None:
    """Which would print fifty lines about Triton's bindings after the command's own last one."""
    left: list[int] = []
    monkeypatch.setattr("server.cli.ending.leave", left.append)
    monkeypatch.setattr(sys, "argv", ["sagehold", *words])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    for loaded in (False, True):
        if loaded:
            monkeypatch.setitem(sys.modules, "triton", ModuleType("triton"))
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == code
        assert left == ([code] if loaded else [])


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    shown = call(name, "--help")
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


def test_every_flag_of_serve_is_a_setting_and_says_what_it_does() -> None:
    shown = call("serve", "--help").output
    assert "--port" in shown
    assert (Settings.model_fields["port"].description or "?") in shown


def test_version_tells_what_is_installed() -> None:
    versions = json.loads(call("version", "--json").output)
    assert versions["sagehold"] == __version__
    assert "fastapi" in versions


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = call("serve", "--port", str(port), "--data-dir", str(tmp_path / "data"))
    assert ended.exit_code == 2
    assert ended.stderr == f"sagehold: port {port} on 127.0.0.1 is in use; choose another by --port or SAGEHOLD_PORT\n"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SAGEHOLD_PORT", "eighty", "SAGEHOLD_PORT: "),
        ("SAGEHOLD_PORTT", "80", "did you mean SAGEHOLD_PORT?"),
        ("SAGEHOLD_HOST", "192.0.2.1", "can't listen on 192.0.2.1"),
        ("SAGEHOLD_DATA_DIR", "/dev/null/x", "SAGEHOLD_DATA_DIR: can't make /dev/null/x"),
    ],
)
def test_a_wrong_setting_ends_serve_with_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    ended = call("serve")
    assert ended.exit_code == 2
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(("name", "task"), [("ASKSAGE", "chat"), ("EMBEDDING", "embedding"), ("RERANK", "score")])
def test_config_check_knows_the_models_that_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, task: str
) -> None:
    (tmp_path / "m.yaml").write_text(FAKE.replace("chat", task))
    monkeypatch.setenv(f"SAGEHOLD_{name}_MODEL", f"fake-{task}")
    right = call("config", "check", "--model-configs", str(tmp_path))
    assert right.exit_code == 0, right.output
    monkeypatch.setenv(f"SAGEHOLD_{name}_MODEL", "absent")
    wrong = call("config", "check", "--model-configs", str(tmp_path))
    words = (
        f"sagehold: SAGEHOLD_{name}_MODEL: no model 'absent' that does {task} is installed; these are: fake-{task}\n"
    )
    assert (wrong.exit_code, wrong.stderr) == (2, words)


def test_config_check_tells_file_and_line(tmp_path: Path) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "a.yaml").write_text(FAKE)
    right = call("config", "check", "--model-configs", str(folder))
    assert right.exit_code == 0
    assert "1 models" in right.output
    (folder / "a.yaml").write_text(FAKE + "prise: 3\n")
    wrong = call("config", "check", "--model-configs", str(folder))
    assert wrong.exit_code == 2
    assert "a.yaml:4" in wrong.stderr
    assert "prise" in wrong.stderr


def test_config_show_lists_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEHOLD_PORT", "4711")
    shown = call("config", "show").output
    assert "4711" in shown
    for name in Settings.model_fields:
        assert f"SAGEHOLD_{name.upper()}" in shown


def test_config_show_shows_values_whole_and_no_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEHOLD_DATABASE_URL", "postgresql+asyncpg://sagehold:secret-word@db.example.com/sagehold")
    monkeypatch.setenv("SAGEHOLD_LIMITS_URL", "rediss://:secret-word@limits.example.com:6379/0")
    monkeypatch.setenv("SAGEHOLD_OTLP_ENDPOINT", "http://me:secret-word@collector.example.com:4318")
    shown = call("config", "show").output
    assert "secret-word" not in shown
    for whole in (
        "postgresql+asyncpg://sagehold:***@db.example.com/sagehold",
        "rediss://:***@limits.example.com:6379/0",
        "http://me:***@collector.example.com:4318",
    ):
        assert whole in shown


def test_help_tells_all_that_there_is_to_know_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "whoever has it has the secret" in " ".join(call("backup", "--help").output.split())
    assert "Stop the server first." in call("restore", "--help").output


@pytest.mark.parametrize("command", ["keys", "accounts"])
def test_help_tells_what_a_limit_is_that_is_left_out(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no limit where something is made, and stays as it is where something is changed."""
    monkeypatch.setenv("COLUMNS", "200")
    for verb, default in (("create", "no limit"), ("change", "unchanged")):
        lines = call(command, verb, "--help").output.splitlines()
        for flag in ("--requests-per-minute", "--tokens-per-minute", "--concurrent"):
            [line] = [line for line in lines if flag in line]
            assert f"[default: ({default})]" in line


def test_a_misspelt_command_is_corrected() -> None:
    ended = call("serv")
    assert ended.exit_code == 2
    assert "'serve'" in ended.stderr


def test_a_plan_is_told_and_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configs = tmp_path / "model_configs"
    configs.mkdir()
    (configs / "fake.yaml").write_text(FAKE + "price: {completion_token: 1}\nquality: {ultra: {drafts: 3}}\n")
    monkeypatch.setenv("SAGEHOLD_MODEL_CONFIGS", str(configs))
    plan = json.loads(call("plan", "--quality", "ultra", "--max-tokens", "10", "--json", "Hello").output)
    assert (plan["model"], plan["quality"], plan["reason"]) == ("fake-chat", "ultra", "asked for")
    assert [one["pass"] for one in plan["passes"]] == ["drafts", "judge", "critique", "rewrite", "compare"]
    assert [one["most_credits"] for one in plan["passes"]] == [30, 3, 200, 10, 2]
    assert plan["most_credits"] == 245
    shown = call("plan", "--model", "fake-chat:low", "What is 1 + 1?")
    assert "low (asked for; the mode sets" in shown.output
    assert "max_tokens 128" in shown.output
    assert "arithmetic in the prompt" in call("plan", "What is 1 + 1?").output
    assert "busy (90%)" in call("plan", "--load", "0.9").output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--quality", "best"), "'best' is no quality mode"),
        (("--model", "nobody"), "nobody"),
        (("--task", "image"), "No model for image is installed"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(
    words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "model_configs").mkdir()
    (tmp_path / "model_configs" / "fake.yaml").write_text(FAKE)
    monkeypatch.setenv("SAGEHOLD_MODEL_CONFIGS", str(tmp_path / "model_configs"))
    refused = call("plan", *words)
    assert refused.exit_code == 2
    assert message in refused.output


def test_version_is_a_flag_too() -> None:
    told = CliRunner().invoke(build(None), ["--version"])
    assert (told.exit_code, told.output) == (0, f"sagehold {__version__}\n")
    for words in (["version", "--version"], ["--versio"]):
        assert CliRunner().invoke(build(words[0]), words).exit_code == 2
    assert "--version" in CliRunner().invoke(build(None), ["--help"]).output
