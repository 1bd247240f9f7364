"""`sagehold serve` lets the engine processes begin to import only where a chat model will be loaded."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from server.cli import serve
from server.engines.vllm import forkserver, hardware
from server.models.config import weights
from server.settings import Settings

CHAT = "name: chat\nengine: vllm\npath: chat\n"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    calls: list[bool] = []
    monkeypatch.setattr(forkserver, "plan", lambda: calls.append(True))
    monkeypatch.setattr(hardware, "mismatch", lambda: None)
    monkeypatch.setattr(weights, "missing", lambda spec, models_dir: ())
    return calls


def begin(folder: Path, config: str) -> None:
    (folder / "model.yaml").write_text(config)
    serve.begin_imports(Settings(model_configs=folder, models_dir=folder))


def test_a_chat_model_that_is_installed_begins_them(started: list[bool], tmp_path: Path) -> None:
    begin(tmp_path, CHAT)
    assert started == [True]


@pytest.mark.parametrize(
    "config",
    [CHAT + "load: lazy\n", "name: chat\nengine: fake\nserves: chat\n", "name: chat\nengine: vllm\npaht: wrong\n"],
    ids=["later", "no vLLM", "wrong config"],
)
def test_nothing_else_does(started: list[bool], tmp_path: Path, config: str) -> None:
    begin(tmp_path, config)
    assert started == []


def test_no_weights_no_imports(started: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "missing", lambda spec, models_dir: (Path("model.safetensors"),))
    begin(tmp_path, CHAT)
    assert started == []


def test_a_build_that_cannot_run_here_is_refused_at_once(
    started: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hardware, "mismatch", lambda: hardware.Finding("No GPU: do this.", fatal=True))
    with pytest.raises(typer.Exit) as end:
        begin(tmp_path, CHAT)
    assert end.value.exit_code == 2
    assert "No GPU: do this." in capsys.readouterr().err
    assert started == []


def test_a_build_that_leaves_the_gpu_alone_is_warned_of(
    started: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "mismatch", lambda: hardware.Finding("A GPU lies idle.", fatal=False))
    begin(tmp_path, CHAT)
    assert started == [True]
    assert "A GPU lies idle." in caplog.text


def test_without_a_chat_model_no_gpu_is_asked_for(
    started: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "mismatch", lambda: pytest.fail("the driver was asked"))
    begin(tmp_path, "name: chat\nengine: fake\nserves: chat\n")


API = ("fastapi", "starlette", "uvicorn", "alembic", "sqlalchemy.orm", "httpx")


def test_loads_begin_before_anything_of_the_api_is_imported() -> None:
    """What is imported before a chat model's own imports puts off all of them."""
    modules = "server.cli.serve, server.cli.door, server.models.opening, server.engines.vllm.engine"
    code = f"import sys, {modules}; print([name for name in {API!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
