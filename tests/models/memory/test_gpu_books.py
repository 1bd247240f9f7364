"""The registry's books over several GPUs, by stand-in engines on stand-in devices."""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from server.engines.base import Footprint
from server.engines.devices.gpus import Driver
from server.errors import ModelUnavailable
from server.models.changes import Changes
from server.models.config.spec import DiffusersModel, VllmModel
from server.models.memory.allotment import Allotment
from server.models.memory.asking import Asking
from server.models.memory.estimate import CUDA_CONTEXT, FRONT_END_WITH_VLLM, GIB, MIB, TORCH_HOST_CUDA
from server.models.memory.estimate import FRONT_END as FRONT_END_ALONE
from server.models.memory.gauges import MemoryGauges
from server.models.memory.ledger import FRONT_END, MemoryLedger
from server.models.memory.need import Need
from server.models.memory.room import Room
from server.models.memory.turns import Turns
from server.models.registry import LOOK_AGAIN, Registry
from server.observability import Metrics
from tests.models.devices import Free, machine
from tests.models.memory.test_estimate import safetensors
from tests.models.test_registry import Bench, Sleepy, Stub, model, shown, until, use

pytestmark = pytest.mark.anyio
T = TypeVar("T")


def chat(folder: Path, name: str, size: int = GIB, **fields: object) -> VllmModel:
    """A chat model whose files are there, with weights of that many bytes in float16."""
    safetensors(folder / name / "model.safetensors", a=("F16", size))
    (folder / name / "config.json").write_text("{}")
    return VllmModel.model_validate({"name": name, "engine": "vllm", "path": name, "load": "lazy", **fields})


def grants(bench: Bench) -> dict[str, Allotment]:
    return {stub.name: stub.grant for stub in bench.made}


# ---------------------------------------------------------------- placement


async def test_models_spread_over_the_gpus_before_any_gives_way(tmp_path: Path) -> None:
    bench = Bench(machine(100, 100, 100), tmp_path)
    specs = [model(name, gpu=60) for name in "abc"]
    registry = bench.registry(*specs)
    for spec in specs:
        bench.now += 1
        await use(registry, spec)
    assert {name: grant.numbers for name, grant in grants(bench).items()} == {"a": (0,), "b": (1,), "c": (0,)}
    assert shown(registry) == {"a": "unloaded", "b": "ready", "c": "ready"}
    assert bench.ledger.held == {"b": Footprint(1, {1: 60}), "c": Footprint(1, {0: 60})}
    await registry.stop()
    assert bench.ledger.free == bench.ledger.budget


async def test_a_model_that_is_split_takes_its_part_of_each(tmp_path: Path) -> None:
    bench = Bench(machine(200 * GIB, 40 * GIB, 40 * GIB, 40 * GIB), tmp_path)
    spec = chat(tmp_path, "wide", 30 * GIB, tensor_parallel_size=2, gpu_memory="20GiB", gpus=[2, 1])
    registry = bench.registry(spec)
    await use(registry, spec)
    assert bench.ledger.held["wide"].gpus == {1: 20 * GIB, 2: 20 * GIB}
    assert grants(bench)["wide"].numbers == (1, 2)
    await registry.stop()


async def test_the_elastic_part_is_shared_on_each_gpu(tmp_path: Path) -> None:
    bench = Bench(machine(200 * GIB, 40 * GIB, 40 * GIB), tmp_path)
    specs = [chat(tmp_path, name, load="eager") for name in ("one", "two", "three")]
    registry = bench.registry(*specs)
    async with registry:
        await until(lambda: registry.ready)
        held = bench.ledger.held
        assert {name: tuple(held[name].gpus) for name in held} == {"one": (0,), "two": (1,), "three": (0,)}
        assert held["two"].gpus == {1: 40 * GIB}
        assert held["one"].on(0) + held["three"].on(0) == 40 * GIB
        assert held["one"].on(0) == 20 * GIB


