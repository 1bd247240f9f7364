"""Background work that is ended never leaves a unit of work half done."""

import asyncio

import pytest
from sqlalchemy import text

from server.storage.database import Database
from server.storage.units import end, to_its_end

pytestmark = pytest.mark.anyio


async def test_a_unit_of_work_is_finished_before_its_task_ends(database_url: str) -> None:
    database = Database(database_url)
    await database.migrate()
    begun, go_on = asyncio.Event(), asyncio.Event()
    after = False

    async def work() -> None:
        nonlocal after
        async with database.write() as session:
            begun.set()
            await go_on.wait()
            await session.execute(text("INSERT INTO installation (name, value) VALUES ('unit', 'whole')"))
        await asyncio.sleep(0)
        after = True

    task = asyncio.create_task(work())
    await begun.wait()
    end(task)
    go_on.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not after
    async with database.read() as session:
        assert await session.scalar(text("SELECT value FROM installation WHERE name = 'unit'")) == "whole"
    await database.aclose()


async def test_a_task_outside_of_one_ends_at_once() -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    end(task)
    await asyncio.wait([task])
    assert task.cancelled()


async def test_who_is_cancelled_waits_for_the_end_of_the_work() -> None:
    go_on = asyncio.Event()
    done: list[str] = []

    async def work(fails: bool) -> str:
        await go_on.wait()
        done.append("it")
        if fails:
            raise ValueError("of its own")
        return "it"

    for fails in (False, True):
        go_on.clear()
        waiting = asyncio.create_task(to_its_end(work(fails)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
        go_on.set()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
    assert done == ["it", "it"]
    assert await to_its_end(work(False)) == "it"
    with pytest.raises(ValueError, match="of its own"):
        await to_its_end(work(True))
