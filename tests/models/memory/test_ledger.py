"""The ledger of bytes, and the estimates that go into it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.engines.base import Footprint
from server.engines.devices.gpus import VISIBLE, Driver
from server.models.memory import machine as machine_module
from server.models.memory.ledger import FRONT_END, MemoryLedger, describe, readable, settled
from server.models.memory.machine import Machine
from tests.models.devices import Device, Nvml, machine

GIB = 2**30


# ---------------------------------------------------------------- ledger


def test_reserve_correct_release() -> None:
    ledger = MemoryLedger(machine(1000, 500, 300), host_budget=800)
    assert ledger.budget == Footprint(800, {0: 450, 1: 270})
    ledger.reserve("a", Footprint(300, {0: 250}))
    assert ledger.free == Footprint(500, {0: 200, 1: 270})
    assert ledger.room_for("a") == ledger.budget
    assert ledger.short(Footprint(600, {0: 100, 1: 300}), of="b") == Footprint(100, {1: 30})
    assert not ledger.short(Footprint(600, {0: 100}), of="a")
    ledger.correct("a", Footprint(350, {0: 260}))
    assert ledger.held["a"] == Footprint(350, {0: 260})
    ledger.release("a")
    ledger.release("a")
    assert ledger.free == ledger.budget


def test_the_budget_is_of_each_gpu_and_no_more_than_it_has() -> None:
    assert MemoryLedger(machine(10, 500, 300), gpu_budget=400).budget.gpus == {0: 400, 1: 300}
    assert MemoryLedger(machine(10, 500), gpu_budget=0).budget.gpus == {}


def test_a_reservation_never_exceeds_the_budget() -> None:
    ledger = MemoryLedger(machine(1000, 100), host_budget=800)
    ledger.reserve("a", Footprint(500))
    with pytest.raises(ValueError, match="b: 301 bytes of host memory do not fit into 300 bytes of host memory"):
        ledger.reserve("b", Footprint(301))
    with pytest.raises(ValueError, match="1 bytes of GPU 0 too much"):
        ledger.reserve("b", Footprint(1, {0: 91}))
    assert "b" not in ledger.held


def test_a_correction_may_exceed_the_budget_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ledger = MemoryLedger(machine(1000), host_budget=800)
    ledger.reserve("a", Footprint(500))
    ledger.correct("a", Footprint(900))
    assert ledger.free == Footprint()
    assert "a holds 900 bytes of host memory, not the 500 bytes of host memory that were reserved" in caplog.text
    caplog.clear()
    ledger.correct("a", Footprint(890))
    assert caplog.text == ""


def test_the_front_end_is_a_holder_that_may_be_over(caplog: pytest.LogCaptureFixture) -> None:
    ledger = MemoryLedger(machine(1000), host_budget=800)
    ledger.reserve("a", Footprint(500))
    ledger.hold(FRONT_END, Footprint(200))
    assert ledger.free == Footprint(100)
    ledger.hold(FRONT_END, Footprint(400), instead_of=Footprint(200))
    assert "front end holds 400 bytes of host memory" in caplog.text
    with pytest.raises(ValueError, match="do not fit into 0 bytes"):
        ledger.reserve("b", Footprint(1))


def test_a_late_report_for_a_released_model_is_dropped() -> None:
    ledger = MemoryLedger(machine(1000))
    ledger.correct("gone", Footprint(5))
    assert dict(ledger.held) == {}


amounts = st.integers(0, 60)
footprints = st.builds(lambda host, a, b: Footprint(host, {0: a, 1: b}), amounts, amounts, amounts)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | footprints), max_size=30))
def test_no_reservations_exceed_any_device_and_a_release_gives_back_all(
    steps: list[tuple[str, Footprint | None]],
) -> None:
    ledger = MemoryLedger(machine(100, 100, 80), host_budget=100, gpu_budget=90)
    for name, need in steps:
        before = ledger.free
        if need is None:
            held = ledger.held.get(name, Footprint())
            ledger.release(name)
            assert ledger.free == before + held
        elif ledger.short(need, of=name):
            with pytest.raises(ValueError, match="do not fit"):
                ledger.reserve(name, need)
            assert ledger.free == before
        else:
            ledger.reserve(name, need)
            assert ledger.held[name] == need
        assert not ledger.total.beyond(ledger.budget)
        assert ledger.total + ledger.free == ledger.budget
    for name in list(ledger.held):
        ledger.release(name)
    assert ledger.free == ledger.budget


@pytest.mark.parametrize(
    ("planned", "reported", "work", "kept"),
    [
        (20, 0, 6, 20),  # nothing was reported
        (20, 9, 0, 9),
        (20, 9, 6, 15),  # a later batch still finds its memory
        (20, 18, 6, 20),  # never more than was planned for it
        (20, 23, 6, 23),  # but what it holds, it holds
    ],
)
def test_what_is_kept_after_a_load(planned: int, reported: int, work: int, kept: int) -> None:
    for kind in (lambda amount: Footprint(amount), lambda amount: Footprint(0, {1: amount})):
        assert settled(kind(planned), kind(reported), kind(work)) == kind(kept)


def test_numbers_for_people() -> None:
    assert [readable(n) for n in (0, 1023, 1536, 3 * GIB, 2**50)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 KiB",
        "3.0 GiB",
        "1024.0 TiB",
    ]
    assert (
        describe(Footprint(GIB, {0: 2 * GIB, 3: GIB})) == "1.0 GiB of host memory, 2.0 GiB of GPU 0, 1.0 GiB of GPU 3"
    )
    assert describe(Footprint(0, {1: GIB})) == "1.0 GiB of GPU 1"
    assert describe(Footprint()) == "0 bytes of host memory"


# ---------------------------------------------------------------- machine


def test_a_containers_limit_is_the_machines_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine_module, "CGROUP_LIMITS", (tmp_path / "none", limit))
    limit.write_text("max\n")
    whole = Machine.detect().host
    limit.write_text("123456789\n")
    assert Machine.detect().host == 123456789 < whole


def test_a_machine_has_the_gpus_that_its_driver_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    driver = Driver(Nvml(Device(80, used=30), Device(40, "GPU-1")))
    found = Machine.detect(driver)
    assert [gpu.total for gpu in found.gpus] == [80, 40]
    assert found.gpus_free() == {0: 50, 1: 40}
    assert Machine.detect(Driver(Nvml(missing=True))).gpus_free() == {}
