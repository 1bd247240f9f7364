"""`sagehold config check` beyond the form of the files: what vLLM knows, what is here, what the files hold."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.__main__ import build
from server.engines.vllm import hardware
from server.models.config import check as config_check
from server.models.config.catalog import check_configs
from server.models.config.check import Findings, look_closer

ROOT = Path(__file__).resolve().parents[3]
CHAT = "name: chat\nengine: vllm\npath: chat\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hardware, "cuda", lambda: False)
    (tmp_path / "configs" / "examples").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    return tmp_path


def install(place: Path) -> Path:
    folder = place / "models" / "chat"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.bin").touch()
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    return folder


def look(place: Path, text: str, file: str = "a.yaml") -> Findings:
    (place / "configs" / file).write_text(text)
    return look_closer(check_configs(place / "configs"), place / "models")


def problems(place: Path, text: str, file: str = "a.yaml") -> list[str]:
    return [str(one).removeprefix(f"{place}/configs/") for one in look(place, text, file).problems]


def test_a_right_config_has_no_findings(place: Path) -> None:
    install(place)
    assert look(place, CHAT + "tool_parser: hermes\n") == Findings((), ())


def test_what_vllm_does_not_know_has_file_and_line(place: Path) -> None:
    assert problems(place, f"{CHAT}kv_cache: 1GiB\nextra:\n  seed: 1\n  enforce_egaer: true\n") == [
        "a.yaml:7: extra.enforce_egaer: this vLLM knows no engine argument 'enforce_egaer'; did you mean enforce_eager?"
    ]
    (found,) = problems(place, CHAT + "tool_parser: hermez\n")
    assert found.startswith("a.yaml:4: tool_parser: this vLLM knows no tool parser 'hermez'; did you mean hermes? allo")


def test_what_this_machine_cannot_honour(place: Path) -> None:
    found = problems(place, CHAT + "images: true\ncpu_offload: 1GiB\nload_format: tensorizer\n")
    assert [line.partition(" ")[0] + line.split(" ")[1] for line in found] == [
        "a.yaml:4:images:",
        "a.yaml:5:cpu_offload:",
        "a.yaml:6:load_format:",
    ]


def test_examples_are_for_other_machines_but_for_this_vllm(place: Path) -> None:
    assert problems(place, CHAT + "images: true\ncpu_offload: 1GiB\n", "examples/a.yaml") == []
    (found,) = problems(place, CHAT + "quantization: awk\n", "examples/a.yaml")
    assert found.startswith("examples/a.yaml:4: quantization: ")


def test_files_are_looked_into(place: Path) -> None:
    folder = install(place)
    (place / "configs" / "t.jinja").write_text("{% if x %}")
    (folder / "model.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{}")
    found = problems(place, f"{CHAT}chat_template: t.jinja\nadapters:\n  - name: pirate\n    path: pirate\n")
    assert found[0].startswith("a.yaml:3: path: model.safetensors is cut short: ")
    assert found[1].startswith("a.yaml:4: chat_template: t.jinja, line 1: Unexpected end of template.")
    assert found[2:] == [
        "a.yaml:7: adapters.0.path: the adapter pirate can't be served: there is no folder pirate",
    ]


def test_an_adapter_of_a_model_that_is_not_installed_is_not_looked_for(place: Path) -> None:
    assert problems(place, CHAT + "adapters: [{name: pirate, path: pirate}]\n") == []


def test_a_model_without_a_template_is_a_warning(place: Path) -> None:
    folder = install(place)
    (folder / "tokenizer_config.json").write_text("{}")
    findings = look(place, CHAT)
    assert findings.problems == ()
    assert [str(one) for one in findings.warnings] == [
        (
            f"{place}/configs/a.yaml:1: name: chat: the model has no chat template, so chat requests will be refused; "
            "name one by the field `chat_template`"
        )
    ]
    (place / "configs" / "t.jinja").write_text("{{ messages }}")
    assert look(place, CHAT + "chat_template: t.jinja\n") == Findings((), ())
    assert look(place, CHAT + "tokenizer_mode: mistral\n") == Findings((), ())


def test_without_vllm_that_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_check, "find_spec", lambda _name: None)
    findings = look(place, CHAT + "tool_parser: hermez\n")
    assert findings.problems == ()
    assert "vLLM is not installed" in str(findings.warnings[0])


def test_without_chat_models_vllm_is_not_imported(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "server.engines.vllm.check", None)
    assert look(place, "name: ears\nengine: whisper\npath: ears\n").problems == ()


def test_an_image_models_parts_are_looked_for(place: Path) -> None:
    config = "name: painter\nengine: diffusers\npath: painter\nsize: [64, 64]\n"
    assert problems(place, config) == []
    folder = place / "models" / "painter"
    (folder / "vae").mkdir(parents=True)
    parts = {"_class_name": "X", "vae": ["diffusers", "A"], "unet": ["diffusers", "B"], "safety_checker": [None, None]}
    (folder / "model_index.json").write_text(json.dumps(parts))
    (folder / "vae" / "model.safetensors").write_bytes(b"short")
    assert problems(place, config + "scorer: clip\n") == [
        "a.yaml:3: path: model_index.json names the part unet, which has no folder",
        "a.yaml:3: path: vae/model.safetensors is no safetensors file, or a damaged one",
        "a.yaml:5: scorer: there is no CLIP model clip",
    ]
    (folder / "model_index.json").write_text("[")
    assert problems(place, config) == ["a.yaml:3: path: model_index.json can't be read as JSON"]


def test_the_command_ends_with_2_and_warns(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEHOLD_MODELS_DIR", str(place / "models"))
    monkeypatch.setenv("SAGEHOLD_MODEL_CONFIGS", str(place / "configs"))
    (install(place) / "tokenizer_config.json").write_text("{}")
    (place / "configs" / "a.yaml").write_text(CHAT)
    right = CliRunner().invoke(build("config"), ["config", "check"])
    assert right.exit_code == 0
    assert "has no chat template" in right.stderr
    (place / "configs" / "a.yaml").write_text(CHAT + "tool_parser: hermez\n")
    wrong = CliRunner().invoke(build("config"), ["config", "check"])
    assert wrong.exit_code == 2
    assert "a.yaml:4: tool_parser: " in wrong.stderr


def test_every_shipped_config_and_example_is_known_to_this_vllm() -> None:
    assert look_closer(check_configs(ROOT / "model_configs"), ROOT / "none").problems == ()


def test_a_classifiers_labels_are_looked_for(place: Path) -> None:
    folder = place / "models" / "guard"
    folder.mkdir()
    for file in ("tokenizer.json", "model.onnx"):
        (folder / file).write_text("{}")
    named = {"id2label": {"0": "toxic", "1": "fine"}}
    (folder / "config.json").write_text(json.dumps(named))
    config = "name: guard\nengine: embed\npath: guard\nmoderation:\n  categories: {LABEL: hate}\n"
    assert look(place, config.replace("LABEL", "toxic")) == Findings((), ())
    assert problems(place, config.replace("LABEL", "toxik")) == [
        "a.yaml:4: moderation: The model has no label toxik. Its labels are toxic, fine."
    ]
    (folder / "config.json").write_text(json.dumps(named | {"problem_type": "regression"}))
    (found,) = problems(place, config.replace("LABEL", "toxic"))
    assert found.startswith("a.yaml:4: moderation: config.json of the model has a problem_type")


def test_an_encoders_files_are_read(place: Path) -> None:
    folder = place / "models" / "enc"
    folder.mkdir()
    for file in ("config.json", "tokenizer.json", "model.onnx"):
        (folder / file).write_text("{}")
    (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Dense", "path": "0"}]))
    config = "name: enc\nengine: embed\npath: enc\n"
    assert problems(place, config) == ["a.yaml:3: path: The model has a module Dense, which this engine does not know."]
    (folder / "modules.json").unlink()
    found = look(place, config)
    assert found.problems == ()
    assert ["token ids are refused" in one.message for one in found.warnings] == [True]
    (place / "models" / "cl100k-base").mkdir()
    (place / "models" / "cl100k-base" / "cl100k_base.tiktoken").touch()
    assert look(place, config) == Findings((), ())


@pytest.mark.parametrize("name", ["flash", "_flash_3", "sage", "xformers"])
def test_attention_by_a_package_that_is_not_here(place: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    config = f"name: painter\nengine: diffusers\npath: painter\nsize: [64, 64]\nattention: {name}\n"
    known = config_check.find_spec
    packages = config_check.ATTENTION_PACKAGES.values()
    monkeypatch.setattr(config_check, "find_spec", lambda one: None if one in packages else known(one))
    (found,) = problems(place, config)
    assert found.startswith(f"a.yaml:5: attention: {name} needs the package {config_check.ATTENTION_PACKAGES[name]}")
    (place / "configs" / "a.yaml").unlink()
    assert problems(place, config, "examples/a.yaml") == []
