"""Work that is not streamed ends with its client."""

import asyncio

import pytest
from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from server.api import errors
from server.api.dialect import Dialects
from server.api.lifetime import apart_while_receiving, while_connected, while_receiving
from server.api.openai.dialect import OPENAI
from server.errors import Overloaded
from server.testing import Exchange

pytestmark = pytest.mark.anyio


class Work:
    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # as vLLM does, which awaits the abort of its request
            self.cancelled = True
            raise
        return "done"


def app_with(work: Work) -> FastAPI:
    app = FastAPI()
    errors.install(app, Dialects(OPENAI))

    @app.post("/work")
    async def run(request: Request) -> str:
        await request.body()
        return await while_connected(request, work())

    @app.post("/fail")
    async def fail(request: Request) -> str:
        await request.body()

        async def overloaded() -> str:
            raise Overloaded

        return await while_connected(request, overloaded())

    return app


async def test_the_result_comes_back() -> None:
    work = Work()
    work.go_on.set()
    async with Exchange(app_with(work), "POST", "/work", b"{}", {}) as sent:
        assert await sent.start() == 200
        assert await sent.chunk() == b'"done"'


async def test_a_hang_up_cancels_the_work() -> None:
    work = Work()
    async with Exchange(app_with(work), "POST", "/work", b"{}", {}) as sent:
        await work.begun.wait()
        sent.hang_up()
        with pytest.raises(ClientDisconnect):
            await sent.ended()
    assert work.cancelled


async def test_an_error_arrives_as_itself_not_in_a_group() -> None:
    async with Exchange(app_with(Work()), "POST", "/fail", b"{}", {}) as sent:
        assert await sent.start() == 503
        assert sent.headers["retry-after"] == "5"


async def test_a_hang_up_leaves_no_cancellation_behind() -> None:
    """What closes the request afterwards must be able to await."""
    gone = asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    gone.set()
    with pytest.raises(ClientDisconnect):
        await while_receiving(receive, Work()())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    work = Work()
    task = asyncio.create_task(while_receiving(receive, work()))
    await work.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.cancelled


async def test_a_cancellation_from_outside_is_not_lost_in_a_hang_up() -> None:
    ending = asyncio.Event()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.sleep(10)

    task = asyncio.create_task(apart_while_receiving(receive, work()))
    await ending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
