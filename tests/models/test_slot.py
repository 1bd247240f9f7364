"""The state machine of one model, driven step by step: loads end when the test says so, time passes when it says so."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest

from server.core import Claim, Event, Facts, Job, Task
from server.engines.base import Engine, Footprint
from server.errors import ModelUnavailable, Overloaded, ServerStopping
from server.models.config.spec import FakeModel, ModelSpec
from server.models.memory.eviction import How
from server.models.slot import DIED, HUNG, INTERNAL, Slot, State
from tests.reading import Streams

pytestmark = pytest.mark.anyio

SPEC = FakeModel(name="m", engine="fake", serves=Task.CHAT, max_queue=2)


CLAIM = Claim("account")


class Stub(Streams):
    """An engine that only lives and dies."""

    alive = True
    hung = False
    running = 0

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def sleep(self) -> None: ...
    async def wake(self) -> None: ...

    def footprint(self) -> Footprint:
        return Footprint()

    async def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
        raise NotImplementedError
        yield


class Steps:
    """A loader whose every step waits for `go`, unless it is open, and fails with `fails` if set."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.go = asyncio.Event()
        self.go.set()
        self.begun = asyncio.Event()
        self.fails: Exception | None = None

    async def _step(self, name: str) -> None:
        self.begun.set()
        await self.go.wait()
        self.done.append(name)
        if self.fails is not None:
            raise self.fails

    async def load(self, spec: ModelSpec) -> Engine:
        await self._step("load")
        return Stub()

    async def wake(self, spec: ModelSpec, engine: Engine) -> None:
        await self._step("wake")

    async def sleep(self, spec: ModelSpec, engine: Engine) -> None:
        await self._step("sleep")

    async def unload(self, spec: ModelSpec, engine: Engine) -> None:
        self.done.append("unload")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def steps() -> Steps:
    return Steps()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def slot(steps: Steps, clock: Clock) -> Slot:
    return Slot(SPEC, steps, clock=clock)


async def use(slot: Slot, claim: Claim = CLAIM) -> Engine:
    async with slot.lease(claim, 5) as engine:
        return engine


def hold(slot: Slot) -> "asyncio.Task[Engine]":
    return asyncio.create_task(use(slot))


async def waiting(slot: Slot, count: int) -> None:
    while slot.waiting != count:
        await asyncio.sleep(0)


async def test_the_first_lease_loads_and_the_next_does_not(slot: Slot, steps: Steps) -> None:
    assert slot.state is State.UNLOADED
    async with slot.lease(CLAIM, 5) as first:
        assert (slot.state, slot.leases) == (State.READY, 1)
        async with slot.lease(CLAIM, 5) as second:
            assert second is first
            assert slot.leases == 2
    assert (slot.leases, steps.done) == (0, ["load"])


async def test_all_who_wait_share_one_load(slot: Slot, steps: Steps) -> None:
    steps.go.clear()
    first, second = hold(slot), hold(slot)
    await waiting(slot, 2)
    assert slot.state is State.LOADING
    steps.go.set()
    assert await first is await second
    assert steps.done == ["load"]


async def test_a_waiter_that_goes_leaves_the_load_running(slot: Slot, steps: Steps) -> None:
    steps.go.clear()
    goes, stays = hold(slot), hold(slot)
    await waiting(slot, 2)
    goes.cancel()
    with pytest.raises(asyncio.CancelledError):
        await goes
    assert slot.waiting == 1
    steps.go.set()
    await stays
    assert (slot.state, steps.done) == (State.READY, ["load"])


async def test_the_last_waiter_going_leaves_the_load_running_too(slot: Slot, steps: Steps) -> None:
    steps.go.clear()
    goes = hold(slot)
    await waiting(slot, 1)
    goes.cancel()
    await asyncio.wait([goes])
    steps.go.set()
    await use(slot)
    assert steps.done == ["load"]


async def test_too_many_waiters_are_refused(slot: Slot, steps: Steps) -> None:
    steps.go.clear()
    held = [hold(slot), hold(slot)]
    await waiting(slot, 2)
    with pytest.raises(Overloaded, match="Too many requests are waiting for the model `m`") as caught:
        await use(slot, Claim("another"))
    assert caught.value.headers["Retry-After"]
    steps.go.set()
    await asyncio.gather(*held)


