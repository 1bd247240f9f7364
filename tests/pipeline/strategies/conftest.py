"""A server whose chat model answers by a script, and a client that asks it for quality."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from server.core import Task
from server.settings import Settings
from server.testing import FakeServer

QUESTION = "Which city?"


class Asking:
    """Asks `server` and keeps the answer."""

    def __init__(self, server: FakeServer, client: httpx.AsyncClient) -> None:
        self.server = server
        self.engine = server.engines[Task.CHAT]
        self._client = client

    async def ask(self, quality: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        content = body.pop("content", QUESTION)
        asked = {"model": "everything", "quality": quality, "messages": [{"role": "user", "content": content}], **body}
        return await self._client.post("/v1/chat/completions", json=asked, headers=headers)

    async def text(self, quality: str, **body: Any) -> str:
        answer = await self.ask(quality, **body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["choices"][0]["message"]["content"])


Scripted = Callable[..., AbstractAsyncContextManager[Asking]]


@pytest.fixture
def scripted(settings: Settings) -> Scripted:
    """`async with scripted(replies, **modes)`: replies by a part of the last user message, modes as in a config."""

    @asynccontextmanager
    async def make(
        replies: dict[str, Any], *, options: dict[str, Any] | None = None, **modes: Any
    ) -> AsyncIterator[Asking]:
        by_task = {Task.CHAT: {"replies": replies, **(options or {})}}
        async with FakeServer(settings, by_task, quality={Task.CHAT: modes}) as server, server.client() as client:
            yield Asking(server, client)

    return make


def events(body: str) -> list[dict[str, Any]]:
    """The JSON of an SSE body's events."""
    lines = [line[6:] for line in body.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]
