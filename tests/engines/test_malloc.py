"""The environment that keeps tensors' memory in the heap."""

import os
import subprocess
import sys

import pytest

from server.engines.malloc import PARAMETERS, SETTINGS, keeping

CHURN = """
import ctypes
import resource
import numpy as np
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_THP_DISABLE = 41  # linux/prctl.h
if libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0):
    raise OSError(ctypes.get_errno(), "prctl")
def step():
    layers = [np.ones(size, np.uint8) for size in (5_000_000, 9_000_000) * 6]
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""
"""Page faults of ten steps that each make and drop 84 MB: 20,508 pages of 4 KiB. Huge pages, which the kernel may grant
always, on numpy's request or never, would make them few whatever glibc does, so this process has none."""


@pytest.fixture(autouse=True)
def _untuned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MALLOC_"):
            monkeypatch.delenv(name)


def test_an_operators_own_choice_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keeping() == SETTINGS
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert keeping() == {}


def faults(settings: dict[str, str]) -> int:
    run = [sys.executable, "-c", CHURN]
    done = subprocess.run(run, env=os.environ | settings, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_memory_that_comes_and_goes_is_not_faulted_in_again() -> None:
    assert faults(keeping()) < 2_000


@pytest.mark.parametrize("without", ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"])
def test_glibc_gives_it_back_without_either_threshold(without: str) -> None:
    assert faults({name: value for name, value in SETTINGS.items() if name != without}) > 20_000


def test_glibc_gives_it_back_by_itself() -> None:
    assert faults({}) > 100_000


def test_a_process_that_runs_already_keeps_it_from_then_on() -> None:
    """As the copy of a front end does, which glibc's variables come too late for."""
    assert PARAMETERS.keys() == SETTINGS.keys()
    told = "from server.engines import malloc\nmalloc.keep()\n"
    done = subprocess.run([sys.executable, "-c", told + CHURN], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2_000


def test_an_operators_own_choice_stands_there_too() -> None:
    told = "from server.engines import malloc\nmalloc.keep()\n"
    choice = os.environ | {"MALLOC_ARENA_MAX": "2"}
    done = subprocess.run([sys.executable, "-c", told + CHURN], env=choice, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100_000