async def test_what_is_reserved_stays_though_another_takes_more_than_planned_meanwhile() -> None:
    """The host is short by the time that the driver has said what is left of the GPU."""
    ledger = MemoryLedger(machine(100, 100), host_budget=100, gpu_budget=100)
    ledger.reserve("heard", Footprint(20))
    questions = 0

    class Meanwhile(Asking):
        async def ask(self, question: Callable[[], T], otherwise: T) -> T:
            nonlocal questions
            questions += 1
            if questions == 2:
                ledger.correct("heard", Footprint(60))
            return await super().ask(question, otherwise)

    room = Room(ledger, {}, {}, turns=Turns(), changes=Changes(), asking=Meanwhile())
    allotment = await room.reserve("chat", Need(host=50, gpu=20, elastic=True), wait=1.0)
    assert allotment.gpu == 100
    assert ledger.held == {"heard": Footprint(60), "chat": Footprint(50, {0: 100})}


async def test_a_gpu_that_is_not_there_is_named(tmp_path: Path) -> None:
    bench = Bench(machine(200 * GIB, 40 * GIB), tmp_path)
    spec = chat(tmp_path, "far", gpus=[0, 3], tensor_parallel_size=2)
    registry = bench.registry(spec)
    with pytest.raises(ModelUnavailable, match="`gpus` of the model `far` names 3; this server sees 1 GPUs"):
        await use(registry, spec)
    await registry.stop()


async def test_too_few_gpus_are_refused_with_numbers(tmp_path: Path) -> None:
    bench = Bench(machine(200 * GIB, 40 * GIB), tmp_path)
    spec = chat(tmp_path, "wide", tensor_parallel_size=2, gpu_memory="20GiB")
    registry = bench.registry(spec)
    with pytest.raises(
        ModelUnavailable, match=r"20\.0 GiB on each of 2 GPUs; the models may take .* 40\.0 GiB of GPU 0"
    ):
        await use(registry, spec)
    await registry.stop()


async def test_memory_that_leaves_no_cache_is_refused_before_the_load(tmp_path: Path) -> None:
    bench = Bench(machine(200 * GIB, 40 * GIB), tmp_path)
    for memory in ("9GiB", 0):
        spec = chat(tmp_path, "tight", 8 * GIB, gpu_memory=memory)
        registry = bench.registry(spec)
        with pytest.raises(ModelUnavailable, match="too little is left for the KV cache"):
            await use(registry, spec)
    assert (bench.made, dict(bench.ledger.held)) == ([], {})
    await registry.stop()


# ---------------------------------------------------------------- turns


class Gate:
    """Holds every start until it is opened, and notes who has begun."""

    def __init__(self, bench: Bench) -> None:
        self.begun: list[str] = []
        self.open: dict[str, asyncio.Event] = {}
        bench.prepare = self.prepare

    def prepare(self, stub: Stub) -> None:
        self.open[stub.name] = asyncio.Event()

        async def wait() -> None:
            self.begun.append(stub.name)
            await self.open[stub.name].wait()

        stub.before_start = wait


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None)


async def test_loads_on_one_gpu_come_one_at_a_time(tmp_path: Path) -> None:
    bench = Bench(machine(100, 100, 20), tmp_path)
    gate = Gate(bench)
    specs = [model("a", gpu=30), model("b", gpu=30), model("small", gpu=5), model("words")]
    registry = bench.registry(*specs)
    uses = {spec.name: asyncio.create_task(use(registry, spec)) for spec in specs[:2]}
    await until(lambda: gate.begun == ["a"])
    bench.ledger.reserve("neighbour", Footprint(0, {0: 35}))  # so that the other GPU has more room
    uses |= {spec.name: asyncio.create_task(use(registry, spec)) for spec in specs[2:]}
    await until(lambda: len(gate.begun) == 3)
    await settle()
    assert sorted(gate.begun) == ["a", "small", "words"]
    assert bench.ledger.held["b"].gpus == {0: 30}
    for name in ("small", "words", "a"):
        gate.open[name].set()
    await until(lambda: gate.begun[-1] == "b")
    gate.open["b"].set()
    await asyncio.gather(*uses.values())
    await registry.stop()


