"""Signals to a server at work: what its clients get, how long it takes, what is left of it.

python -m scripts.attacks.stopping prints the rows.
"""

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil

from scripts.attacks.row import Row
from scripts.attacks.target import Target, fake_models, served

STUCK = "name: stuck\nengine: fake\nserves: chat\noptions: {pause: 3600}\n"
"""Answers with one token and then works for an hour."""
BODY = {"model": "stuck", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
STREAMS, PLAIN = 16, 4
GRACE = 2.0
AFTER = 15.0
"""Seconds from the grace's end within which the server must have ended."""
LONG = 3600.0
FORCED = 2.0
CHAT = "smollm2-135m-instruct"
STARTING = 3.0
"""Seconds within which a server must end whose model loads."""


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    """quick: without the one that loads a real model."""
    yield await _sigterm(folder / "sigterm")
    yield await _second_signal(folder / "second")
    if not quick:
        yield await _while_loading(folder / "loading")


async def _sigterm(folder: Path) -> Row:
    """SIGTERM with answers that outlive the grace."""
    settings = {"SHUTDOWN_GRACE": str(GRACE)}
    with served(folder, configs=fake_models(folder, {"stuck": STUCK}), settings=settings) as target:
        async with target.client(limits=httpx.Limits(max_connections=None)) as client, _probing(target) as probe:
            streams = [asyncio.create_task(_stream(client)) for _ in range(STREAMS)]
            plain = [asyncio.create_task(client.post("/v1/chat/completions", json=BODY)) for _ in range(PLAIN)]
            await _running(probe, STREAMS + PLAIN)
            begun = time.monotonic()
            target.process.send_signal(signal.SIGTERM)
            refused = await _refused(target)
            ready = await probe.get("/ready")
            told = sum(await asyncio.gather(*streams))
            enveloped = sum(
                answer.status_code == 503 and answer.json()["error"]["code"] == "server_shutting_down"
                for answer in await asyncio.gather(*plain)
            )
            code = await asyncio.to_thread(target.process.wait, 60)
            took = time.monotonic() - begun
    return Row(
        f"SIGTERM with {STREAMS} streams and {PLAIN} plain requests longer than the grace of {GRACE:g} s",
        f"{told} streams get the error event, {enveloped} plain ones the envelope; /ready {ready.status_code}; "
        f"new connections {'refused' if refused else 'taken'}; ended after {took:.1f} s with {code}",
        f"all told; 503; refused; at most {GRACE + AFTER:g} s, 0",
        told == STREAMS
        and enveloped == PLAIN
        and ready.status_code == 503
        and refused
        and code == 0
        and took < GRACE + AFTER,
    )


async def _second_signal(folder: Path) -> Row:
    settings = {"SHUTDOWN_GRACE": str(LONG)}
    with served(folder, configs=fake_models(folder, {"stuck": STUCK}), settings=settings) as target:
        async with target.client() as client, _probing(target) as probe:
            stream = asyncio.create_task(_stream(client))
            await _running(probe, 1)
            target.process.send_signal(signal.SIGINT)
            await _refused(target)
            begun = time.monotonic()
            target.process.send_signal(signal.SIGINT)
            code = await asyncio.to_thread(target.process.wait, 60)
            took = time.monotonic() - begun
            told = await stream
    quiet = "Traceback" not in target.log.read_text()
    return Row(
        "a second SIGINT while an answer has an hour of grace",
        f"ended after {took:.2f} s with {code}; the stream {'was told' if told else 'was torn'}; "
        f"{'no' if quiet else 'a'} traceback",
        f"at most {FORCED:g} s, 130; told; none",
        took < FORCED and code == 128 + signal.SIGINT and told and quiet,
    )


async def _while_loading(folder: Path) -> Row:
    with served(folder, settings={"MODELS": CHAT}, ready=False) as target:
        tree = psutil.Process(target.process.pid).children(recursive=True)
        begun = time.monotonic()
        target.process.send_signal(signal.SIGINT)
        code = await asyncio.to_thread(target.process.wait, 120)
        took = time.monotonic() - begun
    _, left = await asyncio.to_thread(psutil.wait_procs, tree, 2)
    quiet = "Traceback" not in target.log.read_text()
    return Row(
        "SIGINT while vLLM loads a chat model",
        f"ended after {took:.1f} s with {code}; {len(left)} processes left; {'no' if quiet else 'a'} traceback",
        f"at most {STARTING:g} s, 0; none; none",
        took < STARTING and code == 0 and not left and quiet,
    )


def _probing(target: Target) -> httpx.AsyncClient:
    """A probe, whose one connection is kept open."""
    return target.client(limits=httpx.Limits(max_connections=1))


async def _stream(client: httpx.AsyncClient) -> bool:
    """Whether the stream was ended with the error and the terminator, and not torn."""
    text = ""
    try:
        async with client.stream("POST", "/v1/chat/completions", json={**BODY, "stream": True}) as answer:
            async for piece in answer.aiter_text():
                text += piece
    except httpx.HTTPError:
        return False
    return "server_shutting_down" in text and text.endswith("data: [DONE]\n\n")


async def _running(probe: httpx.AsyncClient, jobs: int) -> None:
    """Return once so many jobs are at work."""
    wanted = f'sagehold_running_jobs{{model="stuck"}} {jobs}.0'
    async with asyncio.timeout(60):
        while wanted not in (await probe.get("/metrics")).text:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


async def _refused(target: Target) -> bool:
    """Whether new connections are refused within a second."""
    address = httpx.URL(target.url)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while True:
                try:
                    _, writer = await asyncio.open_connection(address.host, address.port)
                except ConnectionRefusedError:
                    return True
                writer.close()
                await asyncio.sleep(0.01)
    return False


async def _print(quick: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async for row in rows(Path(folder), quick=quick):
            sys.stdout.write(
                f"{'held' if row.held else 'FELL'}  {row.attack}\n      {row.measured}\n      wanted: {row.wanted}\n"
            )


if __name__ == "__main__":
    asyncio.run(_print("--quick" in sys.argv))
