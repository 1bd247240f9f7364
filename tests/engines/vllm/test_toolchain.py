"""What Triton needs on a GPU machine is missed before the first kernel is compiled."""

import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from server.engines.vllm import toolchain


@pytest.fixture
def include(tmp_path: Path) -> Path:
    folder = tmp_path / "include"
    folder.mkdir()
    (folder / "Python.h").touch()
    return folder


def having(*programs: str) -> Callable[[str], str | None]:
    return lambda name: f"/usr/bin/{name}" if name in programs else None


def test_nothing_is_missing(tmp_path: Path, include: Path) -> None:
    variables = {"HOME": str(tmp_path)}
    assert toolchain.missing(variables, having("gcc"), include) == []
    assert toolchain.missing(variables, having("clang"), include) == []
    assert toolchain.missing(variables | {"CC": "ccache gcc-13"}, having("ccache"), include) == []
    assert list(tmp_path.iterdir()) == [include], "looking made nothing"


def test_a_compiler(tmp_path: Path, include: Path) -> None:
    variables = {"HOME": str(tmp_path)}
    (line,) = toolchain.missing(variables, having(), include)
    assert "install gcc" in line
    (line,) = toolchain.missing(variables | {"CC": "gcc-99"}, having("gcc"), include)
    assert "CC" in line
    assert "gcc-99" in line


def test_headers(tmp_path: Path) -> None:
    (line,) = toolchain.missing({"HOME": str(tmp_path)}, having("gcc"), tmp_path)
    assert f"{tmp_path}/Python.h" in line
    assert "-dev" in line


def test_caches_that_cannot_be_written(tmp_path: Path, include: Path) -> None:
    """A file where a folder should be: as hopeless for root, who may write anywhere, as a read-only mount."""
    blocked = tmp_path / "blocked"
    blocked.touch()
    variables = {"HOME": str(tmp_path), "TRITON_CACHE_DIR": f"{blocked}/triton"}
    (line,) = toolchain.missing(variables, having("gcc"), include)
    assert "TRITON_CACHE_DIR names another" in line
    assert f"{blocked}/triton" in line
    lines = toolchain.missing({"HOME": str(blocked)}, having("gcc"), include)
    assert [line.split(";")[-1] for line in lines] == [
        " VLLM_CACHE_ROOT names another",
        " TRITON_CACHE_DIR names another",
    ]
    assert f"{blocked}/.cache/vllm" in lines[0]


def test_caches_go_where_the_variables_say(tmp_path: Path, include: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.touch()
    variables = {"HOME": str(blocked), "XDG_CACHE_HOME": str(tmp_path), "TRITON_CACHE_DIR": str(tmp_path / "triton")}
    assert toolchain.missing(variables, having("gcc"), include) == []


def test_this_pythons_headers_are_where_triton_looks() -> None:
    assert toolchain.headers() == Path(sysconfig.get_config_var("INCLUDEPY"))
