"""Streams: sent at once, closed on every path, honest about errors."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect

from server.api import errors
from server.api import sse as events
from server.api.dialect import Dialects
from server.api.errors import Guard
from server.api.openai.dialect import DONE, OPENAI
from server.api.run_response import RunResponse
from server.api.sse import SseResponse, frame, named_frame
from server.errors import EngineFailed
from server.pipeline.run import ClientGone
from server.testing import Exchange

pytestmark = pytest.mark.anyio


class Work:
    """A Run whose frames come from a queue: bytes are sent, an exception is raised, None ends it."""

    def __init__(self) -> None:
        self.feed: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.frames_closed = False
        self.closed = False
        self.failed = False

    async def frames(self) -> AsyncGenerator[bytes, None]:
        try:
            while (item := await self.feed.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            await asyncio.sleep(0)  # what a real generator does when it is closed: it awaits
            self.frames_closed = True

    async def __aenter__(self) -> "Work":
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.failed = error is not None and not isinstance(error, ClientGone)
        assert self.frames_closed, "the frames must be closed before what they draw on"
        await asyncio.sleep(0)
        self.closed = True

    @property
    def headers(self) -> dict[str, str]:
        return {"x-sagehold-model": "m"}

    @property
    def progress(self) -> str:
        return "at work"


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def app(work: Work) -> FastAPI:
    app = FastAPI(middleware=[])
    app.add_middleware(Guard)
    errors.install(app, Dialects(OPENAI))

    @app.post("/sse")
    async def sse() -> SseResponse:
        return SseResponse(work, Work.frames, terminated=True)

    @app.post("/audio")
    async def audio() -> RunResponse:
        return RunResponse(work, Work.frames, media_type="audio/mpeg")

    return app


def exchange(app: FastAPI, path: str) -> Exchange:
    return Exchange(app, "POST", path, b"{}", {})


def test_frames_are_single_data_lines() -> None:
    assert frame({"text": "line\nbreak é"}) == 'data: {"text":"line\\nbreak é"}\n\n'.encode()
    assert named_frame("done", {"a": 1}) == b'event: done\ndata: {"a":1}\n\n'


async def test_each_frame_leaves_at_once(app: FastAPI, work: Work) -> None:
    async with exchange(app, "/sse") as sent:
        assert await sent.start() == 200
        assert sent.headers["content-type"].startswith("text/event-stream")
        assert sent.headers["cache-control"] == "no-cache"
        assert sent.headers["x-accel-buffering"] == "no"
        assert sent.headers["x-sagehold-model"] == "m"
        for text in (b"one", b"two"):  # the second is fed only after the first has arrived
            work.feed.put_nowait(text)
            assert await sent.chunk() == text
        assert not work.closed
        work.feed.put_nowait(None)
        assert await sent.chunk() is None
        await sent.ended()
    assert work.closed


async def test_a_hang_up_closes_frames_and_run(app: FastAPI, work: Work) -> None:
    async with exchange(app, "/sse") as sent:
        await sent.start()
        work.feed.put_nowait(b"one")
        await sent.chunk()
        sent.hang_up()
        with pytest.raises(ClientDisconnect):  # which the outer layer counts
            await sent.ended()
    assert work.frames_closed
    assert work.closed
    assert not work.failed


async def test_an_error_in_the_stream_is_an_event_and_the_stream_ends_well(app: FastAPI, work: Work) -> None:
    async with exchange(app, "/sse") as sent:
        await sent.start()
        work.feed.put_nowait(b"one")
        assert await sent.chunk() == b"one"
        work.feed.put_nowait(EngineFailed())
        shown = await sent.chunk()
        assert shown is not None
        event, rest = shown.removeprefix(b"data: ").split(b"\n\n", 1)
        assert orjson.loads(event) == {
            "error": {"message": EngineFailed().message, "type": "server_error", "param": None, "code": "engine_failed"}
        }
        assert rest == DONE
        assert await sent.chunk() is None
        await sent.ended()
    assert work.closed


async def test_a_bug_in_the_stream_tells_nothing_but_is_logged(
    app: FastAPI, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    async with exchange(app, "/sse") as sent:
        await sent.start()
        work.feed.put_nowait(RuntimeError("secret /path"))
        shown = await sent.chunk()
        assert shown is not None
        assert b"secret" not in shown
        assert b'"code":"internal_error"' in shown
        await sent.ended()
    assert "secret /path" in caplog.text
    assert work.closed
    assert work.failed


async def test_torn_audio_breaks_the_connection(app: FastAPI, work: Work, caplog: pytest.LogCaptureFixture) -> None:
    """A file can't say that it is torn: the client must not see its regular end."""
    async with exchange(app, "/audio") as sent:
        work.feed.put_nowait(b"half a file")
        await sent.start()
        assert await sent.chunk() == b"half a file"
        work.feed.put_nowait(RuntimeError("the encoder broke"))
        with pytest.raises(RuntimeError):
            await sent.ended()
        assert sent.unread() == [None], "an end of body was sent"
    assert "the encoder broke" in caplog.text
    assert work.closed
    assert work.failed


async def test_a_cancelled_server_still_closes_the_run(app: FastAPI, work: Work) -> None:
    """At shutdown the server cancels the tasks of requests; their holds must be given back: nothing was answered."""
    sent = exchange(app, "/sse")
    async with sent:
        await sent.start()
        work.feed.put_nowait(b"one")
        await sent.chunk()
        sent.cancel()
    assert work.closed
    assert work.failed


@pytest.fixture(autouse=True)
def _logs(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO)


async def test_no_comment_comes_after_the_end(work: Work, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the run takes to close."""
    monkeypatch.setattr(events, "KEEP_ALIVE", 0.0)
    closing, closed = asyncio.Event(), Work.__aexit__

    async def close_late(self: Work, *error: Any) -> None:
        await closing.wait()
        await closed(self, *error)

    monkeypatch.setattr(Work, "__aexit__", close_late)
    async with exchange(app, "/sse") as sent:
        try:
            await sent.start()
            work.feed.put_nowait(b"one")
            while await sent.chunk() != b"one":
                pass  # comments
            work.feed.put_nowait(None)
            while await sent.chunk() is not None:
                pass
            for _ in range(10):
                await asyncio.sleep(0)
            assert sent.unread() == []
        finally:
            closing.set()
        await sent.ended()
