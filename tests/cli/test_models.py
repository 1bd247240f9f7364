"""`sagehold models list` and `check`, run as a program would run them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.models import app
from server.models.manifest import Manifest

EARS = """\
name: ears
engine: whisper
path: ears
fetch: scripts/models
price: {audio_second: 0.0010}
---
bundle: all
tasks: {transcription: ears}
names: [{id: whisper-1}]
---
name: later
engine: whisper
path: later
fetch: bring later
---
name: fake
engine: fake
serves: chat
probe: {prompt: "Hello?", expect: "no fake says this"}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "a.yaml").write_text(EARS)
    ears = tmp_path / "models" / "ears"
    ears.mkdir(parents=True)
    (ears / "model.bin").write_bytes(b"weights")
    (ears / "config.json").write_text("{}")
    Manifest.of(ears, "a test").write(ears)
    for name in ("models_dir", "model_configs", "data_dir"):
        folder = {"models_dir": "models", "model_configs": "configs", "data_dir": "data"}[name]
        monkeypatch.setenv(f"SAGEHOLD_{name.upper()}", str(tmp_path / folder))
    return tmp_path


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, result.output
    return result.output


def test_list_as_json(place: Path) -> None:
    ears, fake, later = json.loads(run("list", "--json"))
    assert ears | {"size": 0} == {
        "id": "ears",
        "task": "transcription",
        "engine": "whisper",
        "installed": True,
        "missing": [],
        "fetch": "scripts/models",
        "size": 0,
        "price": {"audio_second": "0.001"},
        "names": ["whisper-1"],
        "load": "eager",
        "description": "",
    }
    assert ears["size"] > 9
    assert (fake["id"], fake["installed"]) == ("fake", True)
    assert (later["installed"], later["missing"], later["fetch"]) == (False, ["later"], "bring later")
    assert not (place / "data").exists()


def test_list_for_people(place: Path) -> None:
    text = run("list")
    assert "missing later" in text
    assert "bring them by: bring later" in text
    assert "audio_second" not in text
    assert "0.001 per second of audio" in text
    assert "whisper-1" in text


def test_check_reads_every_byte(place: Path) -> None:
    assert "✓ ears: 2 files as recorded, by sha256" in run("check", "ears")
    weights = place / "models" / "ears" / "model.bin"
    weights.write_bytes(b"wEights")
    assert "model.bin: damaged, its sha256 is not the recorded one" in run("check", code=1)
    weights.write_bytes(b"weight")
    (result,) = json.loads(run("check", "ears", "--json", code=1))
    assert result["problems"] == ["model.bin: 6 bytes, should be 7"]


def test_check_without_a_manifest(place: Path) -> None:
    (place / "models" / "ears" / "manifest.json").unlink()
    assert "2 files are there (no manifest.json tells their sha256)" in run("check", "ears")
    (place / "models" / "ears" / "model.bin").write_bytes(b"")
    assert "model.bin: empty" in run("check", "ears", code=1)


def test_check_of_what_is_not_there(place: Path) -> None:
    assert "later: missing; bring it by: bring later" in run("check", "later", code=1)
    assert "There is no model 'nope'. Configured: ears, fake, later" in run("check", "nope", code=2)


def test_check_load_runs_the_probe(place: Path) -> None:
    (result,) = json.loads(run("check", "--load", "fake", "--json", code=1))
    assert "probe failed: asked 'Hello?'" in result["problems"][0]
    config = place / "configs" / "a.yaml"
    config.write_text(EARS.replace('expect: "no fake says this"', 'expect: ""'))
    (result,) = json.loads(run("check", "--load", "fake", "--json"))
    assert result["problems"] == []
    assert result["load_seconds"] >= 0


def test_wrong_configs_are_told_with_file_and_line(place: Path) -> None:
    (place / "configs" / "a.yaml").write_text("name: ears\nengine: whisper\npath: ears\nbeem: 3\n")
    text = run("list", code=2)
    assert "a.yaml:4: beem: there is no such field" in text
    assert "Traceback" not in text


def test_nothing_installed(place: Path) -> None:
    (place / "configs" / "a.yaml").write_text("name: ears\nengine: whisper\npath: nowhere\n")
    assert "No model is installed" in run("check", code=1)
