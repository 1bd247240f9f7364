"""What `scripts/check_libraries` finds: in environments made up, and in the one that these tests run in."""

import sys
from pathlib import Path

import pytest

from scripts.libraries import __main__ as command
from scripts.libraries.check import problems
from scripts.libraries.elf import Library, read, read_folder


def library(path: str, *, links: tuple[str, ...] = (), opens: tuple[str, ...] = (), places: tuple[str, ...] = ()):  # noqa: ANN201
    names = (Path(path), Path(path).name)
    return Library(*names, frozenset(links), frozenset(opens), frozenset(Path(place) for place in places))


RUNTIME = library("nvidia/cu13/lib/libcudart.so.13")
TORCH = library("torch/lib/libtorch_cuda.so", links=("libcudart.so.13", "libc.so.6"), places=("nvidia/cu13/lib",))


def test_what_is_linked_is_found_beside_where_it_says_or_in_torch() -> None:
    assert problems([RUNTIME, TORCH]) == []
    assert problems([RUNTIME, TORCH, library("vllm/_C.so", links=("libtorch_cuda.so", "libcudart.so.13"))]) == []
    assert problems([library("av/a.so", links=("libb.so.1",)), library("av/libb.so.1")]) == []


def test_what_is_linked_and_nowhere_is_named() -> None:
    (line,) = problems([library("av/a.so", links=("libb.so.1",))])
    assert line.startswith("av/a.so links libb.so.1")


def test_what_lies_elsewhere_does_not_help() -> None:
    (line,) = problems([library("av/a.so", links=("libb.so.1",)), library("other/libb.so.1")])
    assert "lies where it does not look" in line
    assert problems([library("av/a.so", links=("libb.so.1",), places=("other",)), library("other/libb.so.1")]) == []


def test_whisper_on_cuda_without_cublas_12_is_found() -> None:
    """The fault: CTranslate2 opens libcublas.so.12 by name, and the environment had CUDA 13's."""
    opener = library("ctranslate2.libs/libctranslate2.so.4", opens=("libcublas.so.12", "libcuda.so.1"))
    cublas13 = library("nvidia/cu13/lib/libcublas.so.13")
    (line,) = problems([RUNTIME, TORCH, cublas13, opener])
    assert "opens libcublas.so.12, which is neither in the environment" in line

    cublas12 = library("nvidia/cublas/lib/libcublas.so.12")
    (line,) = problems([RUNTIME, TORCH, cublas12, opener])
    assert "nobody loads it" in line
    assert problems([RUNTIME, TORCH, cublas12, opener], {"libcublas.so.12"}) == []


def test_without_a_gpu_nobody_opens_cudas_libraries() -> None:
    assert problems([library("ctranslate2.libs/libctranslate2.so.4", opens=("libcublas.so.12", "libnccl.so.2"))]) == []


def test_other_makers_hardware_is_not_asked_for() -> None:
    assert problems([RUNTIME, library("x/y.so", opens=("libamdhip64.so.6", "libibverbs.so.1"))]) == []


def test_a_compiled_extension_is_read() -> None:
    """One that this environment has: what it links, and that text is no library."""
    import yaml._yaml

    path = Path(yaml._yaml.__file__)
    found = read(path, path.parents[1])
    assert found is not None
    assert found.path == Path("yaml") / path.name
    assert "libc.so.6" in found.links
    assert read(Path(__file__), Path(__file__).parent) is None


def test_a_folder_without_libraries(tmp_path: Path) -> None:
    (tmp_path / "empty.so").touch()
    (tmp_path / "text.so.py").write_text("pass")
    assert list(read_folder(tmp_path)) == []


def test_every_extension_of_this_environment_finds_its_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([sys.prefix]) == 0, capsys.readouterr().err


def test_a_folder_that_is_no_environment_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(tmp_path)]) == 2
    assert "no Python environment" in capsys.readouterr().err
