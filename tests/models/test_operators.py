"""What operators do to a model by hand: load, unload, probe."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from server.core import Claim, Event, Facts, Job, Task
from server.errors import Conflict, ModelNotFound, ModelUnavailable, Overloaded, ServerStopping
from server.models.config.spec import Probe
from server.models.memory.eviction import How
from server.models.memory.machine import Machine
from server.models.probe import Report
from server.models.registry import Registry
from server.models.slot import Slot, State
from server.models.standing import Loading, Phase
from tests.models.devices import machine
from tests.models.test_registry import Bench, Stub, model, until, use
from tests.models.test_slot import CLAIM, SPEC, Clock, Steps, hold, waiting

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def steps() -> Steps:
    return Steps()


@pytest.fixture
async def slot(steps: Steps, clock: Clock) -> Slot:
    return Slot(SPEC, steps, clock=clock)


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    place: Machine = machine(100, 100)
    return Bench(place, tmp_path_factory.mktemp("models"))


# ---------------------------------------------------------------- load


async def test_a_load_begins_at_once_and_its_outcome_can_be_waited_for(slot: Slot, steps: Steps) -> None:
    steps.go.clear()
    begun = slot.begin_load()
    assert slot.state is State.LOADING
    assert await begun.outcome(0) is None
    assert slot.state is State.LOADING, "who gives up waiting leaves it running"
    steps.go.set()
    assert await begun.outcome(5) is None
    assert slot.state is State.READY
    assert await slot.begin_load().outcome(5) is None
    assert steps.done == ["load"]


async def test_a_load_by_hand_waits_for_no_back_off(slot: Slot, steps: Steps) -> None:
    steps.fails = ModelUnavailable("It is broken.")
    error = await slot.begin_load().outcome(5)
    assert error is not None
    assert (slot.state, slot.reason, error.message) == (State.FAILED, "It is broken.", "It is broken.")
    with pytest.raises(ModelUnavailable):
        async with slot.lease(CLAIM, 5):
            pass
    assert steps.done == ["load"], "a request has to wait"
    steps.fails = None
    assert await slot.begin_load().outcome(5) is None
    assert (slot.state, steps.done) == (State.READY, ["load", "load"])


async def test_each_who_waits_for_a_load_gets_an_error_of_its_own(slot: Slot, steps: Steps) -> None:
    steps.fails = ModelUnavailable("It is broken.")
    steps.go.clear()
    waits = [asyncio.create_task(slot.begin_load().outcome(5)) for _ in range(2)]
    await asyncio.sleep(0)
    steps.go.set()
    one, other = [await wait for wait in waits]
    assert one is not None
    assert other is not None
    assert one is not other, "where it is raised is written into it"


async def test_a_load_that_got_no_room_says_so_until_the_next_one(slot: Slot, steps: Steps) -> None:
    steps.fails = Overloaded("There is no memory while others are busy.")
    assert await slot.begin_load().outcome(5) is not None
    assert (slot.state, slot.reason) == (State.UNLOADED, None)
    assert slot.refusal == "There is no memory while others are busy."
    steps.fails = None
    await slot.begin_load().outcome(5)
    assert slot.refusal is None


async def test_a_load_by_hand_and_by_requests_is_one(slot: Slot, steps: Steps) -> None:
    steps.go.clear()
    begun, request = slot.begin_load(), hold(slot)
    await waiting(slot, 1)
    steps.go.set()
    await request
    assert await begun.outcome(5) is None
    assert steps.done == ["load"]


async def test_the_seconds_of_a_load_are_counted_while_it_lasts(slot: Slot, steps: Steps, clock: Clock) -> None:
    assert slot.loading_for is None
    steps.go.clear()
    begun = slot.begin_load()
    clock.now += 3
    assert slot.loading_for == 3
    steps.go.set()
    await begun.outcome(5)
    assert slot.loading_for is None


# ---------------------------------------------------------------- unload


async def test_an_idle_model_is_unloaded_and_the_next_request_loads_it(slot: Slot, steps: Steps) -> None:
    await slot.begin_load().outcome(5)
    begun = slot.begin_unload()
    assert slot.state is State.DRAINING
    await begun.outcome(5)
    assert (slot.state, slot.engine, steps.done) == (State.UNLOADED, None, ["load", "unload"])
    await slot.begin_unload().outcome(5)
    assert steps.done == ["load", "unload"], "nothing is there to unload"
    await hold(slot)
    assert steps.done == ["load", "unload", "load"]


async def test_a_model_in_use_is_not_unloaded_unless_asked_twice(slot: Slot, steps: Steps) -> None:
    async with slot.lease(CLAIM, 5):
        with pytest.raises(Conflict, match="1 at work, 0 waiting"):
            slot.begin_unload()
        assert (slot.state, slot.leases) == (State.READY, 1)
        begun = slot.begin_unload(grace=60)
        late = hold(slot)
        await waiting(slot, 1)
        assert steps.done == ["load"], "who is in flight has time"
    await begun.outcome(5)
    assert steps.done[:2] == ["load", "unload"]
    await late
    assert steps.done == ["load", "unload", "load"], "who came meanwhile is served by a fresh engine"


async def test_when_the_grace_is_over_requests_are_broken_off(slot: Slot, steps: Steps) -> None:
    async with slot.lease(CLAIM, 5):
        await slot.begin_unload(grace=0).outcome(5)
        assert (slot.state, steps.done) == (State.UNLOADED, ["load", "unload"])


async def test_changes_that_cross_are_refused(slot: Slot, steps: Steps) -> None:
    steps.go.clear()
    begun = slot.begin_load()
    with pytest.raises(Conflict, match="is being loaded just now"):
        slot.begin_unload(grace=1)
    steps.go.set()
    await begun.outcome(5)
    async with slot.lease(CLAIM, 5):
        going = slot.begin_unload(grace=60)
        for change in (slot.begin_load, slot.begin_unload):
            with pytest.raises(Conflict, match="is being put away just now"):
                change()
    await going.outcome(5)
    assert slot.state is State.UNLOADED


async def test_a_sleeping_and_a_failed_model_are_unloaded_too(slot: Slot, steps: Steps, clock: Clock) -> None:
    await slot.begin_load().outcome(5)
    await slot.evict(How.SLEEP)
    await slot.begin_unload().outcome(5)
    assert (slot.state, steps.done) == (State.UNLOADED, ["load", "sleep", "unload"])
    steps.fails = ModelUnavailable("It is broken.")
    await slot.begin_load().outcome(5)
    await slot.begin_unload().outcome(5)
    assert (slot.state, slot.reason) == (State.UNLOADED, None)
    clock.now += 1000
    assert not await slot.tend(), "no watchdog tries it again"


async def test_a_server_that_ends_takes_no_orders(slot: Slot) -> None:
    await slot.aclose(0)
    for change in (slot.begin_load, slot.begin_unload):
        with pytest.raises(ServerStopping):
            change()


async def test_the_end_of_the_server_waits_for_no_longer_grace_of_an_operators(slot: Slot, steps: Steps) -> None:
    async with slot.lease(CLAIM, 5):
        begun = slot.begin_unload(grace=600)
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await slot.aclose(0.01)
        assert (slot.state, steps.done) == (State.UNLOADED, ["load", "unload"])
    assert await begun.outcome(0) is None


async def test_an_unload_that_has_not_begun_to_wait_is_over_in_time_too(slot: Slot) -> None:
    async with slot.lease(CLAIM, 5):
        slot.begin_unload(grace=600)
        async with asyncio.timeout(5):
            await slot.aclose(0.01)


async def test_an_eager_model_that_was_unloaded_is_left_alone(bench: Bench) -> None:
    registry = bench.registry(model("a", load="eager"))
    async with registry:
        # Nobody is left who waited for the start, and would load it again by himself.
        await until(lambda: registry.ready and "load models" not in {task.get_name() for task in asyncio.all_tasks()})
        await registry.begin_unload("a").outcome(5)
        bench.now += 1000
        for _ in range(3):
            await registry.check()
        assert (registry.states()["a"].state, bench.ledger.held) == (State.UNLOADED, {})
        assert registry.ready
        await registry.begin_load("a").outcome(5)
        assert registry.states()["a"].state is State.READY


# ---------------------------------------------------------------- what a load is at


async def test_a_load_tells_what_it_is_at(bench: Bench) -> None:
    go, checked = asyncio.Event(), asyncio.Event()

    class Slow(Stub):
        async def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
            checked.set()
            await go.wait()
            async for event in super().stream(job):
                yield event

    bench.kind = Slow
    starts = asyncio.Event()

    def prepare(stub: Stub) -> None:
        stub.before_start = starts.wait

    bench.prepare = prepare
    a, b = (model(name, gpu=60, probe=Probe(prompt="Capital?", expect="Tokyo")) for name in "ab")
    registry = bench.registry(a, b)

    def at(name: str) -> Loading | None:
        return registry.states()[name].loading

    assert at("a") is None
    registry.begin_load("a")
    await until(lambda: at("a") == Loading(Phase.START, 0))
    bench.now += 2
    registry.begin_load("b")
    await until(lambda: at("b") == Loading(Phase.MEMORY, 0))
    starts.set()
    await checked.wait()
    assert at("a") == Loading(Phase.CHECK, 2)
    go.set()
    await until(lambda: at("a") is None)
    await until(lambda: registry.states()["b"].state is State.READY)
    await registry.stop()


# ---------------------------------------------------------------- probe


async def asks(registry: Registry, name: str = "a") -> Report:
    return await registry.probe(name, Claim("operator"))


async def test_a_probe_tells_what_was_asked_and_answered(bench: Bench) -> None:
    spec = model("a", probe=Probe(prompt="Capital of Japan?", expect="Tokyo"))
    registry = bench.registry(spec)
    with pytest.raises(Conflict, match="is unloaded"):
        await asks(registry)
    assert bench.made == [], "a probe loads nothing"
    await use(registry, spec)
    report = await asks(registry)
    assert [(one.task, one.asked, one.answered) for one in report.passed] == [(Task.CHAT, "Capital of Japan?", "Tokyo")]
    assert report.reason is None
    assert report.seconds > 0
    bench.made[-1].says = "!!!!"
    report = await asks(registry)
    assert (list(report.passed), report.reason) == (
        [],
        "The model's probe failed: asked 'Capital of Japan?' it said '!!!!', without 'Tokyo'.",
    )
    assert registry.states()["a"].state is State.READY, "an operator decides what follows"
    await registry.stop()


async def test_what_is_not_served_has_no_place(bench: Bench) -> None:
    registry = bench.registry(model("a"))
    for act in (registry.begin_load, registry.begin_unload):
        with pytest.raises(ModelNotFound):
            act("b")
    with pytest.raises(ModelNotFound):
        await asks(registry, "b")