async def test_nobody_is_put_away_from_a_gpu_on_which_another_loads(tmp_path: Path) -> None:
    bench = Bench(machine(100, 100), tmp_path)
    idle, loading, late = model("idle", gpu=40), model("loading", gpu=40), model("late", gpu=50)
    registry = bench.registry(idle, loading, late)
    await use(registry, idle)
    gate = Gate(bench)
    first = asyncio.create_task(use(registry, loading))
    await until(lambda: gate.begun == ["loading"])
    second = asyncio.create_task(use(registry, late))
    await until(lambda: shown(registry)["late"] == "loading")
    await settle()
    assert shown(registry)["idle"] == "ready"
    gate.open["loading"].set()
    await first
    await until(lambda: "late" in gate.begun)
    gate.open["late"].set()
    await second
    assert shown(registry)["idle"] == "unloaded"
    await registry.stop()


async def test_a_failed_load_lets_the_next_have_its_turn(tmp_path: Path) -> None:
    bench = Bench(machine(100, 100), tmp_path)
    gate = Gate(bench)
    a, b = model("a", gpu=30), model("b", gpu=30)
    registry = bench.registry(a, b, load_timeout=0.2)
    failing, good = asyncio.create_task(use(registry, a)), asyncio.create_task(use(registry, b))
    await until(lambda: gate.begun == ["a"])
    with pytest.raises(ModelUnavailable, match="took longer"):
        await failing
    await until(lambda: gate.begun == ["a", "b"])
    gate.open["b"].set()
    await good
    assert set(bench.ledger.held) == {"b"}
    await registry.stop()


# ---------------------------------------------------------------- what is booked


async def test_the_books_go_by_the_device_where_the_driver_hides_processes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    driver = Free([100])
    bench = Bench(machine(100, 100, driver=driver), tmp_path)

    def prepare(stub: Stub) -> None:
        async def start() -> None:
            driver.left[0] -= 37

        stub.before_start = start

    bench.prepare = prepare
    a, b = model("a", gpu=30), model("b", gpu=40)
    registry = bench.registry(a, b)
    await use(registry, a)
    await use(registry, b)
    assert bench.ledger.held == {"a": Footprint(1, {0: 37}), "b": Footprint(1, {0: 37})}
    assert [record.levelno for record in caplog.records if "does not tell" in record.message] == [logging.WARNING]
    await registry.stop()


async def test_a_difference_that_somebodys_leaving_spoilt_is_not_booked(tmp_path: Path) -> None:
    driver = Free([100])
    bench = Bench(machine(100, 100, driver=driver), tmp_path)
    a, b = model("a", gpu=30), model("b", gpu=40)
    registry = bench.registry(a, b)
    await use(registry, a)

    def prepare(stub: Stub) -> None:
        async def start() -> None:
            driver.left[0] -= 5
            bench.made[0].alive = False  # the neighbour dies, and its memory comes back
            await registry.check()

        stub.before_start = start

    bench.prepare = prepare
    await use(registry, b)
    assert bench.ledger.held == {"b": Footprint(1, {0: 40})}
    await registry.stop()


async def test_what_a_later_batch_of_pictures_needs_stays_reserved(tmp_path: Path) -> None:
    for folder in ("unet", "vae"):
        safetensors(tmp_path / "brush" / folder / "a.safetensors", a=("F16", GIB))
    (tmp_path / "brush" / "model_index.json").write_text("{}")
    spec = DiffusersModel.model_validate(
        {"name": "brush", "engine": "diffusers", "path": "brush", "size": (1024, 1024), "load": "lazy"}
    )
    work = 4 * 1024 * 1024 * 2048
    bench = Bench(machine(64 * GIB, 40 * GIB), tmp_path)
    most = 0

    def prepare(stub: Stub) -> None:
        nonlocal most
        most = bench.ledger.held["brush"].host
        stub.holds = Footprint(GIB, {0: 2 * GIB})

    bench.prepare = prepare
    registry = bench.registry(spec)
    await use(registry, spec)
    assert TORCH_HOST_CUDA + GIB < most < TORCH_HOST_CUDA + GIB + MIB  # its weights pass through the host
    assert bench.ledger.held["brush"] == Footprint(GIB, {0: 2 * GIB + work})
    assert registry.states()["brush"].reported == Footprint(GIB, {0: 2 * GIB})
    await registry.stop()


