"""One way of writing sizes, in settings and in model configs."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from server.__main__ import build
from server.models.config.catalog import Catalog, CatalogError
from server.models.config.spec import VllmModel
from server.settings import PREFIX, Settings, SettingsError, load_settings
from server.sizes import is_size, show_size, size_of

WAYS: list[tuple[Any, int]] = [
    ("1GiB", 2**30),
    ("500MiB", 500 * 2**20),
    ("1.5 gib", 3 * 2**29),
    ("0.1KiB", 102),
    ("3GB", 3 * 10**9),
    (" 64 kib ", 2**16),
    ("2TiB", 2**41),
    ("1073741824", 2**30),
    ("12b", 12),
    (1024, 1024),
    (1e9, 10**9),
    ("0", 0),
]
WRONG: list[Any] = ["", "1G", "1 Gi", "GiB", "-1GiB", "1,5GiB", "1e9", "many", "1GiB2", "٣GiB", True, 1.5, None, [1]]


@pytest.mark.parametrize(("text", "size"), WAYS)
def test_a_size_is_read(text: Any, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_size_is_told_how_to_write_one(text: Any) -> None:
    with pytest.raises(ValueError, match="a size is written as 1GiB, 500MiB, or 1073741824 for plain bytes"):
        size_of(text)


@pytest.mark.parametrize("text", ["1025TiB", "99999999999999999999TiB", 2**63, 1e30])
def test_a_size_that_no_json_number_of_64_bits_holds_is_refused(text: Any) -> None:
    """A host_memory of that size made every list of models a 500."""
    with pytest.raises(ValueError, match="a size is at most 1024TiB"):
        size_of(text)


@pytest.mark.parametrize("text", ["1GiB", "500MiB", "3KiB", "1025", "0", "2TiB"])
def test_a_size_is_shown_as_it_is_best_written(text: str) -> None:
    assert show_size(size_of(text)) == text


SIZES = ["host_memory", "gpu_memory", "max_body", "max_upload", "max_image_input", "max_audio_input", "image_store_max"]


def test_every_setting_in_bytes_is_a_size() -> None:
    assert {name for name, field in Settings.model_fields.items() if is_size(field)} >= set(SIZES)
    told = {name for name, field in Settings.model_fields.items() if "in bytes" in (field.description or "")}
    assert [name for name in told if not is_size(Settings.model_fields[name])] == []


@pytest.mark.parametrize("name", SIZES)
def test_settings_take_units_and_say_how_they_are_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = f"{PREFIX}{name.upper()}"
    monkeypatch.setenv(variable, "2GiB")
    assert getattr(load_settings(), name) == 2**31
    monkeypatch.setenv(variable, "2 gigs")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    message = f"{variable}: a size is written as 1GiB, 500MiB, or 1073741824 for plain bytes, not '2 gigs'"
    assert str(refused.value) == message


def test_the_settings_file_and_the_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sagehold.yaml"
    file.write_text("max_body: 1MiB\nhost_memory: 3000000000\n")
    monkeypatch.setenv(f"{PREFIX}CONFIG", str(file))
    assert (load_settings().max_body, load_settings().host_memory) == (2**20, 3 * 10**9)
    monkeypatch.setenv(f"{PREFIX}MAX_BODY", "0MiB")
    with pytest.raises(SettingsError, match="SAGEHOLD_MAX_BODY: Input should be greater than 0"):
        load_settings()


def test_config_show_writes_sizes_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}HOST_MEMORY", "3221225472")
    shown = CliRunner().invoke(build("config"), ["config", "show"]).output
    assert "SAGEHOLD_HOST_MEMORY            3GiB" in shown
    assert "20MiB" in shown
    assert "SAGEHOLD_PORT                   8000" in shown


def test_model_configs_take_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").touch()
    (tmp_path / "a" / "model.safetensors").touch()
    config = tmp_path / "a.yaml"
    sizes = "kv_cache: 1.5GiB\nhost_memory: 3GB\ngpu_memory: 1073741824\ncpu_offload: 500MiB\n"
    config.write_text(f"name: a\nengine: vllm\npath: a\n{sizes}")
    [spec] = Catalog.load(tmp_path, tmp_path, None).models
    assert isinstance(spec, VllmModel)
    assert (spec.kv_cache, spec.host_memory) == (3 * 2**29, 3 * 10**9)
    assert (spec.gpu_memory, spec.cpu_offload) == (2**30, 500 * 2**20)
    config.write_text("name: a\nengine: vllm\npath: a\nkv_cache: 4G\n")
    with pytest.raises(CatalogError) as refused:
        Catalog.load(tmp_path, tmp_path, None)
    how = "kv_cache: a size is written as 1GiB, 500MiB, or 1073741824 for plain bytes, not '4G'"
    assert str(refused.value) == f"{config}:4: {how}"
