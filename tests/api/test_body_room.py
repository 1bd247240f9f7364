"""Room for large bodies: bounded in all and for each account, first come first served."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from server.api import body_room
from server.api.body_room import BodyRoom
from server.errors import Overloaded, RateLimited

pytestmark = pytest.mark.anyio


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Body:
    """One that holds room from `begin` to `end`."""

    def __init__(self, room: BodyRoom, account: str, size: int) -> None:
        self.holds = False
        self._end = asyncio.Event()
        self.task = asyncio.create_task(self._hold(room, account, size))

    async def _hold(self, room: BodyRoom, account: str, size: int) -> None:
        async with room.holding(account, size):
            self.holds = True
            await self._end.wait()
        self.holds = False

    async def end(self) -> None:
        self._end.set()
        await self.task


async def test_an_account_has_half_and_keeps_nobody_else_waiting() -> None:
    room = BodyRoom(100)
    first, second, third = Body(room, "a", 30), Body(room, "a", 30), Body(room, "a", 20)
    other = Body(room, "b", 50)
    await settled()
    assert [first.holds, second.holds, third.holds, other.holds] == [True, False, True, True]
    await first.end()
    await settled()
    assert second.holds
    for one in (second, third, other):
        await one.end()
    assert room.taken == 0


async def test_a_small_body_does_not_pass_a_large_one_that_came_before() -> None:
    room = BodyRoom(100)
    bodies = [Body(room, name, size) for name, size in (("a", 50), ("b", 40), ("c", 30), ("d", 5))]
    await settled()
    assert [one.holds for one in bodies] == [True, True, False, False]
    await bodies[1].end()
    await settled()
    assert [one.holds for one in bodies] == [True, False, True, True]
    for one in (bodies[0], bodies[2], bodies[3]):
        await one.end()
    assert room.taken == 0


async def test_what_is_larger_than_an_accounts_share_is_read_alone() -> None:
    room = BodyRoom(100)
    async with room.holding("a", 1000):
        assert room.taken == 50
    assert room.taken == 0


@pytest.mark.parametrize(("before", "error"), [(("a", "b"), Overloaded), (("b", "b"), RateLimited)])
async def test_a_wait_has_its_end(
    monkeypatch: pytest.MonkeyPatch, before: tuple[str, str], error: type[Exception]
) -> None:
    room = BodyRoom(100)
    async with AsyncExitStack() as held:
        await held.enter_async_context(room.holding(before[0], 50 if before[0] == "a" else 20))
        await held.enter_async_context(room.holding(before[1], 50 if before[0] == "a" else 30))
        monkeypatch.setattr(body_room, "WAIT", 0.0)
        with pytest.raises(error) as refused:
            async with room.holding("b" if error is RateLimited else "c", 10):
                raise AssertionError
        assert "Retry-After" in refused.value.headers  # type: ignore[attr-defined]
    assert room.taken == 0
    async with room.holding("c", 50), room.holding("b", 50):
        assert room.taken == 100


async def test_who_leaves_while_it_waits_leaves_nothing_behind() -> None:
    room = BodyRoom(100)
    first, waiting, behind = Body(room, "a", 50), Body(room, "a", 10), Body(room, "a", 20)
    await settled()
    waiting.task.cancel()
    await asyncio.wait([waiting.task])
    await first.end()
    await settled()
    assert behind.holds
    assert room.taken == 20
    await behind.end()
    assert room.taken == 0


async def test_one_body_is_read_at_a_time() -> None:
    room, inside, most = BodyRoom(100), 0, 0

    def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1

    await asyncio.gather(*(room.read(work) for _ in range(8)))
    assert most == 1
