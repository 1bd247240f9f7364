"""Models in memory together: leases, room, eviction, the watchdog, start and end. Engines are stubs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import ByteSize

from server.core import Claim, Event, Facts, Job, Task, TextDelta, Usage
from server.engines.base import Engine, Footprint
from server.errors import EngineFailed, ModelUnavailable, Overloaded
from server.models import registry as registries
from server.models.config.spec import FakeModel, ModelSpec, Probe, WhisperModel
from server.models.memory.allotment import Allotment
from server.models.memory.ledger import MemoryLedger
from server.models.memory.machine import Machine
from server.models.registry import Registry
from server.models.slot import DIED, HUNG, State
from server.models.standing import Phase
from tests.models.devices import machine
from tests.reading import Streams

pytestmark = pytest.mark.anyio


CLAIM = Claim("account")


class Stub(Streams):
    """An engine that answers `says`, and reports that it holds `holds`."""

    alive = False
    running = 0
    apart = True

    def __init__(self, spec: ModelSpec, grant: Allotment) -> None:
        self.name = spec.name
        self.grant = grant
        self.stopped = 0
        self.says = "Tokyo"
        self.holds = Footprint()
        self.before_start: Callable[[], Awaitable[object]] | None = None

    async def start(self) -> None:
        if self.before_start is not None:
            await self.before_start()
        self.alive = True

    async def stop(self) -> None:
        self.alive = False
        self.stopped += 1

    def footprint(self) -> Footprint:
        return self.holds

    async def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
        yield Facts()
        yield TextDelta(0, self.says)
        yield Usage()


class Sleepy(Stub):
    """An engine that gives its GPU memory back while it sleeps."""

    sleeps = True
    slept = 0
    after_sleep = "Tokyo"

    async def sleep(self) -> None:
        self.slept += 1
        self.holds = Footprint(self.grant.host, dict.fromkeys(self.grant.numbers, 1))

    async def wake(self) -> None:
        self.says = self.after_sleep
        self.holds = Footprint(self.grant.host, dict.fromkeys(self.grant.numbers, self.grant.gpu))


class Bench:
    """A registry over stubs, and a hand on everything it makes."""

    def __init__(self, machine: Machine, models_dir: Path) -> None:
        most = max((gpu.total for gpu in machine.gpus), default=0)
        self.ledger = MemoryLedger(machine, host_budget=machine.host, gpu_budget=most)
        self.models_dir = models_dir
        self.made: list[Stub] = []
        self.prepare: Callable[[Stub], None] = lambda stub: None
        self.now = 1000.0
        self.kind: type[Stub] = Stub

    def make(self, spec: ModelSpec, grant: Allotment) -> Engine:
        stub = self.kind(spec, grant)
        self.prepare(stub)
        self.made.append(stub)
        return stub

    def registry(self, *models: ModelSpec, **options: Any) -> Registry:
        return Registry(
            models,
            self.make,
            self.ledger,
            models_dir=self.models_dir,
            clock=lambda: self.now,
            **{"queue_timeout": 5, "watch_interval": 3600, **options},
        )

    @property
    def names(self) -> list[str]:
        return [stub.name for stub in self.made]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(machine(100, 100), tmp_path)


def model(name: str, host: int = 1, gpu: int = 0, task: Task = Task.CHAT, **fields: Any) -> FakeModel:
    return FakeModel.model_validate(
        {
            "name": name,
            "engine": "fake",
            "serves": task,
            "host_memory": host,
            "gpu_memory": gpu,
            "load": "lazy",
            **fields,
        }
    )


async def use(registry: Registry, spec: ModelSpec) -> Engine:
    async with registry.lease(spec, CLAIM) as engine:
        return engine


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def shown(registry: Registry) -> Mapping[str, str]:
    return {name: one.state.value for name, one in registry.states().items()}


# ---------------------------------------------------------------- loading


async def test_a_lease_loads_reserves_and_gives_back(bench: Bench) -> None:
    spec = model("a", host=30, gpu=20)
    registry = bench.registry(spec)
    assert shown(registry) == {"a": "unloaded"}
    engine = await use(registry, spec)
    assert isinstance(engine, Stub)
    assert (engine.grant.host, engine.grant.gpu, engine.grant.numbers) == (30, 20, (0,))
    assert engine.grant.gpu_share == 0.9 * 20 / 100
    assert bench.ledger.held == {"a": Footprint(30, {0: 20})}
    await registry.stop()
    assert (engine.stopped, dict(bench.ledger.held), shown(registry)) == (1, {}, {"a": "unloaded"})


async def test_the_ledger_keeps_what_the_machine_reports(bench: Bench) -> None:
    spec = model("a", host=30, gpu=20)
    bench.prepare = lambda stub: setattr(stub, "holds", Footprint(host=12))
    registry = bench.registry(spec)
    await use(registry, spec)
    assert registry.states()["a"].held == Footprint(12, {0: 20})
    await registry.stop()


async def test_eager_models_load_by_themselves_chat_first(bench: Bench) -> None:
    specs = [
        model("voice", task=Task.SPEECH, load="eager"),
        model("chat", load="eager"),
        model("ears", task=Task.TRANSCRIPTION, load="eager"),
        model("later"),
    ]
    registry = bench.registry(*specs)
    assert registry.ready is False
    async with registry:
        await until(lambda: registry.ready)
        assert shown(registry) == {"voice": "ready", "chat": "ready", "ears": "ready", "later": "unloaded"}
        assert sorted(bench.names) == ["chat", "ears", "voice"]
        assert bench.names.index("voice") < bench.names.index("ears")
    assert [stub.stopped for stub in bench.made] == [1, 1, 1]


async def test_others_do_not_wait_for_a_slow_chat_model(bench: Bench) -> None:
    hold = asyncio.Event()

    def prepare(stub: Stub) -> None:
        if stub.name == "chat":
            stub.before_start = hold.wait

    bench.prepare = prepare
    registry = bench.registry(model("chat", load="eager"), model("voice", task=Task.SPEECH, load="eager"))
    async with registry:
        await until(lambda: shown(registry)["voice"] == "ready")
        assert (shown(registry)["chat"], registry.ready) == ("loading", False)
        hold.set()
        await until(lambda: registry.ready)


@pytest.mark.parametrize("apart", [True, False])
async def test_a_start_is_handed_over_once_the_chat_model_needs_other_processes_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    """It goes on loading meanwhile, which the rest of the server need not wait for."""
    monkeypatch.setattr(registries, "HANDED_OVER", 0)
    begun, ends = asyncio.Event(), asyncio.Event()

    async def start(stub: Stub) -> None:
        if stub.name != "chat":
            return
        begun.set()
        await ends.wait()

    def prepare(stub: Stub) -> None:
        stub.apart = False
        stub.before_start = lambda: start(stub)

    bench.prepare = prepare
    registry = bench.registry(model("voice", task=Task.SPEECH, load="eager"), model("chat", load="eager"))
    async with registry:
        handed = asyncio.create_task(registry.handed_over(60))
        await begun.wait()
        await until(lambda: shown(registry)["voice"] == "ready")
        assert not handed.done()
        chat = next(stub for stub in bench.made if stub.name == "chat")
        if apart:
            chat.apart = True
            await handed
            assert shown(registry)["chat"] == "loading"
        ends.set()
        await handed
        await until(lambda: registry.ready)


@pytest.mark.parametrize("reason", ["it failed", "there is none", "the time is over"])
async def test_nobody_waits_for_a_chat_model_that_does_not_come(bench: Bench, reason: str) -> None:
    ends = asyncio.Event()

    async def start() -> None:
        if reason == "it failed":
            raise ModelUnavailable("broken")
        await ends.wait()

    def prepare(stub: Stub) -> None:
        stub.apart = False
        stub.before_start = start

    bench.prepare = prepare
    load = "lazy" if reason == "there is none" else "eager"
    registry = bench.registry(model("chat", load=load))
    async with registry:
        await registry.handed_over(0 if reason == "the time is over" else 60)
        assert shown(registry) == {
            "chat": {"it failed": "failed", "there is none": "unloaded", "the time is over": "loading"}[reason]
        }
        ends.set()


async def test_nobody_waits_for_a_chat_model_that_waits_for_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its imports have not begun, and minutes may pass until they do."""
    monkeypatch.setattr(registries, "WAITS", 0)
    registry = bench.registry(model("chat", gpu=10, load="eager"))
    async with registry._loader._turns.take((0,)), registry:
        await until(lambda: registry._loader.phases.get("chat") is Phase.TURN)
        async with asyncio.timeout(30):
            await registry.handed_over(600)
        assert bench.made == []
        assert shown(registry) == {"chat": "loading"}


