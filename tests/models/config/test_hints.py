"""A field that stands in the wrong place is told where it belongs."""

import os
from pathlib import Path

import pytest

from server.models.config.catalog import CatalogError, check_configs
from server.models.config.files import ENGINES
from server.models.config.hints import fields_at, of_unknown

CHAT = "name: chat\nengine: vllm\npath: chat\n"
EARS = "name: ears\nengine: whisper\npath: ears\n"
VOICE = "name: voice\nengine: piper\npath: voice\nvoices: {joe: {file: joe.onnx}}\n"
BUNDLE = "bundle: all\ntasks: {chat: chat}\nnames: [{id: gpt-4o}]\n"


def problem(folder: Path, text: str) -> str:
    """The one thing that is wrong with a config, without where, and without the fields that are allowed."""
    (folder / "chat.yaml").write_text(CHAT) if text.startswith("bundle") else None
    (folder / "a.yaml").write_text(text)
    with pytest.raises(CatalogError) as refused:
        check_configs(folder)
    [line] = str(refused.value).splitlines()
    return line.removeprefix(f"{folder}/a.yaml:").partition(" allowed: ")[0].removesuffix(";")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"{CHAT}max_tokens: 64\n",
            "max_tokens: there is no such field here; it belongs under `defaults` or under `probe`",
        ),
        (f"{CHAT}temperature: 0.5\n", "temperature: there is no such field here; it belongs under `defaults`"),
        (f"{CHAT}prompt_token: 1\n", "prompt_token: there is no such field here; it belongs under `price`"),
        (f"{CHAT}ultra: {{}}\n", "ultra: there is no such field here; it belongs under `quality`"),
        (f"{CHAT}drafts: 3\n", "drafts: there is no such field here; it belongs under `quality.ultra`"),
        (f"{CHAT}suffix: x\n", "suffix: there is no such field here; it belongs under `fim`"),
        (
            f"{CHAT}defaults: {{tool_parser: hermes}}\n",
            "defaults.tool_parser: there is no such field here; it belongs at the top of the document",
        ),
        (
            f"{CHAT}probe: {{prompt: x, temperature: 0}}\n",
            "probe.temperature: there is no such field here; it belongs under `defaults`",
        ),
        (f"{VOICE}speaker: 1\n", "speaker: there is no such field here; it belongs under an entry of `voices`"),
        (f"{BUNDLE}id: x\n", "id: there is no such field here; it belongs under an entry of `names`"),
        (f"{BUNDLE}speech: x\n", "speech: there is no such field here; it belongs under `tasks`"),
        (f"{EARS}voices: {{}}\n", "voices: there is no such field; it is one of models whose engine is piper"),
        (
            f"{EARS}max_body: 1MiB\n",
            "max_body: there is no such field; it is a setting of the server, SAGEHOLD_MAX_BODY",
        ),
        (f"{EARS}beam_sice: 3\n", "beam_sice: there is no such field; did you mean beam_size?"),
        (f"{CHAT}enforce_eager: true\n", "enforce_eager: there is no such field; use the field `eager`"),
        (
            f"{CHAT}distributed_executor_backend: ray\n",
            (
                "distributed_executor_backend: there is no such field; a model is served by this machine alone, "
                "in processes that this server starts and watches"
            ),
        ),
        (f"{CHAT}block_size: 16\n", "block_size: there is no such field; vLLM's own arguments stand under `extra`"),
    ],
)
def test_a_field_in_the_wrong_place_is_told_where_it_belongs(tmp_path: Path, text: str, told: str) -> None:
    assert problem(tmp_path, text).partition(" ")[2] == told


def test_every_field_of_every_engine_is_known_in_its_own_place() -> None:
    """Whatever may stand somewhere in a config is never called unknown at the top without being told where it may."""
    for engine, schema in ENGINES.items():
        for name in ("defaults", "price", "quality", "probe"):
            for inner in fields_at(schema, (name,)) if name in schema.model_fields else ():
                if inner not in schema.model_fields:
                    told = of_unknown((inner,), schema, ENGINES)
                    assert f"`{name}" in told or "it belongs" in told, (engine, inner, told)


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "a.yaml").write_text("name: a\n")
    with pytest.raises(CatalogError) as refused:
        check_configs(Path("configs"))
    assert str(refused.value).startswith(f"{tmp_path}{os.sep}configs{os.sep}a.yaml:1: engine: is missing")