async def test_a_full_engine_has_a_queue_of_bounded_length(steps: Steps, clock: Clock) -> None:
    class Narrow(FakeModel):
        @property
        def parallel(self) -> int:
            return 1

    slot = Slot(Narrow(name="n", engine="fake", serves=Task.CHAT, max_queue=2), steps, clock=clock)
    async with slot.lease(CLAIM, 5):
        held = [hold(slot) for _ in range(2)]
        await waiting(slot, 2)
        with pytest.raises(Overloaded):
            await use(slot, Claim("another"))
    await asyncio.gather(*held)
    await use(slot)


async def test_a_wait_that_is_over_is_overload_and_the_load_goes_on(slot: Slot, steps: Steps) -> None:
    steps.go.clear()
    with pytest.raises(Overloaded, match="not ready yet"):
        async with slot.lease(CLAIM, 0):
            pass
    assert (slot.state, slot.waiting) == (State.LOADING, 0)
    steps.go.set()
    await use(slot)
    assert steps.done == ["load"]


async def test_a_load_may_take_longer_than_the_queue(slot: Slot, steps: Steps) -> None:
    """Who finds the model unloaded, or on its way, waits for the load by the load's time."""
    steps.go.clear()
    first, second = (asyncio.create_task(use_patiently(slot)) for _ in range(2))
    await waiting(slot, 2)
    for _ in range(10):  # more than enough turns for a bound of 0 to be over
        await asyncio.sleep(0)
    steps.go.set()
    assert await first is await second


async def test_a_load_has_its_own_bound(slot: Slot, steps: Steps) -> None:
    steps.go.clear()
    with pytest.raises(Overloaded, match="not ready yet") as caught:
        async with slot.lease(CLAIM, 60, 0):
            pass
    assert caught.value.headers["Retry-After"]
    assert (slot.state, slot.waiting) == (State.LOADING, 0)
    steps.go.set()


async def test_what_is_no_load_is_waited_for_by_the_queue_time(slot: Slot, steps: Steps) -> None:
    await use(slot)
    steps.go.clear()
    steps.begun.clear()
    putting = asyncio.create_task(slot.evict(How.SLEEP))
    await steps.begun.wait()
    with pytest.raises(Overloaded, match="not ready yet"):
        async with slot.lease(CLAIM, 0, 60):
            pass
    steps.go.set()
    await putting


async def test_the_burial_of_a_dead_engine_is_part_of_the_load(slot: Slot, steps: Steps) -> None:
    engine = await use(slot)
    engine.alive = False  # type: ignore[misc]
    steps.go.clear()
    async with asyncio.TaskGroup() as group:
        late = [group.create_task(use_patiently(slot)) for _ in range(2)]
        await waiting(slot, 2)
        steps.go.set()
    assert late[0].result() is late[1].result()


async def use_patiently(slot: Slot) -> Engine:
    async with slot.lease(CLAIM, 0, 60) as engine:
        return engine


async def test_a_failed_load_is_raised_to_all_and_tried_again_after_a_back_off(
    slot: Slot, steps: Steps, clock: Clock
) -> None:
    steps.go.clear()
    steps.fails = ModelUnavailable("no such layer")
    errors = [hold(slot), hold(slot)]
    await waiting(slot, 2)
    steps.go.set()
    first, second = await asyncio.gather(*errors, return_exceptions=True)
    assert isinstance(first, ModelUnavailable)
    assert isinstance(second, ModelUnavailable)
    assert first is not second
    assert (slot.state, slot.reason) == (State.FAILED, "no such layer")
    with pytest.raises(ModelUnavailable, match="no such layer") as caught:
        await use(slot)
    assert (caught.value.headers["Retry-After"], steps.done) == ("6", ["load"])
    clock.now += 5
    with pytest.raises(ModelUnavailable):
        await use(slot)
    assert steps.done == ["load", "load"]
    clock.now += 5  # the second wait is twice as long
    with pytest.raises(ModelUnavailable):
        await use(slot)
    assert steps.done == ["load", "load"]
    clock.now += 5
    steps.fails = None
    await use(slot)
    assert (slot.state, slot.reason) == (State.READY, None)


async def test_a_bug_in_an_engine_is_logged_and_not_shown(
    slot: Slot, steps: Steps, caplog: pytest.LogCaptureFixture
) -> None:
    steps.fails = KeyError("/secret/path")
    with pytest.raises(ModelUnavailable) as caught:
        await use(slot)
    assert caught.value.message == INTERNAL
    assert slot.reason == INTERNAL
    assert "/secret/path" in caplog.text