async def test_a_chat_model_keeps_its_whole_grant(tmp_path: Path) -> None:
    bench = Bench(machine(64 * GIB, 40 * GIB), tmp_path)
    bench.prepare = lambda stub: setattr(stub, "holds", Footprint(GIB, {0: 30 * GIB}))
    spec = chat(tmp_path, "chat")
    registry = bench.registry(spec)
    await use(registry, spec)
    assert bench.ledger.held["chat"] == Footprint(GIB, {0: 40 * GIB})
    await registry.stop()


async def test_the_driver_is_never_asked_in_the_event_loop(tmp_path: Path) -> None:
    loop = threading.get_ident()
    asked: list[int] = []

    class Asked(Free):
        def free(self) -> Mapping[int, int]:
            asked.append(threading.get_ident())
            return super().free()

        def held_by(self, pids: Collection[int]) -> Mapping[int, int]:
            asked.append(threading.get_ident())
            return super().held_by(pids)

    bench = Bench(machine(64 * GIB, 40 * GIB, driver=Asked([40 * GIB])), tmp_path)
    specs = [chat(tmp_path, name, load="eager") for name in ("one", "two")]
    registry = bench.registry(*specs)
    async with registry:
        await until(lambda: registry.ready)
    assert asked
    assert loop not in asked


