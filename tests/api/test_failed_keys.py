"""Wrong keys are answered later and later; right ones never, and memory stays bounded."""

import asyncio

import pytest

from server.api.failed_keys import FIRST, FREE, MOST_ADDRESSES, MOST_WAITING, FailedKeys
from server.settings import Settings
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio


class Time:
    """Stands still; sleeping only notes for how long."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_each_further_failure_waits_longer_up_to_a_second() -> None:
    time = Time()
    failed = FailedKeys(time, time.sleep)
    for _ in range(FREE):
        await failed.failed("192.0.2.1")
    assert time.slept == []
    for _ in range(2000):
        await failed.failed("192.0.2.1")
    assert time.slept[:7] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert max(time.slept) == 1.0
    time.slept.clear()
    await failed.failed("192.0.2.2")  # somebody else
    time.now += 60
    await failed.failed("192.0.2.1")  # a minute later
    assert time.slept == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        (None, "not an address", True),
    ],
)
async def test_addresses_of_one_client_count_together(one: str | None, other: str | None, same: bool) -> None:
    time = Time()
    failed = FailedKeys(time, time.sleep)
    for _ in range(FREE):
        await failed.failed(one)
    await failed.failed(other)
    assert bool(time.slept) is same


def addresses(count: int) -> list[str]:
    return [f"10.0.{number // 256}.{number % 256}" for number in range(count)]


async def test_who_failed_longest_ago_is_forgotten() -> None:
    """Exactly MOST_ADDRESSES are remembered, so that memory is bounded."""
    time = Time()
    failed = FailedKeys(time, time.sleep)
    for _ in range(FREE):
        await failed.failed("192.0.2.1")
    others = addresses(MOST_ADDRESSES)
    for address in others * FREE:
        await failed.failed(address)
    assert time.slept == []
    await failed.failed("192.0.2.1")
    assert time.slept == []
    await failed.failed(others[0])  # whose place it took
    assert time.slept == []
    for address in others[2:]:
        await failed.failed(address)
    assert time.slept == [FIRST] * (MOST_ADDRESSES - 2)


async def test_who_fails_again_is_remembered_for_longer() -> None:
    time = Time()
    failed = FailedKeys(time, time.sleep)
    for address in ["192.0.2.1"] * FREE + addresses(MOST_ADDRESSES - 1) + ["192.0.2.1"]:
        await failed.failed(address)
    await failed.failed("192.0.2.2")  # somebody is forgotten for it
    await failed.failed("192.0.2.1")
    assert time.slept == [FIRST, 2 * FIRST]


async def test_no_more_than_so_many_wait() -> None:
    opened = asyncio.Event()

    async def until_opened(_: float) -> None:
        await opened.wait()

    failed = FailedKeys(lambda: 0.0, until_opened)
    for _ in range(FREE):
        await failed.failed("192.0.2.1")
    for _ in range(2):  # whoever waited has given its place back, cancelled or not
        opened.clear()
        waiting = [asyncio.create_task(failed.failed("192.0.2.1")) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        await failed.failed("192.0.2.1")  # returns at once
        waiting[0].cancel()
        opened.set()
        await asyncio.wait(waiting)


async def test_only_wrong_keys_are_slowed_and_never_by_429(settings: Settings) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with FakeServer(settings, failed_keys=FailedKeys(sleep=sleep)) as fake:
        async with fake.client(key="sk-sage-wrong") as wrong:
            for _ in range(FREE + 2):
                assert (await wrong.get("/v1/models")).status_code == 401
        assert slept == [0.05, 0.1]
        async with fake.client(key=KEY) as client:
            assert (await client.get("/v1/models")).status_code == 200
        async with fake.client(key=None) as keyless:
            assert (await keyless.get("/v1/models")).status_code == 401  # nothing was looked up
        assert slept == [0.05, 0.1]