async def test_a_failed_start_gives_everything_back(bench: Bench) -> None:
    async def broken() -> None:
        raise ModelUnavailable("no such layer")

    bench.prepare = lambda stub: setattr(stub, "before_start", broken)
    spec = model("a", host=30)
    registry = bench.registry(spec)
    with pytest.raises(ModelUnavailable, match="no such layer"):
        await use(registry, spec)
    assert (bench.made[0].stopped, dict(bench.ledger.held)) == (1, {})
    state = registry.states()["a"]
    assert (state.state, state.reason) == (State.FAILED, "no such layer")
    await registry.stop()


async def test_a_load_that_takes_too_long_is_ended(bench: Bench) -> None:
    bench.prepare = lambda stub: setattr(stub, "before_start", asyncio.Event().wait)
    spec = model("a")
    registry = bench.registry(spec, load_timeout=0.01)
    with pytest.raises(ModelUnavailable, match=r"took longer than 0\.01 s"):
        await use(registry, spec)
    assert (bench.made[0].stopped, dict(bench.ledger.held)) == (1, {})
    await registry.stop()


async def test_stop_in_the_middle_of_a_load_leaves_nothing(bench: Bench) -> None:
    bench.prepare = lambda stub: setattr(stub, "before_start", asyncio.Event().wait)
    registry = bench.registry(model("a", load="eager"))
    await registry.start()
    await until(lambda: bool(bench.made))
    await registry.stop()
    assert (bench.made[0].stopped, dict(bench.ledger.held)) == (1, {})


