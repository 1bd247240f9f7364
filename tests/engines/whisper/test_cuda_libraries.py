"""CUDA 12's cuBLAS is loaded before CTranslate2 asks for it, and without it transcription runs on the processor."""

import logging
from pathlib import Path

import pytest

from server.engines.whisper.cuda_libraries import LIBRARIES, load_cublas
from server.engines.whisper.handler import device_for
from server.errors import ModelUnavailable


def packages(root: Path) -> Path:
    """site-packages as the two packages fill it."""
    for folder, name in LIBRARIES:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / name).touch()
    return root


def test_the_packages_files_are_loaded_each_after_what_it_needs(tmp_path: Path) -> None:
    site = packages(tmp_path / "site")
    loaded: list[str] = []
    assert load_cublas([str(tmp_path / "other"), str(site)], loaded.append) is None
    assert [Path(path).name for path in loaded] == ["libnvrtc.so.12", "libcublasLt.so.12", "libcublas.so.12"]
    assert all(path.startswith(str(site)) for path in loaded)


def test_without_the_packages_the_systems_are_taken(tmp_path: Path) -> None:
    loaded: list[str] = []
    assert load_cublas([str(tmp_path)], loaded.append) is None
    assert loaded == [name for _, name in LIBRARIES]


def test_what_cannot_be_loaded_is_the_reason(tmp_path: Path) -> None:
    """By the real loader: an empty file is no library."""
    reason = load_cublas([str(packages(tmp_path))])
    assert reason is not None
    assert "libnvrtc.so.12" in reason


def test_ctranslate2_opens_what_is_loaded_for_it() -> None:
    """The names that its library holds: with another CUDA in a new release, this and the lock must follow."""
    import importlib.util

    from scripts.libraries.elf import read

    spec = importlib.util.find_spec("ctranslate2")
    assert spec is not None
    assert spec.origin is not None
    site = Path(spec.origin).parents[1]
    (path,) = (site / "ctranslate2.libs").glob("libctranslate2*.so*")
    library = read(path, site)
    assert library is not None
    cuda = {name for name in library.opens if name.startswith(("libcu", "libnv"))} - {"libcuda.so.1"}
    assert cuda == {"libcublas.so.12"}
    assert cuda <= {name for _, name in LIBRARIES}


@pytest.mark.parametrize(("wanted", "gpus", "device"), [("auto", 1, "cuda"), ("cuda", 2, "cuda"), ("auto", 0, "cpu")])
def test_the_device_where_the_libraries_are_there(wanted: str, gpus: int, device: str) -> None:
    assert device_for(wanted, gpus, lambda: None) == device


def test_auto_falls_back_to_the_processor_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> str:
        return "libcublas.so.12: no such file"

    with caplog.at_level(logging.WARNING):
        assert device_for("auto", 1, fail) == "cpu"
    assert "on the processor" in caplog.text
    assert "libcublas.so.12: no such file" in caplog.text
    with pytest.raises(ModelUnavailable, match="CUDA 12's cuBLAS"):
        device_for("cuda", 1, fail)


def test_the_processor_needs_none() -> None:
    def touched() -> str:
        pytest.fail("CUDA was touched")

    assert device_for("cpu", 1, touched) == "cpu"
    with pytest.raises(ModelUnavailable, match="no CUDA device"):
        device_for("cuda", 0, touched)
