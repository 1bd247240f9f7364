"""Over raw sockets: an answer that is torn in the midst has no clean end, whatever tears it and whatever its format."""

import asyncio
import json
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast, get_args

import httpx
import pytest

from server.core import AudioFormat, Task
from server.engines.worker.engine import WorkerEngine
from server.settings import Settings
from server.testing import KEY, FakeServer
from tests.api.listening import listening

pytestmark = pytest.mark.anyio

END = b"0\r\n\r\n"
"""The last chunk of a body in chunks, without which it is torn."""
TORN = b"3\r\none\r\n"


async def answer_to(client: httpx.AsyncClient, **asked: Any) -> bytes:
    """The body as it is on the line, until the server closes it."""
    body = json.dumps({"model": "everything", "voice": "alloy", "input": "one two three"} | asked).encode()
    head = (
        f"POST /v1/audio/speech HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(head.encode() + body)
    top, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert top.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding: chunked" in top
    return rest


async def test_a_file_whose_engine_dies_is_torn_in_every_format(settings: Settings) -> None:
    async with FakeServer(settings, {Task.SPEECH: {"die_after": 1}}) as fake, listening(fake) as client:
        for form in get_args(AudioFormat):
            assert await answer_to(client, response_format=form) == TORN
            await fake.engines[Task.SPEECH].start()
    async with FakeServer(settings) as fake, listening(fake) as client:
        for form in get_args(AudioFormat):
            assert (await answer_to(client, response_format=form)).endswith(END)


async def test_events_whose_engine_dies_end_with_the_error_in_every_format(settings: Settings) -> None:
    async with FakeServer(settings, {Task.SPEECH: {"die_after": 1}}) as fake, listening(fake) as client:
        for form in get_args(AudioFormat):
            told = await answer_to(client, response_format=form, stream_format="sse")
            assert b"speech.audio.delta" in told
            assert b'"code":"engine_failed"' in told
            assert b"speech.audio.done" not in told
            await fake.engines[Task.SPEECH].start()


async def test_a_file_whose_worker_ends_in_the_midst_is_torn(settings: Settings) -> None:
    """A real one: its job fails, ends without a word, or its process is killed."""
    beside = {"PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[2]), str(Path(__file__).parent)))}
    worker = WorkerEngine("dying_speaker:create", {}, name="dying", environment=beside)
    async with AsyncExitStack() as stack:
        await worker.start()
        stack.push_async_callback(worker.stop)
        fake = await stack.enter_async_context(FakeServer(settings))
        client = await stack.enter_async_context(listening(fake))
        fake.registry.engines = {**fake.registry.engines, "fake-speech": cast(Any, worker)}
        for end in ("raises", "stops"):
            assert await answer_to(client, input=end) == TORN
        assert await answer_to(client, input="goes on") == TORN + END
        assert await answer_to(client, input="is killed") == TORN
        assert not worker.alive
