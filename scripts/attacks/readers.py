"""Clients that do not take their answers, that hang up in the midst of them, and that connect and say nothing."""

import asyncio
import contextlib
import json
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from scripts.attacks.row import Row
from scripts.attacks.target import Target, fake_models, served

TOKENS = 60_000
LONG = f"""
name: long
engine: fake
serves: chat
price: {{prompt_token: 0.1, completion_token: 1}}
options: {{tokens: {TOKENS}, context: 1000000}}
"""
TIMEOUT = 2.0
"""Of the server attacked, in seconds, so that the attack is short; a full buffer earns about five more."""
MOST_UNREAD = 4000
"""Tokens of a stream that the buffers of both ends may hold; each is a chunk of 200 bytes."""
ENDED = 30.0
"""Seconds after which a reader must have been cut off."""
STALL = 0.5
"""Seconds that another request may wait meanwhile. It shares its processor cores with the attack."""


class Reader:
    """A connection whose own end keeps as little as the system allows."""

    def __init__(self) -> None:
        self.line = socket.socket()
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.line.setblocking(False)

    async def ask(self, target: Target, **body: object) -> None:
        loop = asyncio.get_running_loop()
        data = json.dumps({"model": "long", "messages": [{"role": "user", "content": "hello"}], **body}).encode()
        host, port = target.url.removeprefix("http://").split(":")
        await loop.sock_connect(self.line, (host, int(port)))
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {target.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        await loop.sock_sendall(self.line, head.encode() + data)

    async def trickle(self) -> None:
        """Read a byte a second, until the server has ended it and all that has come is read."""
        with contextlib.suppress(ConnectionError):
            while await asyncio.get_running_loop().sock_recv(self.line, 1):  # noqa: ASYNC110 - as slow as that
                await asyncio.sleep(1)


class Beside:
    """Another client's requests while the block runs. worst: the longest, in seconds."""

    def __init__(self, target: Target) -> None:
        self.worst = 0.0
        self._target = target

    async def __aenter__(self) -> "Beside":
        self._task = asyncio.create_task(self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _ask(self) -> None:
        async with self._target.client() as client:
            while True:
                begun = time.monotonic()
                await client.get("/health")
                self.worst = max(self.worst, time.monotonic() - begun)
                await asyncio.sleep(0.02)


async def metric(target: Target, name: str) -> float:
    async with target.client() as client:
        text = (await client.get("/metrics")).text
    found = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return sum(sample.value for sample in found if sample.name == name)


async def idle(target: Target, process: psutil.Process) -> tuple[float, int]:
    """The seconds until no job runs, ENDED at most, and the most bytes that the server held meanwhile."""
    begun = time.monotonic()
    most = 0
    while time.monotonic() - begun < ENDED:
        most = max(most, process.memory_info().rss)
        if not await metric(target, "sagehold_running_jobs"):
            break
        await asyncio.sleep(0.1)
    return time.monotonic() - begun, most


async def trickling(target: Target, readers: int) -> Row:
    process = psutil.Process(target.process.pid)
    before, memory = await metric(target, "sagehold_completion_tokens_total"), process.memory_info().rss
    lines = [Reader() for _ in range(readers)]
    async with Beside(target) as beside:
        for one in lines:
            await one.ask(target, stream=True)
        reading = [asyncio.create_task(one.trickle()) for one in lines]
        seconds, most = await idle(target, process)
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
        for one in lines:
            one.line.close()
    tokens = (await metric(target, "sagehold_completion_tokens_total") - before) / readers
    return Row(
        f"{readers} streams of {TOKENS} tokens, each read by one byte a second",
        f"all ended after {seconds:.0f} s; {tokens:.0f} tokens of each made and paid; "
        f"+{(most - memory) / 2**20:.0f} MiB; another request waited {beside.worst:.2f} s at most",
        f"ended within {ENDED:.0f} s, at most {MOST_UNREAD} tokens of each, nobody else waits over {STALL:g} s",
        seconds < ENDED and 0 < tokens <= MOST_UNREAD and beside.worst <= STALL,
    )


async def hanging_up(target: Target, readers: int) -> Row:
    process = psutil.Process(target.process.pid)
    before = await metric(target, "sagehold_completion_tokens_total")
    lines = [Reader() for _ in range(readers)]
    for one in lines:
        await one.ask(target, stream=True)
    await asyncio.gather(*(asyncio.get_running_loop().sock_recv(one.line, 1) for one in lines))
    async with Beside(target) as beside:
        for one in lines:
            one.line.close()
        await idle(target, process)
        await asyncio.sleep(0.2)  # in which a request beside would see a stall
    tokens = (await metric(target, "sagehold_completion_tokens_total") - before) / readers
    return Row(
        f"{readers} streams of {TOKENS} tokens whose clients hang up at once",
        f"{tokens:.0f} tokens of each made and paid; another request waited {beside.worst:.2f} s at most",
        f"at most {MOST_UNREAD} tokens of each, nobody else waits over {STALL:g} s",
        0 < tokens <= MOST_UNREAD and beside.worst <= STALL,
    )


def connections(target: Target, count: int) -> Iterable[socket.socket]:
    host, port = target.url.removeprefix("http://").split(":")
    for _ in range(count):
        yield socket.create_connection((host, int(port)), timeout=10)


async def silent(target: Target, count: int) -> Row:
    with contextlib.ExitStack() as held:
        for line in connections(target, count):
            held.enter_context(line)
        begun = time.monotonic()
        async with target.client() as client:
            status = (await client.get("/health")).status_code
        waited = time.monotonic() - begun
        files = psutil.Process(target.process.pid).num_fds()
    return Row(
        f"{count} connections that say nothing",
        f"{files} descriptors; another client was answered {status} after {waited:.2f} s",
        "answered",
        status == 200,
    )


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    readers = 20 if quick else 200
    configs = fake_models(folder, {"long": LONG})
    with served(folder, configs=configs, settings={"READER_TIMEOUT": str(TIMEOUT)}) as target:
        yield await trickling(target, readers)
        yield await hanging_up(target, readers)
        yield await silent(target, 200 if quick else 2000)


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async for row in rows(Path(folder), quick="--quick" in sys.argv):
            print("held" if row.held else "FELL", "|", row.attack, "|", row.measured, "|", row.wanted)


if __name__ == "__main__":
    asyncio.run(_main())
