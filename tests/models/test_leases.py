"""Waiting for a model's turn, over a slot whose engine works on two requests at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest
from prometheus_client import CollectorRegistry

from server.core import Claim, Task
from server.core.caller import Priority
from server.engines.base import Engine
from server.errors import Overloaded, RateLimited, ServerStopping
from server.models.config.spec import FakeModel
from server.models.memory.eviction import How
from server.models.queue_counts import QueueCounts
from server.models.service_rate import ENOUGH, ServiceRate
from server.models.slot import Slot
from tests.models.test_slot import Clock, Steps, Stub, waiting

pytestmark = pytest.mark.anyio


class Two(FakeModel):
    @property
    def parallel(self) -> int:
        return 2


@pytest.fixture
async def steps() -> Steps:
    return Steps()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counts() -> QueueCounts:
    return QueueCounts()


@pytest.fixture
async def slot(steps: Steps, clock: Clock, counts: QueueCounts) -> Slot:
    slot = Slot(Two(name="m", engine="fake", serves=Task.CHAT, max_queue=8), steps, clock=clock, counts=counts)
    counts.queues = lambda: {"m": slot.queue}
    return slot


class Users:
    """Requests that have a lease, or wait for it, until they are told to end."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.having: list[str] = []
        self.engines: list[Engine] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, account: str = "flood", wait: float = 60, **claim: int) -> "asyncio.Task[None]":
        """Returns once the request has its lease, or waits."""
        before = self._slot.waiting
        task = self._tasks[name] = asyncio.create_task(self._use(name, Claim(account, size=10, **claim), wait))  # type: ignore[arg-type]
        while name not in self.having and self._slot.waiting == before and not task.done():
            await asyncio.sleep(0)
        return task

    async def _use(self, name: str, claim: Claim, wait: float) -> None:
        self._ends[name] = asyncio.Event()
        async with self._slot.lease(claim, wait) as engine:
            self.having.append(name)
            self.engines.append(engine)
            await self._ends[name].wait()

    def let_end(self, name: str) -> None:
        self._ends[name].set()

    async def end(self, name: str) -> None:
        """Returns once the request has ended and whoever is next has begun."""
        self.let_end(name)
        await self._tasks[name]
        for _ in range(5):
            await asyncio.sleep(0)

    async def end_all(self) -> None:
        for end in self._ends.values():
            end.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


@pytest.fixture
async def users(slot: Slot) -> AsyncGenerator[Users, None]:
    users = Users(slot)
    async with slot.lease(Claim("first"), 60):
        pass  # it is loaded
    yield users
    await users.end_all()
    assert (slot.leases, slot.waiting, slot.busy, slot.queue.taken) == (0, 0, False, 0)


async def test_the_engine_has_no_more_than_it_works_on_and_a_newcomer_is_next(slot: Slot, users: Users) -> None:
    for number in range(5):
        await users.come(f"flood-{number}")
    await users.come("polite", "polite")
    assert (slot.leases, slot.waiting, users.having) == (2, 4, ["flood-0", "flood-1"])
    await users.end("flood-1")
    assert users.having == ["flood-0", "flood-1", "polite"]
    assert slot.leases == 2
    await users.end("flood-0")
    assert users.having[-1] == "flood-2"


async def test_a_batch_waits_behind_all_others(users: Users) -> None:
    await users.come("a")
    await users.come("b")
    await users.come("batch", "other", priority=Priority.BACKGROUND)
    await users.come("c")
    await users.end("a")
    assert users.having[-1] == "c"
    await users.end("b")
    assert users.having[-1] == "batch"


async def test_who_gives_up_leaves_its_place_in_the_queue(slot: Slot, users: Users) -> None:
    await users.come("a")
    await users.come("b")
    gone = await users.come("gone")
    await users.come("stays")
    gone.cancel()
    await asyncio.wait([gone])
    assert slot.waiting == 1
    await users.end("a")
    assert users.having[-1] == "stays"


async def test_who_is_cancelled_in_the_moment_of_its_turn_gives_it_on(slot: Slot, users: Users) -> None:
    await users.come("a")
    await users.come("b")
    gone = await users.come("gone")
    await users.come("next")
    entry = next(iter(slot._leases._turns))
    users.let_end("a")
    while not entry.running:
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    for _ in range(5):
        await asyncio.sleep(0)
    assert users.having == ["a", "b", "next"]


async def test_a_wait_that_is_over_says_that_the_model_is_busy(slot: Slot, users: Users, counts: QueueCounts) -> None:
    await users.come("a")
    await users.come("b")
    late = await users.come("late", wait=0)
    with pytest.raises(Overloaded, match="The model `m` is too busy just now") as caught:
        await late
    assert caught.value.headers["Retry-After"]
    assert slot.waiting == 0
    assert value(counts, "sagehold_queue_refusals_total", reason="timeout") == 1


async def test_a_load_leaves_the_queue_its_own_time(slot: Slot, steps: Steps) -> None:
    """Three wait for the load of a model for two. The third's wait for its turn begins when the model is there."""
    steps.go.clear()
    ends = [asyncio.Event() for _ in range(3)]

    async def use(end: asyncio.Event) -> None:
        async with slot.lease(Claim("a"), 60, 600):
            await end.wait()

    tasks = [asyncio.create_task(use(end)) for end in ends]
    await waiting(slot, 3)
    steps.go.set()
    await waiting(slot, 1)
    for end in ends:
        end.set()
    await asyncio.gather(*tasks)