async def test_a_failed_probe_is_not_served(bench: Bench) -> None:
    bench.prepare = lambda stub: setattr(stub, "says", "L L L L")
    spec = model("a", probe=Probe(prompt="Capital of Japan?", expect="tokyo"))
    registry = bench.registry(spec)
    with pytest.raises(ModelUnavailable, match="probe failed: asked 'Capital of Japan\\?' it said 'L L L L'"):
        await use(registry, spec)
    assert (shown(registry), bench.made[0].stopped, dict(bench.ledger.held)) == ({"a": "failed"}, 1, {})
    await registry.stop()


async def test_files_that_went_away_are_named(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    spec = WhisperModel(name="ears", engine="whisper", path="ears", fetch="scripts/models", load="lazy")
    registry = bench.registry(spec)
    with pytest.raises(ModelUnavailable) as caught:
        await use(registry, spec)
    assert caught.value.message == "The model's file ears is missing."
    assert f"{bench.models_dir}/ears is missing; bring it by: scripts/models" in caplog.text
    await registry.stop()


async def test_a_model_that_loads_and_cannot_compute_is_not_served(bench: Bench) -> None:
    """Its config has no probe: the smallest job finds out, once, rather than every request."""

    class Fails(Stub):
        async def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
            yield Facts()
            raise EngineFailed

    folder = bench.models_dir / "ears"
    folder.mkdir()
    for file in ("config.json", "model.bin"):
        (folder / file).write_bytes(b"{}")
    bench.kind = Fails
    spec = WhisperModel(
        name="ears", engine="whisper", path="ears", load="lazy", host_memory=ByteSize(1), gpu_memory=ByteSize(0)
    )
    registry = bench.registry(spec)
    with pytest.raises(ModelUnavailable, match="The model's probe failed: The model's engine stopped"):
        await use(registry, spec)
    state = registry.states()["ears"]
    assert state.state is State.FAILED
    assert (state.reason or "").startswith("The model's probe failed")
    assert (bench.made[0].stopped, dict(bench.ledger.held)) == (1, {})
    await registry.stop()


# ---------------------------------------------------------------- room


async def test_what_can_never_fit_is_refused_with_numbers(bench: Bench) -> None:
    spec = model("a", host=101)
    registry = bench.registry(spec)
    with pytest.raises(ModelUnavailable, match="needs 101 bytes of host memory; the models may take 100 bytes of host"):
        await use(registry, spec)
    assert bench.made == []
    await registry.stop()


async def test_an_idle_model_gives_way(bench: Bench) -> None:
    old, young, new = model("old", host=40), model("young", host=40), model("new", host=50)
    registry = bench.registry(old, young, new)
    for spec in (old, young, new):
        bench.now += 1
        await use(registry, spec)
    assert shown(registry) == {"old": "unloaded", "young": "ready", "new": "ready"}
    assert bench.ledger.held == {"young": Footprint(40), "new": Footprint(50)}
    assert bench.made[0].stopped == 1
    await use(registry, old)
    assert shown(registry) == {"old": "ready", "young": "unloaded", "new": "ready"}
    await registry.stop()


async def test_a_busy_model_is_waited_for(bench: Bench) -> None:
    big, other = model("big", host=80), model("other", host=80)
    registry = bench.registry(big, other)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(registry.lease(big, CLAIM))
        waiter = asyncio.create_task(use(registry, other))
        await until(lambda: shown(registry)["other"] == "loading")
        for _ in range(20):
            await asyncio.sleep(0)
        assert bench.names == ["big"]
    await waiter
    assert shown(registry) == {"big": "unloaded", "other": "ready"}
    await registry.stop()


async def test_a_wait_for_a_busy_model_that_is_over_is_overload(bench: Bench) -> None:
    big, other = model("big", host=80), model("other", host=80)
    registry = bench.registry(big, other, queue_timeout=0.2)
    async with registry.lease(big, CLAIM):
        with pytest.raises(Overloaded):
            await use(registry, other)
        await until(lambda: shown(registry)["other"] != "loading")
        assert shown(registry) == {"big": "ready", "other": "unloaded"}
    await use(registry, other)
    await registry.stop()


async def test_eager_models_do_not_push_each_other_out_at_start(bench: Bench) -> None:
    registry = bench.registry(model("a", host=80, load="eager"), model("b", host=80, load="eager"))
    async with registry:
        await until(lambda: shown(registry)["b"] == "failed")
        assert shown(registry)["a"] == "ready"
        reason = registry.states()["b"].reason
        assert reason is not None
        assert "needs 80 bytes of host memory; 20 bytes of host memory, 100 bytes of GPU 0 are free" in reason
        assert registry.ready is False


async def test_a_start_that_is_under_way_is_no_failure_of_the_model_that_waits(bench: Bench) -> None:
    go = asyncio.Event()
    bench.prepare = lambda stub: setattr(stub, "before_start", go.wait) if stub.name == "slow" else None
    quick, slow, lazy = model("quick", host=60, load="eager"), model("slow", load="eager"), model("lazy", host=60)
    registry = bench.registry(quick, slow, lazy, queue_timeout=0.05)
    async with registry:
        await until(lambda: "slow" in bench.names)
        with pytest.raises(Overloaded, match="no memory"):
            await use(registry, lazy)
        assert shown(registry)["lazy"] == "unloaded"
        go.set()
        await until(lambda: registry.ready)
        await use(registry, lazy)
        assert shown(registry) == {"quick": "unloaded", "slow": "ready", "lazy": "ready"}


async def test_an_eager_model_that_made_room_still_counts_as_ready(bench: Bench) -> None:
    eager, lazy = model("eager", host=80, load="eager"), model("lazy", host=80)
    registry = bench.registry(eager, lazy)
    async with registry:
        await until(lambda: registry.ready)
        await use(registry, lazy)
        assert shown(registry) == {"eager": "unloaded", "lazy": "ready"}
        assert registry.ready is True


async def test_many_loads_at_once_never_exceed_the_budget(bench: Bench) -> None:
    specs = [model(f"m{number}", host=30) for number in range(8)]
    registry = bench.registry(*specs)
    most = 0

    def prepare(stub: Stub) -> None:
        nonlocal most
        most = max(most, sum(one.host for one in bench.ledger.held.values()))

    bench.prepare = prepare
    await asyncio.gather(*(use(registry, spec) for spec in specs for _ in range(5)))
    assert 0 < most <= 100
    assert set(shown(registry).values()) <= {"ready", "unloaded"}
    await registry.stop()
    assert dict(bench.ledger.held) == {}


async def test_a_gpu_model_sleeps_and_wakes_as_large_as_it_was(bench: Bench) -> None:
    bench.kind = Sleepy
    one, two = model("one", host=10, gpu=60), model("two", host=10, gpu=60)
    registry = bench.registry(one, two)
    await use(registry, one)
    bench.now += 1
    await use(registry, two)
    assert shown(registry) == {"one": "asleep", "two": "ready"}
    assert bench.ledger.held["one"] == Footprint(10, {0: 1})
    # 99 are left over by the sleeper, so two fits beside it, and the other way round
    bench.now += 1
    await use(registry, one)
    assert shown(registry) == {"one": "ready", "two": "asleep"}
    assert bench.ledger.held["one"] == Footprint(10, {0: 60})
    assert len(bench.made) == 2
    await registry.stop()


async def test_gibberish_after_a_wake_is_not_served(bench: Bench) -> None:
    bench.kind = Sleepy
    bench.prepare = lambda stub: setattr(stub, "after_sleep", "!!!!")
    one = model("one", host=10, gpu=60, probe=Probe(prompt="?", expect="Tokyo"))
    two = model("two", host=10, gpu=60)
    registry = bench.registry(one, two)
    await use(registry, one)
    await use(registry, two)
    with pytest.raises(ModelUnavailable, match="probe failed"):
        await use(registry, one)
    assert (shown(registry)["one"], bench.made[0].stopped) == ("failed", 1)
    assert "one" not in bench.ledger.held
    await registry.stop()


# ---------------------------------------------------------------- death


async def test_an_idle_death_shows_and_an_eager_model_comes_back(bench: Bench) -> None:
    eager, lazy = model("eager", load="eager"), model("lazy")
    registry = bench.registry(eager, lazy)
    async with registry:
        await until(lambda: registry.ready)
        await use(registry, lazy)
        bench.now += 100
        for stub in bench.made:
            stub.alive = False
        assert shown(registry) == {"eager": "failed", "lazy": "failed"}
        assert registry.states()["lazy"].reason == DIED
        assert registry.ready is False
        await registry.check()
        await until(lambda: registry.ready)
        assert shown(registry) == {"eager": "ready", "lazy": "failed"}
        assert [stub.stopped for stub in bench.made] == [1, 1, 0]
        assert set(bench.ledger.held) == {"eager"}
        await use(registry, lazy)
        assert shown(registry)["lazy"] == "ready"


async def test_a_crashing_eager_model_is_reloaded_with_a_back_off(bench: Bench) -> None:
    def loaded(times: int) -> bool:
        """It is ready, and nobody is left who waited for that, and would load it again by himself."""
        names = {task.get_name() for task in asyncio.all_tasks()}
        return len(bench.made) == times and registry.ready and not names & {"load models", "reload a"}

    registry = bench.registry(model("a", load="eager"), watch_interval=0)
    async with registry:
        await until(lambda: loaded(1))
        bench.made[-1].alive = False
        await until(lambda: loaded(2))  # the first time at once
        bench.made[-1].alive = False
        await until(lambda: not registry.ready)
        for _ in range(3):
            await registry.check()
        assert len(bench.made) == 2
        bench.now += 5
        await until(lambda: loaded(3))


async def test_an_engine_that_takes_long_to_end_keeps_no_other_waiting(bench: Bench) -> None:
    never = asyncio.Event()

    async def lasts() -> None:
        await never.wait()

    slow, quick = model("slow", load="eager"), model("quick", load="eager")
    registry = bench.registry(slow, quick, watch_interval=0)
    async with registry:
        await until(lambda: registry.ready)
        for stub in list(bench.made):
            stub.alive = False
            if stub.name == "slow":
                stub.stop = lasts  # type: ignore[method-assign]
        await until(lambda: bench.names.count("quick") == 2 and shown(registry)["quick"] == "ready")
        assert bench.names.count("slow") == 1
        never.set()
        await until(lambda: registry.ready)


class Hangs(Stub):
    hung = True


@pytest.mark.parametrize(("kind", "how", "reason"), [(Stub, "died", DIED), (Hangs, "hung", HUNG)])
async def test_deaths_are_counted_and_told_by_their_kind(bench: Bench, kind: type[Stub], how: str, reason: str) -> None:
    bench.kind = kind
    registry = bench.registry(model("a"))
    await use(registry, model("a"))
    bench.made[-1].alive = False
    assert registry.states()["a"].reason == reason
    await registry.check()
    assert (shown(registry), registry.states()["a"].reason) == ({"a": "failed"}, reason)
    await registry.stop()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in registry.changes.collect()
        for sample in metric.samples
    }
    assert {key: value for key, value in samples.items() if key[0] == "sagehold_model_deaths_total"} == {
        ("sagehold_model_deaths_total", "a", how): 1
    }


