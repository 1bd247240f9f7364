"""Files that are read for a request: so many at once, and the others wait as long as for a model."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from server.api.services import READERS
from server.knowledge.parsing import reader
from server.knowledge.parsing.parsed import Block
from tests.api.asksage.conftest import Sage

pytestmark = pytest.mark.anyio
FILES = {"file": ("a.txt", b"text", "text/plain")}


class Slow:
    """Reads once it is let."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.full = asyncio.Event()
        self.running = self.most = 0

    async def __call__(self, path: Path, filename: str, **_: Any) -> Sequence[Block]:
        self.running += 1
        self.most = max(self.most, self.running)
        if self.running == READERS:
            self.full.set()
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        return [Block("what it says")]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(reader, "read", made)
    return made


async def test_so_many_are_read_at_once(sage: Sage, slow: Slow) -> None:
    asked = [asyncio.create_task(sage.json("/server/file", files=FILES)) for _ in range(READERS + 2)]
    await slow.full.wait()
    with_question = asyncio.create_task(
        sage.json("/server/query_with_file", data={"message": "What does it say?"}, files=FILES)
    )
    asked[0].cancel()  # a hang-up lets the next one in
    slow.gate.set()
    for answer in await asyncio.gather(*asked[1:], with_question):
        assert answer["status"] == 200, answer
    assert slow.most == READERS


async def test_one_that_waits_too_long_is_told_so(sage: Sage, slow: Slow) -> None:
    sage.fake.services.settings.__dict__["queue_timeout"] = 0.05
    asked = [asyncio.create_task(sage.json("/server/file", files=FILES)) for _ in range(READERS)]
    await slow.full.wait()
    refused = await sage.json("/server/file", files=FILES)
    assert (refused["status"], refused["error"]) == (503, "server_is_overloaded")
    slow.gate.set()
    await asyncio.gather(*asked)
    assert (await sage.json("/server/file", files=FILES))["status"] == 200
