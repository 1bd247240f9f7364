"""Models whose files are not here: at the start, to callers, and for `sagehold config check`."""

import shutil
from pathlib import Path

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import build
from server.core import Caller, Task
from server.errors import ModelNotFound, ModelNotInstalled
from server.models.config.catalog import Catalog, CatalogError, check_configs
from server.settings import Settings
from server.testing import FakeServer

ROOT = Path(__file__).resolve().parents[3]
EARS = "name: ears\nengine: whisper\npath: ears\nfetch: bring ears\n"
VOICE = "name: voice\nengine: piper\npath: voice\nvoices: {joe: {file: joe.onnx}}\n"
BUNDLE = "bundle: all\ntasks: {transcription: ears, speech: voice}\nnames: [{id: both}]\n"
HELLO = {"messages": [{"role": "user", "content": "hi"}]}
ONLY_EARS = "bundle: some\ntasks: {transcription: ears}\nnames: [{id: whisper-1}]\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ears that are not installed, and a voice that is."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "a.yaml").write_text(f"{EARS}---\n{VOICE}---\n{BUNDLE}---\n{ONLY_EARS}")
    (tmp_path / "models" / "voice").mkdir(parents=True)
    for file in ("joe.onnx", "joe.onnx.json"):
        (tmp_path / "models" / "voice" / file).touch()
    monkeypatch.setenv("SAGEHOLD_MODEL_CONFIGS", str(tmp_path / "configs"))
    monkeypatch.setenv("SAGEHOLD_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("SAGEHOLD_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def load(place: Path, *only: str) -> Catalog:
    return Catalog.load(place / "configs", place / "models", None, only=only)


def config_check() -> Result:
    return CliRunner().invoke(build("config"), ["config", "check"])


# ---------------------------------------------------------------- callers


def test_callers_are_told_that_it_is_not_installed(place: Path) -> None:
    catalog = load(place)
    for name in ("ears", "whisper-1"):
        with pytest.raises(ModelNotInstalled) as refused:
            catalog.resolve(name, Task.TRANSCRIPTION)
        assert (refused.value.status, refused.value.code) == (404, "model_not_installed")
        assert refused.value.message == (
            f"The model `{name}` is configured here, but its files are not installed. "
            "`sagehold models list` tells whoever runs this server how to bring them."
        )
    with pytest.raises(ModelNotInstalled, match="`both` has no model for transcription now: the files of"):
        catalog.resolve("both", Task.TRANSCRIPTION)
    with pytest.raises(ModelNotFound) as unknown:
        catalog.resolve("both", Task.CHAT)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(ModelNotFound, match="`nope` does not exist"):
        catalog.resolve("nope", Task.CHAT)


def test_what_was_not_asked_for_does_not_exist(place: Path) -> None:
    with pytest.raises(ModelNotFound) as refused:
        load(place, "voice").resolve("ears", Task.TRANSCRIPTION)
    assert refused.value.code == "model_not_found"


@pytest.mark.anyio
async def test_only_keys_that_may_use_it_are_told(
    fake: FakeServer, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake.catalog, "unserved", ModelNotInstalled.called)
    for name in ("later", "later:ultra"):
        answer = await client.get(f"/v1/models/{name}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_installed")
        answer = await client.post("/v1/chat/completions", json={"model": name, **HELLO})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_installed")
    fake.accounts.keys["sk-sage-few"] = Caller("key_f", "acct_f", models=frozenset({"fake-chat"}))  # type: ignore[attr-defined]
    async with fake.client(key="sk-sage-few") as few:
        # Nor are they told what another name of another task can't do.
        names = ("later", "later:ultra", "fake-speech")
        answers = [await few.post("/v1/chat/completions", json={"model": name, **HELLO}) for name in names]
        answers.append(await few.get("/v1/models/later"))
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        assert "does not exist or you do not have access to it" in answer.json()["error"]["message"]


# ---------------------------------------------------------------- the start


@pytest.mark.parametrize("name", ["ears", "whisper-1"])
def test_asked_for_and_not_there_ends_the_start(place: Path, name: str) -> None:
    with pytest.raises(CatalogError) as refused:
        load(place, name, "voice")
    assert str(refused.value) == (
        f"SAGEHOLD_MODELS: {name!r} is served by ears, which is not installed: there is no {place}/models/ears; "
        "bring it by: bring ears"
    )


def test_a_name_of_which_something_is_there_is_served(place: Path) -> None:
    [public] = load(place, "both").public_models()
    assert list(public.tasks) == [Task.SPEECH]


# ---------------------------------------------------------------- config check


def test_config_check_warns_of_missing_files(place: Path) -> None:
    checked = config_check()
    assert checked.exit_code == 0
    line, datasets = checked.stderr.splitlines()
    assert datasets.startswith("info: no embedding model is installed")
    where = f"{place}/configs/a.yaml:3: path"
    assert line == f"warning: {where}: ears is not installed: there is no {place}/models/ears; bring it by: bring ears"
    assert checked.stdout.endswith(f"2 models and 2 bundles in {place}/configs.\n")


@pytest.mark.parametrize(("name", "told"), [("ears", "not installed"), ("eers", "did you mean ears?")])
def test_config_check_finds_what_the_start_would(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    monkeypatch.setenv("SAGEHOLD_MODELS", name)
    checked = config_check()
    assert checked.exit_code == 2
    [line] = checked.stderr.splitlines()
    assert line.startswith("sagehold: SAGEHOLD_MODELS: ")
    assert told in line


def test_a_bundle_is_not_right_by_an_example_that_is_not_served(place: Path) -> None:
    """The start would find no such model."""
    (place / "configs" / "examples").mkdir()
    (place / "configs" / "examples" / "b.yaml").write_text("name: eyes\nengine: vllm\npath: x\n")
    (place / "configs" / "a.yaml").write_text("bundle: b\ntasks: {chat: eyes}\nnames: [{id: x}]\n")
    with pytest.raises(CatalogError) as checked:
        check_configs(place / "configs")
    assert (
        str(checked.value) == f"{place}/configs/a.yaml:2: tasks.chat: there is no model 'eyes'; models for chat: none"
    )


def test_an_example_may_be_copied_and_may_name_what_is_served(place: Path) -> None:
    (place / "configs" / "examples").mkdir()
    (place / "configs" / "examples" / "b.yaml").write_text(f"{EARS}---\n{BUNDLE}")
    assert len(check_configs(place / "configs").models) == 3
    (place / "configs" / "examples" / "c.yaml").write_text(EARS)
    with pytest.raises(CatalogError, match="'ears' is taken already"):
        check_configs(place / "configs")


def test_an_index_of_shards_that_cannot_be_read_is_no_traceback(place: Path) -> None:
    (place / "configs" / "a.yaml").write_text("name: chat\nengine: vllm\npath: chat\n")
    folder = place / "models" / "chat"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for text in ("{", "[]", '{"weight_map": 1}', "{}"):
        (folder / "model.safetensors.index.json").write_text(text)
        assert [spec.name for spec in load(place).models] == ["chat"]


def test_the_readmes_least_config_stands_beside_the_shipped_ones(tmp_path: Path) -> None:
    """As printed in "Add a model": its name was an example's, and `config check` refused it."""
    section = (ROOT / "README.md").read_text().partition("## Add a model")[2].partition("\n## ")[0]
    block = section.partition("```yaml\n")[2].partition("```")[0]
    shutil.copytree(ROOT / "model_configs", tmp_path / "model_configs")
    (tmp_path / "model_configs" / "mine.yaml").write_text("\n".join(line.strip() for line in block.splitlines()))
    assert "Qwen3-8B" in block
    example = tmp_path / "model_configs" / "examples" / "sdxl.yaml"
    shutil.copy(example, tmp_path / "model_configs")  # as the examples say
    check_configs(tmp_path / "model_configs")
    served = Catalog.load(tmp_path / "model_configs", Settings().models_dir, None)
    assert "qwen3-8b" in [one.spec.name for one in served.missing]
