"""Weight files that are cut short are named, with their sizes."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from server.engines import shards


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model-1.safetensors", "model-2.safetensors"):
        save_file({"a": np.zeros((4, 4), np.float32), "b": np.ones(3, np.float16)}, tmp_path / name)
    return tmp_path


def test_whole_files(folder: Path) -> None:
    assert shards.problem(folder) is None
    (folder / "model.bin").touch()
    assert shards.problem(folder) is None


def test_a_file_that_is_cut_short(folder: Path) -> None:
    file = folder / "model-2.safetensors"
    data = file.read_bytes()
    for length, complaint in (
        (len(data) - 1, f"is cut short: {len(data) - 1:,} bytes are there, and its header tells of {len(data):,}"),
        (20, "is cut short: its header alone needs"),
        (3, "is "),
        (0, "is "),
    ):
        file.write_bytes(data[:length])
        assert (shards.problem(folder) or "").startswith(f"model-2.safetensors {complaint}"), length
    file.write_bytes(data + b"\0")
    assert (shards.problem(folder) or "").startswith("model-2.safetensors is longer than it says")


@pytest.mark.parametrize(
    "data", [b"version https://git-lfs.github.com/spec/v1\n", b"\x04\0\0\0\0\0\0\0nope", b"\2" * 8]
)
def test_a_file_that_is_something_else(folder: Path, data: bytes) -> None:
    (folder / "model-1.safetensors").write_bytes(data)
    assert shards.problem(folder) == "model-1.safetensors is no safetensors file, or a damaged one"