async def test_files_are_never_read_in_the_event_loop(tmp_path: Path) -> None:
    bench = Bench(machine(64 * GIB, 40 * GIB), tmp_path)
    specs = [chat(tmp_path, name, load="eager") for name in ("one", "two", "three")]
    loop, read = threading.get_ident(), []
    watching = True

    def opened(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and str(arguments[0]).startswith(str(tmp_path)):
            read.append(threading.get_ident())

    sys.addaudithook(opened)  # there is no way to take it off again
    registry = bench.registry(*specs)
    async with registry:
        await until(lambda: registry.ready)
    watching = False
    assert len(read) >= 3
    assert loop not in read


async def test_damaged_files_of_an_eager_model_are_no_other_models_failure(tmp_path: Path) -> None:
    bench = Bench(machine(200 * GIB, 40 * GIB), tmp_path)
    whole, damaged = chat(tmp_path, "whole"), chat(tmp_path, "damaged", load="eager")
    header = b'{"weight": {}}'
    (tmp_path / "damaged" / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    registry = bench.registry(damaged, whole)
    await use(registry, whole)
    with pytest.raises(ModelUnavailable):
        await use(registry, damaged)
    assert shown(registry) == {"damaged": "failed", "whole": "ready"}
    await registry.stop()


async def test_files_that_came_after_the_start_are_counted(tmp_path: Path) -> None:
    bench = Bench(machine(64 * GIB, 40 * GIB), tmp_path)
    first, late = chat(tmp_path, "first"), chat(tmp_path, "late", GIB, load="eager", eager=True)
    (tmp_path / "late" / "model.safetensors").unlink()
    registry = bench.registry(first, late)
    await use(registry, first)
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors is missing"):
        await use(registry, late)
    chat(tmp_path, "late", 30 * GIB)
    bench.now += 1000
    await use(registry, late)
    stub = bench.made[-1]
    assert stub.grant.kv_cache is not None
    assert stub.grant.gpu - stub.grant.kv_cache > 30 * GIB
    await registry.stop()


# ---------------------------------------------------------------- sleep


def sleepers(tmp_path: Path, host: int, driver: Driver | None = None) -> tuple[Bench, Registry, list[VllmModel]]:
    """Two chat models of 8 GiB that fit only one at a time on the GPU, eager: 8 GiB of each move to the host."""
    bench = Bench(machine(host, 30 * GIB, driver=driver), tmp_path)
    bench.kind = Sleepy
    specs = [
        chat(tmp_path, name, 8 * GIB, eager=True, gpu_memory="20GiB", host_memory="4GiB") for name in ("one", "two")
    ]
    return bench, bench.registry(*specs), specs


async def test_slept_weights_are_booked_on_the_host_and_contexts_on_the_gpu(tmp_path: Path) -> None:
    bench, registry, (one, two) = sleepers(tmp_path, 16 * GIB)
    bench.prepare = lambda stub: setattr(stub, "holds", Footprint(4 * GIB, {0: 19 * GIB}))
    await use(registry, one)
    stub = bench.made[0]
    assert isinstance(stub, Sleepy)
    real = stub.sleep

    async def sleep() -> None:
        assert bench.ledger.held["one"] == Footprint(12 * GIB, {0: 20 * GIB})  # reserved before it moves
        await real()
        stub.holds = Footprint(4 * GIB, {0: GIB})  # pinned memory shows in no report

    stub.sleep = sleep  # type: ignore[method-assign]
    await use(registry, two)
    assert shown(registry) == {"one": "asleep", "two": "ready"}
    assert bench.ledger.held["one"] == Footprint(12 * GIB, {0: GIB})
    await registry.stop()


async def test_a_model_stops_where_the_host_has_no_room_for_its_weights(tmp_path: Path) -> None:
    bench, registry, (one, two) = sleepers(tmp_path, 15 * GIB)
    await use(registry, one)
    await use(registry, two)
    assert shown(registry) == {"one": "unloaded", "two": "ready"}
    assert bench.made[0].stopped == 1
    await registry.stop()


async def test_a_woken_model_gives_the_hosts_memory_back(tmp_path: Path) -> None:
    bench, registry, (one, two) = sleepers(tmp_path, 24 * GIB)
    await use(registry, one)
    for spec, other in ((two, "one"), (one, "two")):
        bench.now += 1
        await use(registry, spec)
        assert bench.ledger.held[other].host == 12 * GIB
        assert bench.ledger.held[spec.name] == Footprint(4 * GIB, {0: 20 * GIB})
    await registry.stop()
    assert bench.ledger.free == bench.ledger.budget


async def test_a_model_that_took_more_than_its_gpu_may_give_can_still_sleep(tmp_path: Path) -> None:
    bench = Bench(machine(100, 50), tmp_path)
    bench.kind = Sleepy
    bench.prepare = lambda stub: setattr(stub, "holds", Footprint(7, {0: 60}))
    a, b = model("a", gpu=40), model("b", gpu=40)
    registry = bench.registry(a, b)
    await use(registry, a)
    bench.prepare = lambda stub: None
    await use(registry, b)
    assert shown(registry) == {"a": "asleep", "b": "ready"}
    await use(registry, a)
    assert shown(registry)["a"] == "ready"  # as large as the GPU allows
    await registry.stop()


async def test_what_stays_of_a_sleeper_is_seen_on_the_device(tmp_path: Path) -> None:
    driver = Free([30 * GIB])
    bench, registry, (one, two) = sleepers(tmp_path, 24 * GIB, driver)

    class Hidden(Sleepy):
        async def start(self) -> None:
            await super().start()
            driver.left[0] -= 20 * GIB

        async def sleep(self) -> None:
            driver.left[0] += 18 * GIB

    bench.kind = Hidden
    await use(registry, one)
    await use(registry, two)
    assert bench.ledger.held["one"].gpus == {0: 2 * GIB}
    await registry.stop()


async def test_a_wake_is_booked_on_top_of_what_stayed(tmp_path: Path) -> None:
    driver = Free([100])

    class Hidden(Sleepy):
        async def start(self) -> None:
            await super().start()
            driver.left[0] -= 45

        async def sleep(self) -> None:
            driver.left[0] += 43

        async def wake(self) -> None:
            driver.left[0] -= 43

    bench = Bench(machine(100, 100, driver=driver), tmp_path)
    bench.kind = Hidden
    one, two = model("one", gpu=60), model("two", gpu=60)
    registry = bench.registry(one, two)
    await use(registry, one)
    assert bench.ledger.held["one"].gpus == {0: 45}
    await use(registry, two)
    assert bench.ledger.held["one"].gpus == {0: 2}
    await use(registry, one)
    assert bench.ledger.held["one"].gpus == {0: 45}
    await registry.stop()


async def test_what_stays_of_a_sleeper_is_guessed_where_nothing_is_reported(tmp_path: Path) -> None:
    bench, registry, (one, two) = sleepers(tmp_path, 24 * GIB)

    class Hidden(Sleepy):
        async def sleep(self) -> None:
            self.slept += 1

    bench.kind = Hidden
    await use(registry, one)
    await use(registry, two)
    assert bench.ledger.held["one"].gpus == {0: CUDA_CONTEXT}
    await registry.stop()


# ---------------------------------------------------------------- what is shown


async def test_what_chat_models_will_have_imported_is_booked_before(tmp_path: Path) -> None:
    for spec, planned in ((chat(tmp_path, "chat"), FRONT_END_WITH_VLLM), (model("fake"), FRONT_END_ALONE)):
        bench = Bench(machine(64 * GIB), tmp_path)
        registry = bench.registry(spec, front_end=lambda _: MIB)
        async with registry:
            assert bench.ledger.held == {FRONT_END: Footprint(planned)}


async def test_the_front_end_is_in_the_books_and_never_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.models.memory.estimate.FRONT_END", 0)
    bench = Bench(machine(100), tmp_path)
    amounts = [30, 40]
    seen: list[set[int]] = []

    def front_end(engines: Collection[int]) -> int:
        seen.append(set(engines))
        return amounts[len(seen) > 1]

    class Spawned(Stub):
        @property
        def pids(self) -> list[int]:
            return [4711]

    bench.kind = Spawned
    a, b = model("a", host=60), model("b", host=61)
    registry = bench.registry(a, b, front_end=front_end)
    async with registry:
        assert bench.ledger.held == {FRONT_END: Footprint(30)}
        await use(registry, a)
        await registry.check()
        assert seen == [set()]
        bench.now += LOOK_AGAIN
        await registry.check()
        assert seen == [set(), {4711}]
        assert registry.memory().held == {FRONT_END: Footprint(40), "a": Footprint(60)}
        assert registry.memory().reported[FRONT_END] == Footprint(40)
        with pytest.raises(ModelUnavailable, match="the models that are loaded don't give way"):
            await use(registry, b)


async def test_metrics_show_the_books_by_model_and_device(tmp_path: Path) -> None:
    bench = Bench(machine(100, 50, 50), tmp_path)
    bench.kind = Sleepy
    bench.prepare = lambda stub: setattr(stub, "holds", Footprint(7, {stub.grant.numbers[0]: 33}))
    specs = [model(name, host=10, gpu=40) for name in "abc"]
    registry = bench.registry(*specs)
    metrics = Metrics()
    metrics.add(MemoryGauges(registry.memory))
    metrics.add(registry.changes)
    for spec in (*specs, specs[0]):
        bench.now += 1
        await use(registry, spec)
    samples = {(name, *sorted(labels.values())): value for name, labels, value in metrics.samples()}
    assert samples["sagehold_memory_budget_bytes", "host"] == 100
    assert samples["sagehold_memory_budget_bytes", "gpu1"] == 50
    assert samples["sagehold_memory_held_bytes", "c", "gpu0"] == 1
    assert samples["sagehold_memory_held_bytes", "b", "gpu1"] == 33
    assert samples["sagehold_memory_reported_bytes", "b", "host"] == 7
    assert [samples["sagehold_model_loads_total", name, "ok"] for name in "abc"] == [1, 1, 1]
    assert samples["sagehold_model_wakes_total", "a", "ok"] == 1
    assert samples["sagehold_model_evictions_total", "a", "sleep"] == 1
    assert samples["sagehold_model_load_seconds_count", "a"] == 1
    assert samples["sagehold_model_wake_seconds_sum", "a"] > 0
    assert samples["sagehold_model_eviction_seconds_count", "a", "sleep"] == 1
    await registry.stop()


async def test_a_load_that_fails_is_counted_so(tmp_path: Path) -> None:
    async def broken() -> None:
        raise ModelUnavailable("no")

    bench = Bench(machine(100), tmp_path)
    bench.prepare = lambda stub: setattr(stub, "before_start", broken)
    spec = model("a")
    registry = bench.registry(spec)
    with pytest.raises(ModelUnavailable):
        await use(registry, spec)
    samples = {(name, *labels.values()): value for name, labels, value in _samples(registry.changes)}
    assert samples["sagehold_model_loads_total", "a", "failed"] == 1
    assert ("sagehold_model_load_seconds_count", "a") not in samples
    await registry.stop()


def _samples(changes: Changes) -> list[tuple[str, dict[str, str], float]]:
    metrics = Metrics()
    metrics.add(changes)
    return list(metrics.samples())
