"""What NVIDIA's driver tells, and what it does not, by a stand-in for its library."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from server.engines.devices import footprint
from server.engines.devices.gpus import ORDER, VISIBLE, Driver, Gpu, environment
from tests.models.devices import Device, Nvml

GIB = 2**30


@pytest.fixture(autouse=True)
def _all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.delenv(ORDER, raising=False)


def two() -> Nvml:
    return Nvml(Device(80 * GIB, "GPU-aaaa-1", used=10 * GIB), Device(40 * GIB, "GPU-bbbb-2"))


def test_every_gpu_is_seen_with_what_is_free() -> None:
    driver = Driver(two())
    assert driver.gpus() == (Gpu(0, "0", 80 * GIB), Gpu(1, "1", 40 * GIB))
    assert driver.free() == {0: 70 * GIB, 1: 40 * GIB}


@pytest.mark.parametrize(
    ("visible", "seen"),
    [
        ("1,0", [("1", 40), ("0", 80)]),
        (" 1 ", [("1", 40)]),
        ("GPU-bbbb-2,GPU-aaaa", [("GPU-bbbb-2", 40), ("GPU-aaaa", 80)]),
        ("0,7,1", [("0", 80)]),  # CUDA sees nothing after the first wrong one
        ("GPU-", []),  # of which of them?
        ("", []),
        ("-1", []),
        ("none", []),
    ],
)
def test_gpus_are_numbered_as_cuda_does(
    monkeypatch: pytest.MonkeyPatch, visible: str, seen: list[tuple[str, int]]
) -> None:
    monkeypatch.setenv(VISIBLE, visible)
    expected = tuple(Gpu(number, entry, total * GIB) for number, (entry, total) in enumerate(seen))
    assert Driver(two()).gpus() == expected


@pytest.mark.parametrize("visible", [None, "0", "MIG-part"])
def test_a_part_of_a_gpu_has_the_memory_of_the_part(monkeypatch: pytest.MonkeyPatch, visible: str | None) -> None:
    if visible is not None:
        monkeypatch.setenv(VISIBLE, visible)
    part = Device(20 * GIB, "MIG-part", broken={"processes"})
    driver = Driver(Nvml(Device(80 * GIB, parts=[part])))
    assert driver.gpus() == (Gpu(0, visible or "0", 20 * GIB),)
    assert driver.held_by({1}) == {}


def test_without_a_driver_there_is_no_gpu() -> None:
    driver = Driver(Nvml(missing=True))
    assert (driver.gpus(), driver.free(), driver.held_by({1})) == ((), {}, {})


def test_processes_are_told_by_gpu() -> None:
    nvml = two()
    nvml.devices[0].held = {1: 5, 2: 7, 3: 11}
    nvml.devices[1].held = {3: 13}
    assert Driver(nvml).held_by({1, 2}) == {0: 12}
    assert Driver(nvml).held_by({3}) == {0: 11, 1: 13}


def test_what_a_container_hides_is_no_amount() -> None:
    nvml = two()
    nvml.devices[0].held = {1: 5, 2: None}
    assert Driver(nvml).held_by({1, 2}) == {}
    assert Driver(nvml).held_by({77}) == {}


def test_what_a_virtual_machine_refuses_is_left_out_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    nvml = two()
    driver = Driver(nvml)
    assert len(driver.gpus()) == 2
    nvml.devices[0].broken = {"memory", "processes"}
    nvml.devices[1].held = {1: 5}
    for _ in range(3):
        assert driver.free() == {1: 40 * GIB}
        assert driver.held_by({1}) == {1: 5}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "Not Supported" in caplog.text


def test_a_gpu_that_never_tells_its_memory_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    nvml = Nvml(Device(80, broken={"memory"}), Device(40, "GPU-1"))
    assert Driver(nvml).gpus() == (Gpu(1, "1", 40),)
    assert "GPU 0 is left alone" in caplog.text


def test_a_child_sees_its_gpus_by_the_servers_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "3,GPU-x,MIG-y")
    seen = (Gpu(1, "GPU-x", 1), Gpu(2, "MIG-y", 1))
    assert environment(seen) == {VISIBLE: "GPU-x,MIG-y", ORDER: "PCI_BUS_ID"}
    assert environment(()) == {VISIBLE: ""}
    monkeypatch.setenv(ORDER, "FASTEST_FIRST")
    assert environment(seen)[ORDER] == "FASTEST_FIRST"


def test_a_footprint_is_that_of_the_whole_tree_on_each_gpu() -> None:
    nvml = two()
    nvml.devices[1].held = {os.getpid(): 9}
    held = footprint.of_processes([os.getpid()], Driver(nvml))
    assert held.gpus == {1: 9}
    assert held.host > 2**20
    gone = max(psutil.pids()) + 100_000
    assert not footprint.of_processes([gone], Driver(nvml))


def test_a_process_that_ends_between_two_questions_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is asked where the kernel hides the unique set; a worker of a worker may be gone by then."""

    def hidden(process: psutil.Process) -> None:
        raise psutil.AccessDenied(process.pid)

    def ended(process: psutil.Process) -> None:
        raise psutil.NoSuchProcess(process.pid)

    monkeypatch.setattr(psutil.Process, "memory_full_info", hidden)
    monkeypatch.setattr(psutil.Process, "memory_info", ended)
    assert not footprint.of_processes([os.getpid()], Driver(Nvml(missing=True)))


HELD = 64 << 20
HOLDING = f"held = bytearray(b'x' * {HELD})"


@contextmanager
def child(script: str) -> Iterator[list[int]]:
    """A process that runs the script, which prints pids once it is ready; it ends with its input."""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdin is not None
        yield [int(pid) for pid in started.stdout.readline().split()]
        started.stdin.close()


def test_the_front_end_is_what_no_engine_is() -> None:
    with child(f"import os; {HOLDING}; print(os.getpid(), flush=True); os.read(0, 1)") as (pid,):
        helper, engine = footprint.of_front_end(set()), footprint.of_front_end({pid})
    assert helper - engine > 60 << 20
    assert engine > 2**20


@pytest.mark.parametrize("engine", [True, False], ids=["an engine", "a helper"])
def test_what_forked_processes_share_counts_once(engine: bool) -> None:
    """As the fork server is a copy of the front end, and each of vLLM's engines one of the fork server."""
    before = footprint.of_front_end(set())
    fork = (
        f"import os; {HOLDING}; copy = os.fork(); "
        "copy and print(os.getpid(), copy, flush=True); os.read(0, 1); copy and os.waitpid(copy, 0)"
    )
    with child(fork) as (parent, copy):
        assert psutil.Process(copy).ppid() == parent
        # The copy has the page tables once its parent has printed, and never reads the memory.
        both = footprint.of_front_end({copy} if engine else set()) - before
        of_copy = footprint.of_processes([copy], Driver(Nvml(missing=True))).host
    assert HELD < both < HELD + HELD // 2
    assert of_copy < HELD // 2


def test_where_the_kernel_shows_no_shares_each_process_counts_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "_sizes", lambda _: None)
    with child(f"import os; {HOLDING}; print(os.getpid(), flush=True); os.read(0, 1)") as (pid,):
        helper, engine = footprint.of_front_end(set()), footprint.of_front_end({pid})
    assert helper - engine > 60 << 20
    assert engine > 2**20