async def test_an_account_that_fills_its_share_is_told_so_and_others_still_wait(
    slot: Slot, users: Users, counts: QueueCounts
) -> None:
    for number in range(9):
        await users.come(f"flood-{number}")
    assert slot.waiting == 7
    with pytest.raises(RateLimited, match="Too many requests of this account are waiting for the model `m`") as caught:
        async with slot.lease(Claim("flood"), 60):
            pass
    assert (caught.value.status, caught.value.code) == (429, "queue_full")
    assert int(caught.value.headers["Retry-After"]) >= 1
    await users.come("polite", "polite")
    with pytest.raises(Overloaded, match="Too many requests are waiting") as full:
        async with slot.lease(Claim("late"), 60):
            pass
    assert full.value.status == 503
    assert value(counts, "sagehold_queue_refusals_total", reason="account") == 1
    assert value(counts, "sagehold_queue_refusals_total", reason="full") == 1
    assert value(counts, "sagehold_queue_depth", **{"class": "normal"}) == 8
    assert value(counts, "sagehold_places_taken") == value(counts, "sagehold_places") == 2
    await users.end("flood-0")
    assert users.having[-1] == "polite"
    assert value(counts, "sagehold_queue_wait_seconds_count") == 2  # and the first, for the load


async def test_those_who_wait_for_an_engine_that_dies_get_the_next_one(slot: Slot, steps: Steps, users: Users) -> None:
    for name in "abcd":
        await users.come(name)
    first = users.engines[0]
    assert isinstance(first, Stub)
    first.alive = False  # type: ignore[misc]
    await users.end("a")
    while len(users.having) < 3:
        await asyncio.sleep(0)
    assert users.having == ["a", "b", "c"]  # b has not noticed yet, and has its place
    assert users.engines[2] is not first
    assert steps.done == ["load", "unload", "load"]
    await users.end("b")
    assert users.having[-1] == "d"


async def test_closing_tells_those_who_wait_at_once(slot: Slot, users: Users) -> None:
    await users.come("a")
    await users.come("b")
    late = await users.come("late")
    closing = asyncio.create_task(slot.aclose(60))
    with pytest.raises(ServerStopping):
        await late
    assert not closing.done()
    await users.end_all()
    await closing


async def test_a_model_in_use_by_those_whose_turn_has_just_come_is_busy(slot: Slot) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(slot.lease(Claim("a"), 60))
        late = asyncio.create_task(stack.enter_async_context(slot.lease(Claim("b"), 60)))
        await waiting(slot, 1)
        await stack.aclose()
        assert slot.busy  # before `late` has run
        await late
        assert slot.leases == 1
        await stack.aclose()
    assert not slot.busy


async def test_the_engine_says_how_many_it_works_on_at_once(slot: Slot, users: Users, steps: Steps) -> None:
    class One(Stub):
        places = 1
        room = 100.0
        context = 7

    async def load(_: object) -> Engine:
        return One()

    steps.load = load  # type: ignore[method-assign, assignment]
    await slot.evict(How.STOP)
    await users.come("a")
    while "a" not in users.having:
        await asyncio.sleep(0)
    await users.come("b")
    assert (slot.leases, slot.waiting, slot.queue.places, slot.queue.room) == (1, 1, 1, 100.0)
    assert slot.queue.held == 7


def value(counts: QueueCounts, name: str, **labels: str) -> float:
    registry = CollectorRegistry()
    registry.register(counts)
    return sum(
        sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_the_rate_is_that_of_busy_times() -> None:
    rate = ServiceRate()
    rate.ended(100, 0.0)  # the first only begins the clock
    for number in range(1, ENOUGH):
        rate.ended(100, float(number))
    assert rate.rate is None
    rate.ended(100, float(ENOUGH))
    assert rate.rate == pytest.approx(100, rel=0.1)
    rate.idle()
    rate.ended(100, 10_000.0)
    rate.ended(100, 10_001.0)
    assert rate.rate == pytest.approx(100, rel=0.1)
    for number in range(300):
        rate.ended(100, 10_001 + number / 2)
    assert rate.rate == pytest.approx(200, rel=0.2)


def test_those_that_end_together_took_the_time_that_others_waited() -> None:
    rate = ServiceRate()
    for round_ in range(3):
        rate.waits(10.0 * round_)
        for number in range(28):
            rate.ended(300, 10.0 * (round_ + 1) + number / 1000)
        assert rate.rate == pytest.approx(28 * 300 / 10, rel=0.01)
    rate.idle()
    rate.waits(500.0)
    for number in range(28):
        rate.ended(300, 510 + number / 1000)
    assert rate.rate == pytest.approx(28 * 300 / 10, rel=0.01)


async def test_the_rate_is_that_of_a_model_that_is_there(slot: Slot, steps: Steps, users: Users, clock: Clock) -> None:
    for number in range(5):
        await users.come(f"a-{number}", f"account-{number}")
    for number in range(ENOUGH):
        clock.now += 1
        await users.come(f"b-{number}", f"new-{number}")
        await users.end(users.having[number])
    rate = slot._leases._rate.rate
    assert rate == pytest.approx(10)  # requests of 10, one a second
    users.engines[0].alive = False  # type: ignore[misc]
    await users.end(users.having[ENOUGH])
    clock.now += 1000
    while users.engines[-1] is users.engines[0]:
        await asyncio.sleep(0)
    assert slot._leases._rate.rate == rate


def test_a_rate_without_time_is_none() -> None:
    rate = ServiceRate()
    for _ in range(2 * ENOUGH):
        rate.ended(100, 5.0)
    assert rate.rate is None
