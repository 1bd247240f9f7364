"""What dies and what stops answering, over the starter models: when callers learn of it, and when it answers again.

A process of an engine is killed (SIGKILL) or stopped (SIGSTOP) while a request is in flight. Measured are the seconds
until that request has ended, until `/ready` tells, and until the model has answered well again. It needs psutil, which
is the server's own.
"""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from scripts.attacks.row import Row
from scripts.attacks.target import Target, served
from server.engines.vllm.processes import NAME

CHAT, VOICE = "smollm2-135m-instruct", "piper-en-us-joe"
FOUND = 10.0
"""Seconds in which a hang must be found, and the request that meets it must end."""
BACK = {VOICE: 5.0, CHAT: 15.0}
"""Seconds from then on in which the model must answer again: a load, its probe and its answer on two cores."""
PATIENCE = 90.0
"""Seconds after which a request that has no answer is given up."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A process of the server's. model: that answers with it."""

    name: str
    model: str
    find: Callable[[psutil.Process], psutil.Process]


def _children(process: psutil.Process, word: str = "") -> list[psutil.Process]:
    return [
        child
        for child in process.children()
        if child.status() != psutil.STATUS_ZOMBIE and word in " ".join(child.cmdline())
    ]


def _piper(server: psutil.Process) -> psutil.Process:
    return next(child for child in _children(server, "server.engines.worker.child") if VOICE in child.cmdline())


def _core(server: psutil.Process) -> psutil.Process:
    return _children(next(child for child in _children(server) if child.name() == NAME))[0]


def _core_worker(server: psutil.Process) -> psutil.Process:
    return _children(_core(server))[0]


PIPER = Victim("piper", VOICE, _piper)
CORE = Victim("vLLM's core", CHAT, _core)
CORE_WORKER = Victim("vLLM's worker", CHAT, _core_worker)


def _request(model: str, *, long: bool) -> tuple[str, dict[str, Any]]:
    if model == VOICE:
        text = "The quick brown fox jumps over the lazy dog. " * (80 if long else 1)
        return "/v1/audio/speech", {"model": VOICE, "input": text, "response_format": "pcm"}
    asked = {"model": CHAT, "messages": [{"role": "user", "content": "What is the capital of Japan?"}]}
    return "/v1/chat/completions", asked | ({"max_tokens": 4000, "ignore_eos": True} if long else {"temperature": 0})


async def _good(client: httpx.AsyncClient, model: str) -> bool:
    path, body = _request(model, long=False)
    try:
        answer = await client.post(path, json=body, timeout=PATIENCE)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200 and (len(answer.content) > 10_000 if model == VOICE else "Tokyo" in answer.text)


async def _ended(client: httpx.AsyncClient, model: str) -> str:
    """How a long request ended."""
    path, body = _request(model, long=True)
    try:
        answer = await client.post(path, json=body, timeout=PATIENCE)
    except httpx.TimeoutException:
        return "no answer"
    except httpx.HTTPError:
        return "torn"
    if answer.status_code == 200:
        return "200"
    return f"{answer.status_code} {answer.json()['error']['code']}"


async def _until(condition: Callable[[], Any], deadline: float) -> bool:
    while time.monotonic() < deadline:
        if await condition():
            return True
        await asyncio.sleep(0.05)
    return False


async def _hit(target: Target, victim: Victim, number: signal.Signals) -> Row:
    """One process, hit while a request is in flight."""
    async with target.client() as client:

        async def busy() -> bool:
            lines = (await client.get("/metrics")).text.splitlines()
            return any(line.startswith(f'sagehold_running_jobs{{model="{victim.model}"}} 1') for line in lines)

        async def told() -> bool:
            return (await client.get("/ready")).status_code == 503

        async def ready() -> bool:
            return not await told()

        async def back() -> bool:
            return await _good(client, victim.model)

        await _until(ready, time.monotonic() + PATIENCE)
        flight = asyncio.create_task(_ended(client, victim.model))
        if not await _until(busy, time.monotonic() + 20):
            raise RuntimeError(f"no request of {victim.model} runs")
        process = victim.find(psutil.Process(target.process.pid))
        process.send_signal(number)
        began = time.monotonic()
        telling = asyncio.create_task(_until(told, began + PATIENCE))
        how = await flight
        ended = time.monotonic() - began
        was_told = await telling if ended < FOUND else telling.done() and telling.result()
        telling.cancel()
        answers = await _until(back, began + PATIENCE)
        again = time.monotonic() - began
        if process.is_running():  # it was neither found nor replaced
            process.resume()
    name = {signal.SIGKILL: "kill -9 of", signal.SIGSTOP: "SIGSTOP of"}[number]
    bound = BACK[victim.model] + (FOUND if number is signal.SIGSTOP else 0)
    return Row(
        attack=f"{name} {victim.name} under a request",
        measured=(
            f"the request ended after {ended:.1f} s ({how}), /ready told {'so' if was_told else 'nothing'}, "
            + (f"a good answer after {again:.1f} s" if answers else f"no answer in {PATIENCE:g} s")
        ),
        wanted=f"ended within {FOUND:g} s, told, a good answer within {bound:g} s",
        held=ended <= FOUND and was_told and answers and again <= bound,
    )


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    """Starts its own server over the starter models. quick: each signal once."""
    hits = [(PIPER, signal.SIGKILL), (CORE, signal.SIGSTOP)]
    if not quick:
        hits += [(PIPER, signal.SIGSTOP), (PIPER, signal.SIGKILL), (CORE, signal.SIGKILL)]
        hits += [(CORE_WORKER, signal.SIGSTOP), (PIPER, signal.SIGKILL)]
    with served(folder / "hangs", settings={"MODELS": f"{CHAT},{VOICE}"}) as target:
        for victim, number in hits:
            yield await _hit(target, victim, number)


async def _main(folder: Path) -> None:
    async for row in rows(folder, quick="--quick" in sys.argv):
        print(f"{'held  ' if row.held else 'BROKEN'} {row.attack}: {row.measured} (wanted: {row.wanted})", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(_main(Path(name)))
