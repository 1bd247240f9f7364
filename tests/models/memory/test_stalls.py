"""A driver or a disk that does not answer holds up what needs it, and nothing else."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.engines.base import Footprint
from server.models.memory.asking import Asking
from server.models.memory.estimate import GIB
from server.models.memory.needs import Needs
from tests.models.devices import Free, machine
from tests.models.memory.test_gpu_books import chat
from tests.models.test_registry import Bench, Sleepy, Stub, model, shown, until, use

pytestmark = pytest.mark.anyio


class Stuck(Free):
    """A driver that answers `free` once it is let go."""

    def __init__(self, *totals: int) -> None:
        super().__init__(totals)
        self.asked = threading.Event()
        self.go = threading.Event()

    def free(self) -> Mapping[int, int]:
        self.asked.set()
        self.go.wait()
        return super().free()


@pytest.fixture
def driver() -> Iterator[Stuck]:
    stuck = Stuck(100)
    yield stuck
    stuck.go.set()


class Disk:
    """Where an eager chat model lies whose config.json can be read once it is let go: a pipe without a writer."""

    def __init__(self, folder: Path) -> None:
        self.model = chat(folder, "slow", load="eager")
        self._file = folder / "slow" / "config.json"
        self._file.unlink()
        os.mkfifo(self._file)

    def go(self) -> None:
        if self._file.is_fifo():
            # For reading too, so that it opens at once whether or not somebody reads.
            pipe = os.open(self._file, os.O_RDWR)
            os.write(pipe, b"{}")
            self._file.unlink()
            self._file.write_text("{}")
            os.close(pipe)


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    """Let go before the event loop ends, which would wait for the thread that reads."""
    slow = Disk(tmp_path)
    yield slow
    slow.go()


# ---------------------------------------------------------------- the driver


async def test_models_without_a_gpu_load_while_the_driver_hangs(tmp_path: Path, driver: Stuck) -> None:
    bench = Bench(machine(100, 100, driver=driver), tmp_path)
    drawn, heard, spoken = model("drawn", gpu=30), model("heard", host=60), model("spoken", host=60)
    registry = bench.registry(drawn, heard, spoken)
    loading = asyncio.create_task(use(registry, drawn))
    await until(driver.asked.is_set)
    async with asyncio.timeout(30):
        await use(registry, heard)
        await use(registry, spoken)  # it fits only in place of the other
    assert shown(registry) == {"drawn": "loading", "heard": "unloaded", "spoken": "ready"}
    driver.go.set()
    await loading
    assert bench.ledger.held == {"drawn": Footprint(1, {0: 30}), "spoken": Footprint(60)}
    await registry.stop()


async def test_a_driver_that_never_answers_leaves_the_books_as_planned(
    tmp_path: Path, driver: Stuck, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(machine(100, 100, driver=driver), tmp_path)
    bench.kind = Sleepy
    first, second = model("first", host=10, gpu=60), model("second", host=10, gpu=60)
    registry = bench.registry(first, second, asking=Asking(patience=0.01))
    async with asyncio.timeout(30):
        await use(registry, first)
        assert bench.ledger.held == {"first": Footprint(10, {0: 60})}
        bench.now += 1
        await use(registry, second)  # for which the first goes to sleep, under the lock of the room
    assert shown(registry) == {"first": "asleep", "second": "ready"}
    assert bench.ledger.held["second"] == Footprint(10, {0: 60})
    assert caplog.text.count("a driver has not answered") == 1  # the second question was not asked while the first hung
    await registry.stop()


async def test_the_watchdog_goes_on_while_an_engine_cannot_be_measured(tmp_path: Path) -> None:
    go = threading.Event()

    class Unmeasured(Stub):
        def footprint(self) -> Footprint:
            go.wait()
            return Footprint(7)

    bench = Bench(machine(100), tmp_path)
    bench.kind = Unmeasured
    registry = bench.registry(model("a", host=30, load="eager"), asking=Asking(patience=0.01))
    try:
        async with registry:
            await until(lambda: registry.ready)
            assert registry.states()["a"].held == Footprint(30)
            bench.now += 100
            bench.made[0].alive = False
            async with asyncio.timeout(30):
                await registry.check()
                await until(lambda: registry.ready)
            assert len(bench.made) == 2
    finally:
        go.set()


async def test_what_a_question_raises_is_raised_where_it_is_asked() -> None:
    def broken() -> int:
        raise OSError("the bus is gone")

    asking = Asking()
    with pytest.raises(OSError, match="the bus is gone"):
        await asking.ask(broken, 0)
    assert await asking.ask(lambda: 5, 0) == 5


async def test_questions_are_asked_again_once_the_one_that_hung_is_answered() -> None:
    go, asking = threading.Event(), Asking(patience=0.01)
    assert await asking.ask(lambda: go.wait() and 1, None) is None
    assert await asking.ask(lambda: 2, None) is None
    go.set()
    answer = None
    while answer is None:
        await asyncio.sleep(0)
        answer = await asking.ask(lambda: 3, None)
    assert answer == 3


# ---------------------------------------------------------------- files


async def test_other_models_load_while_the_files_of_one_cannot_be_read(tmp_path: Path, disk: Disk) -> None:
    bench = Bench(machine(200 * GIB), tmp_path)
    quick = chat(tmp_path, "quick")
    registry = bench.registry(disk.model, quick)
    async with registry:
        await until(lambda: shown(registry)["slow"] == "loading")
        async with asyncio.timeout(30):
            await use(registry, quick)
        assert shown(registry) == {"slow": "loading", "quick": "ready"}
        disk.go()
        await until(lambda: registry.ready)
        assert shown(registry) == {"slow": "ready", "quick": "ready"}


async def test_a_start_goes_on_after_a_model_whose_files_cannot_be_read(tmp_path: Path, disk: Disk) -> None:
    bench = Bench(machine(200 * GIB), tmp_path)
    behind = chat(tmp_path, "behind", load="eager")
    registry = bench.registry(disk.model, behind, queue_timeout=0.2, load_timeout=1)
    async with registry:
        async with asyncio.timeout(30):
            await until(lambda: shown(registry)["behind"] == "ready")
        assert shown(registry) == {"slow": "loading", "behind": "ready"}
        disk.go()
        await until(lambda: registry.ready)


async def test_what_takes_all_that_is_left_waits_for_the_files_of_others_and_not_for_ever(
    tmp_path: Path, disk: Disk
) -> None:
    needs = Needs(tmp_path, machine(200 * GIB, 40 * GIB), patience=0.01)
    quick = chat(tmp_path, "quick")
    async with asyncio.timeout(30):
        await needs.look_at([disk.model, quick])
        await until(lambda: "quick" in needs.known)
    assert "slow" not in needs.known
    disk.go()
    await needs.look_at([disk.model])
    await until(lambda: "slow" in needs.known)
    assert needs.known["slow"] == needs.known["quick"]


async def test_files_that_hang_take_no_place_of_other_blocking_work(tmp_path: Path, disk: Disk) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    needs = Needs(tmp_path, machine(200 * GIB, 40 * GIB), patience=0.01)
    await needs.look_at([disk.model])
    loading = asyncio.create_task(needs.read(disk.model))
    async with asyncio.timeout(30):
        assert await asyncio.to_thread(lambda: "done") == "done"
        disk.go()
        await loading