async def test_the_watchdog_outlives_an_engine_that_breaks_while_it_is_cleaned_up(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks() -> None:
        raise OSError("cannot reap")

    good, bad = model("good", load="eager"), model("bad", load="eager")
    registry = bench.registry(bad, good, watch_interval=0)
    async with registry:
        await until(lambda: registry.ready)
        for stub in list(bench.made):
            stub.alive = False
            if stub.name == "bad":
                stub.stop = breaks  # type: ignore[method-assign]
        bench.now += 100
        await until(lambda: bench.names.count("good") == 2 and registry.ready)
    assert "cannot reap" in caplog.text


async def test_a_model_that_breaks_while_it_makes_room_keeps_no_memory(bench: Bench) -> None:
    async def breaks() -> None:
        raise OSError("cannot reap")

    old, new = model("old", host=90), model("new", host=90)
    registry = bench.registry(old, new)
    await use(registry, old)
    bench.made[0].stop = breaks  # type: ignore[method-assign]
    await use(registry, new)
    assert shown(registry) == {"old": "unloaded", "new": "ready"}
    assert bench.ledger.held == {"new": Footprint(90)}
    await registry.stop()


async def test_running_is_the_engines_own_count(bench: Bench) -> None:
    spec, other = model("a"), model("b")
    registry = bench.registry(spec, other)
    async with registry.lease(spec, CLAIM):
        bench.made[0].running = 3
        assert registry.running() == {"a": 3}
        assert registry.states()["a"].running == 3
    await registry.stop()


async def test_how_busy_a_model_is_is_the_share_of_its_places(bench: Bench) -> None:
    spec = model("chat")
    async with bench.registry(spec) as registry:
        assert registry.busy(spec) == 0.0
        async with registry.lease(spec, CLAIM), registry.lease(spec, CLAIM):
            assert registry.busy(spec) == 2 / spec.parallel
        assert registry.busy(spec) == 0.0
