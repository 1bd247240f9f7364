"""What the driver's libraries say, by stand-ins for them."""

import ctypes
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from server.engines.devices import driver
from server.engines.devices.driver import Driver, by_library, by_nvml, find


class NVMLError(Exception):
    pass


def nvml(**answers: Any) -> SimpleNamespace:
    """NVML that answers so; an exception is raised."""

    def function(name: str, default: Any) -> Any:
        def call() -> Any:
            answer = answers.get(name, default)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=function("init", None),
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=function("count", 1),
        nvmlSystemGetCudaDriverVersion_v2=function("cuda", 13020),
        nvmlSystemGetDriverVersion=function("driver", "595.10"),
    )


class Library:
    """libcuda.so.1 as ctypes gives it. What a `ctypes.byref` leads to is its `_obj`; nothing public says it."""

    def __init__(self, version: int = 13000, gpus: int = 1, init: int = 0) -> None:
        self._version, self._gpus, self._init = version, gpus, init
        self.initialized = False

    def cuDriverGetVersion(self, result: Any) -> int:
        result._obj.value = self._version
        return 0

    def cuInit(self, flags: int) -> int:
        self.initialized = True
        return self._init

    def cuDeviceGetCount(self, result: Any) -> int:
        result._obj.value = self._gpus
        return 0


def absent(name: str) -> Any:
    raise OSError(f"{name}: cannot open shared object file")


def test_nvml_tells_everything() -> None:
    assert by_nvml(nvml(count=2)) == Driver(2, (13, 2), "595.10")


@pytest.mark.parametrize("answer", ["init", "count"])
def test_nvml_that_does_not_answer_is_none(answer: str) -> None:
    assert by_nvml(nvml(**{answer: NVMLError()})) is None


def test_nvml_that_answers_in_part_counts_all_the_same() -> None:
    partly = nvml(count=4, cuda=NVMLError())
    assert by_nvml(partly) == Driver(4, None, "595.10")
    assert find(partly, lambda name: Library(13000)) == Driver(4, (13, 0), "595.10")
    assert find(partly, absent) is None, "nothing runs without the driver's library"


def test_without_nvml_the_library_is_a_driver_whose_gpus_are_not_counted() -> None:
    """Counting needs cuInit, after which this process could fork no engine any more."""
    library = Library(12080)
    assert find(nvml(init=NVMLError()), lambda name: library) == Driver(None, (12, 8))
    assert not library.initialized


def test_the_set_up_counts_by_the_library() -> None:
    assert by_library(lambda name: Library(gpus=3), initialize=True) == Driver(3, (13, 0))
    assert by_library(lambda name: Library(init=100), initialize=True) == Driver(0, (13, 0)), "no device"


def test_wsl_keeps_the_library_in_its_own_folder() -> None:
    def load(name: str) -> Library:
        if name != "/usr/lib/wsl/lib/libcuda.so.1":
            absent(name)
        return Library()

    assert by_library(load, initialize=True) == Driver(1, (13, 0))


def test_no_driver_is_none() -> None:
    assert find(nvml(init=NVMLError()), absent) is None


def test_the_program_prints_what_the_set_up_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library(13010, gpus=2))
    driver.main()
    assert capsys.readouterr().out == "2 13.1\n"
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library(0))
    driver.main()
    assert capsys.readouterr().out == "1\n", "it does not say which CUDA it runs"
    monkeypatch.setattr(ctypes, "CDLL", absent)
    driver.main()
    assert capsys.readouterr().out == ""


def test_it_runs_without_any_package() -> None:
    """scripts/setup runs it before anything is installed."""
    program = Path(driver.__file__)
    done = subprocess.run([sys.executable, "-I", "-S", str(program)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