async def test_no_room_is_no_failure(slot: Slot, steps: Steps) -> None:
    steps.fails = Overloaded("no memory just now")
    with pytest.raises(Overloaded, match="no memory just now"):
        await use(slot)
    assert (slot.state, slot.reason) == (State.UNLOADED, None)
    steps.fails = None
    await use(slot)


async def test_a_dead_engine_is_replaced_at_the_next_lease(slot: Slot, steps: Steps) -> None:
    async with slot.lease(CLAIM, 5) as engine:
        engine.alive = False  # type: ignore[misc]
        assert (slot.state, slot.reason) == (State.FAILED, DIED)
        async with slot.lease(CLAIM, 5) as fresh:
            assert fresh is not engine
            assert slot.leases == 1
    assert slot.leases == 0
    assert steps.done == ["load", "unload", "load"]


async def test_an_idle_death_is_seen_and_cleaned_up(slot: Slot, steps: Steps, clock: Clock) -> None:
    engine = await use(slot)
    clock.now += 61
    assert await slot.tend() is False
    engine.alive = False  # type: ignore[misc]
    assert await slot.tend() is True  # it lived long: a fresh one is due at once
    assert (slot.state, slot.reason, steps.done) == (State.FAILED, DIED, ["load", "unload"])


async def test_a_first_early_death_is_an_accident_and_the_next_ones_wait(
    slot: Slot, steps: Steps, clock: Clock
) -> None:
    for wait in (0, 5, 10, 20, 20):
        engine = await use(slot)
        engine.alive = False  # type: ignore[misc]
        if wait:
            assert await slot.tend() is False
            clock.now += wait - 0.1
            assert await slot.tend() is False
            clock.now += 0.1
        assert await slot.tend() is True
    engine = await use(slot)
    engine.alive = False  # type: ignore[misc]
    assert await slot.tend() is False
    await use(slot)  # a request does not wait for the back-off
    assert slot.state is State.READY
    clock.now += 60
    engine = await use(slot)
    engine.alive = False  # type: ignore[misc]
    assert await slot.tend() is True  # it lived long: all is forgiven


async def test_a_hang_is_shown_as_such_and_replaced(slot: Slot, steps: Steps, caplog: pytest.LogCaptureFixture) -> None:
    async with slot.lease(CLAIM, 5) as engine:
        engine.hung = True  # type: ignore[misc]
        engine.alive = False  # type: ignore[misc]
        assert (slot.state, slot.reason) == (State.FAILED, HUNG)
        assert await slot.tend() is True
    assert (slot.state, slot.reason) == (State.FAILED, HUNG)
    assert "its engine hung and was ended with 1 requests in flight" in caplog.text
    await use(slot)
    assert (slot.state, slot.reason, steps.done) == (State.READY, None, ["load", "unload", "load"])


async def test_used_models_are_not_put_away(slot: Slot, steps: Steps) -> None:
    assert await slot.evict(How.STOP) is False
    async with slot.lease(CLAIM, 5):
        assert await slot.evict(How.STOP) is False
    assert await slot.evict(How.STOP) is True
    assert (slot.state, steps.done) == (State.UNLOADED, ["load", "unload"])
    await use(slot)


async def test_sleep_and_wake(slot: Slot, steps: Steps) -> None:
    await use(slot)
    assert await slot.evict(How.SLEEP) is True
    assert (slot.state, slot.asleep) == (State.ASLEEP, True)
    await use(slot)
    assert (slot.state, slot.asleep) == (State.READY, False)
    await slot.evict(How.SLEEP)
    await slot.evict(How.STOP)
    assert (slot.state, steps.done) == (State.UNLOADED, ["load", "sleep", "wake", "sleep", "unload"])


async def test_who_comes_while_it_falls_asleep_wakes_it(slot: Slot, steps: Steps) -> None:
    await use(slot)
    steps.go.clear()
    steps.begun.clear()
    putting = asyncio.create_task(slot.evict(How.SLEEP))
    await steps.begun.wait()
    assert slot.state is State.DRAINING
    late = hold(slot)
    await waiting(slot, 1)
    steps.go.set()
    await late
    assert await putting is True
    assert (slot.state, steps.done) == (State.READY, ["load", "sleep", "wake"])


