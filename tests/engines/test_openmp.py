"""How long OpenMP's threads spin; see server/engines/openmp.py."""

import contextlib
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

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
    monkeypatch.setattr(contention, "is_told", lambda: True)
    monkeypatch.setattr(openmp, "WATCH", "watch of this test")  # another test may have begun one
    begun, over = threading.Semaphore(0), threading.Event()
    watching: list[threading.Thread] = []

    def watch() -> None:
        watching.append(threading.current_thread())
        begun.release()
        over.wait()

    monkeypatch.setattr(openmp, "_watch", watch)
    assert openmp.patience() == openmp.long_patience() == {}
    openmp.give_way()
    assert not begun.acquire(blocking=False)
    monkeypatch.delenv(name)
    openmp.give_way()
    assert begun.acquire(timeout=20)
    openmp.give_way()  # once is enough for a process
    assert not begun.acquire(blocking=False)
    over.set()
    watching[0].join()  # the next test's watch has the same name, and wouldn't begin beside it


class Held:
    """In place of a Restraint."""

    now = 0

    def __init__(self, library: str) -> None:
        assert library == "libgomp"
        Held.now += 1

    def release(self) -> None:
        Held.now -= 1


def test_threads_are_restrained_while_others_want_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = iter([0.1] * 10 + [0.5] * 10 + [None] * 20 + [0.5] * 10)
    here = threading.current_thread()  # an engine of another test may have begun a watch, which looks as well
    monkeypatch.setattr(openmp, "Restraint", Held)
    monkeypatch.setattr(openmp, "libraries", lambda: ["libgomp"] if threading.current_thread() is here else [])
    way, held = openmp.Way(), []
    monkeypatch.setattr(way, "_waits", SimpleNamespace(look=lambda: next(shares)))
    monkeypatch.setattr(Held, "now", 0)
    for number in range(50):
        way.look(number / 10)
        assert way.given == (Held.now == 1)
        held.append(Held.now)
    assert held[:10] == [0] * 10
    assert held[14:20] == [1] * 6
    assert held[39] == 0  # nothing is computed: calm
    assert held[49] == 1


def test_a_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    enough = threading.Event()

    def look(_: openmp.Way, now: float) -> None:
        if threading.current_thread() is not thread:  # another test may have begun one
            return
        looks.append(now)
        if len(looks) == 1:
            raise OSError("no file more")
        enough.set()
        raise SystemExit  # of the thread

    monkeypatch.setattr(openmp.Way, "look", look)
    monkeypatch.setattr(openmp, "LOOK", 0.001)

    def watch() -> None:
        with contextlib.suppress(SystemExit):
            openmp._watch()

    thread = threading.Thread(target=watch)
    thread.start()
    assert enough.wait(20)
    thread.join()
    assert len(looks) == 2


def test_a_library_is_found_in_a_folder_with_spaces() -> None:
    line = "7f1-7f2 r-xp 00001000 fe:00 4711                    /home/me/My Code/torch/lib/libgomp.so.1\n"
    assert openmp.LIBRARY.findall(line + line.replace("libgomp.so.1", "libc.so.6")) == [
        "/home/me/My Code/torch/lib/libgomp.so.1"
    ]


WAITING = """
import os, sys, threading, time
import torch
from server.engines import openmp

def spun():
    "Processor seconds of threads that wait for this one, 200 times for 3 ms each."
    some = torch.ones(100_000)
    begun = time.process_time(), time.thread_time()
    for _ in range(200):
        some + 1
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


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core has nobody to wait for")
def test_restrained_threads_do_not_spin_while_they_wait() -> None:
    """A process of its own: libgomp reads its environment once."""
    environment = {**os.environ, "GOMP_SPINCOUNT": "300000", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", WAITING], env=environment, capture_output=True, text=True, check=True)
    before, restrained, after = map(float, done.stdout.split())
    assert restrained < before / 2
    assert restrained < after / 2
