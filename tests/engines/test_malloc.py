"""The environment that keeps tensors' memory in the heap."""

import os
import subprocess
import sys

import pytest

from server.engines.malloc import SETTINGS, keeping

CHURN = """
import resource
import numpy as np
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    np.ones(5_000_000, np.uint8)
before = faults()
for _ in range(20):
    np.ones(5_000_000, np.uint8)
    np.ones(9_000_000, np.uint8)
print(faults() - before)
"""


@pytest.fixture(autouse=True)
def _untuned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MALLOC_"):
            monkeypatch.delenv(name)


def test_an_operators_own_choice_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keeping() == SETTINGS
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert keeping() == {}


def test_memory_that_comes_and_goes_is_not_faulted_in_again() -> None:
    def faults(settings: dict[str, str]) -> int:
        run = [sys.executable, "-c", CHURN]
        done = subprocess.run(run, env=os.environ | settings, capture_output=True, text=True, check=True)
        return int(done.stdout)

    # 9 MB are 2197 pages of 4 KiB, faulted in once; a mapping for each array would be 20 times as many.
    assert faults(keeping()) < 4_000
    assert faults({"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}) > 20_000