async def test_a_model_that_cannot_sleep_is_stopped(slot: Slot, steps: Steps) -> None:
    await use(slot)
    steps.fails = ModelUnavailable("too noisy")
    await slot.evict(How.SLEEP)
    assert (slot.state, steps.done) == (State.UNLOADED, ["load", "sleep", "unload"])


async def test_a_sleep_that_breaks_in_an_unknown_way_ends_the_model(slot: Slot, steps: Steps) -> None:
    await use(slot)
    steps.fails = RuntimeError("EngineCore encountered an issue")
    assert await slot.evict(How.SLEEP) is True
    assert (slot.state, slot.engine, steps.done) == (State.UNLOADED, None, ["load", "sleep", "unload"])


async def test_an_engine_that_breaks_when_it_is_stopped_is_not_the_newcomers_failure(
    slot: Slot, steps: Steps, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(spec: ModelSpec, engine: Engine) -> None:
        raise OSError("cannot reap")

    await use(slot)
    monkeypatch.setattr(steps, "unload", breaks)
    assert await slot.evict(How.STOP) is True
    assert (slot.state, slot.engine) == (State.UNLOADED, None)
    assert "cannot reap" in caplog.text


async def test_a_failed_wake_stops_the_engine(slot: Slot, steps: Steps, clock: Clock) -> None:
    await use(slot)
    await slot.evict(How.SLEEP)
    steps.fails = ModelUnavailable("gibberish")
    with pytest.raises(ModelUnavailable, match="gibberish"):
        await use(slot)
    assert (slot.state, slot.reason) == (State.FAILED, "gibberish")
    clock.now += 5
    steps.fails = None
    await use(slot)
    assert steps.done == ["load", "sleep", "wake", "unload", "load"]


async def test_no_room_to_wake_leaves_it_asleep(slot: Slot, steps: Steps) -> None:
    await use(slot)
    await slot.evict(How.SLEEP)
    steps.fails = Overloaded()
    with pytest.raises(Overloaded):
        await use(slot)
    assert slot.state is State.ASLEEP


async def test_closing_waits_for_those_in_flight(slot: Slot, steps: Steps) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(slot.lease(CLAIM, 5))
        closing = asyncio.create_task(slot.aclose(60))
        while slot.state is not State.DRAINING:
            await asyncio.sleep(0)
        with pytest.raises(ServerStopping):
            await use(slot)
        assert steps.done == ["load"]
    await closing
    await slot.aclose(60)
    assert (slot.state, steps.done) == (State.UNLOADED, ["load", "unload"])


async def test_closing_does_not_wait_for_ever(slot: Slot, steps: Steps) -> None:
    async with slot.lease(CLAIM, 5):
        await slot.aclose(0)
    assert steps.done == ["load", "unload"]


async def test_closing_ends_a_load(slot: Slot, steps: Steps) -> None:
    steps.go.clear()
    waiter = hold(slot)
    await waiting(slot, 1)
    await slot.aclose(5)
    with pytest.raises(ServerStopping):
        await waiter
    assert (slot.state, steps.done) == (State.UNLOADED, [])


async def test_closing_in_the_middle_of_a_burial_lets_no_load_follow(
    slot: Slot, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    buried, burying = asyncio.Event(), asyncio.Event()

    async def bury(spec: ModelSpec, engine: Engine) -> None:
        burying.set()
        await buried.wait()

    engine = await use(slot)
    engine.alive = False  # type: ignore[misc]
    monkeypatch.setattr(steps, "unload", bury)
    late = hold(slot)
    await burying.wait()
    closing = asyncio.create_task(slot.aclose(5))
    await asyncio.sleep(0)
    buried.set()
    await closing
    with pytest.raises(ServerStopping):
        await late
    assert (slot.state, steps.done) == (State.UNLOADED, ["load"])


async def test_idleness_is_announced(steps: Steps, clock: Clock) -> None:
    leases: list[int] = []
    slot = Slot(SPEC, steps, clock=clock, on_idle=lambda: leases.append(slot.leases))
    async with slot.lease(CLAIM, 5):
        assert leases == [0]  # the load is over
    assert leases == [0, 0]
    clock.now += 1
    async with slot.lease(CLAIM, 5):
        assert slot.last_used == 1001
