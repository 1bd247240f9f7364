"""Background work that is ended never leaves a unit of work half done."""

import asyncio

import pytest
from sqlalchemy import text

from server.storage.database import Database
from server.storage.units import end

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
