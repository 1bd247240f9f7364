"""How long OpenMP's threads spin; see server/engines/openmp.py."""

import os
import subprocess
import sys
import threading

import pytest

from server.engines import contention, openmp

CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHOICES:
        monkeypatch.delenv(name, raising=False)


def test_who_gives_way_may_spin_for_longer_where_the_kernel_tells_of_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention, "is_told", lambda: True)
    assert (openmp.patience(), openmp.long_patience()) == ({"GOMP_SPINCOUNT": "1000"}, {"GOMP_SPINCOUNT": "10000"})
    monkeypatch.setattr(contention, "is_told", lambda: False)
    assert openmp.long_patience() == {"GOMP_SPINCOUNT": "1000"}


@pytest.mark.parametrize("name", CHOICES)
def test_an_operators_choice_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "7")
    before = threading.active_count()
    assert openmp.patience() == openmp.long_patience() == {}
    openmp.give_way()
    assert threading.active_count() == before


WAITING = """
import os, sys, threading, time
import torch
from server.engines import openmp

def spun():
    "Processor seconds of threads that wait for this one, 200 times for 3 ms each."
    some = torch.ones(400, 400)
    begun = time.process_time(), time.thread_time()
    for _ in range(200):
        some @ some
        end = time.perf_counter() + 0.003
        while time.perf_counter() < end:
            pass
    return (time.process_time() - begun[0]) - (time.thread_time() - begun[1])

torch.set_num_threads(2)
spun()
(library,) = openmp.libraries()
print(spun())
restraint = openmp.Restraint(library)
print(spun())
restraint.release()
print(spun())
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has nobody to wait for")
def test_restrained_threads_do_not_spin_while_they_wait() -> None:
    """A process of its own: libgomp reads its environment once."""
    environment = {**os.environ, "GOMP_SPINCOUNT": "300000", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", WAITING], env=environment, capture_output=True, text=True, check=True)
    before, restrained, after = map(float, done.stdout.split())
    assert restrained < before / 2
    assert restrained < after / 2
