"""`sagehold serve` with a fake engine that keeps a pace, or under a profiler: how `scripts/bench front` starts it.

    python -P front_server.py [--pace SECONDS] [--profile FILE] serve …

Run as a file, with the tree that is measured on PYTHONPATH: nothing of this tree may be imported.
"""

import argparse
import asyncio
import cProfile
import pkgutil
import signal
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

FAKE = "server.engines.fake"


def keep_pace(seconds: float) -> None:
    """Let the fake engine's jobs have an event each at every multiple of `seconds`, all at the same moment.

    That is how an engine works that computes a step for all its sequences. A job whose events were not taken in time
    finds them ready, as they would lie in a queue. The way in is `Gate.through`, which a fake awaits before every
    event; jobs are known by their task, since the server gives each request one of its own.
    """
    due: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
    steps: dict[int, asyncio.Event] = {}

    def step(number: int) -> None:
        steps.pop(number).set()

    async def through(_gate: object) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        now, last = time.monotonic(), due.get(task)  # the loop's own time, but not as old as its last turn
        mine = due[task] = int(now / seconds) + 1 if last is None else last + 1
        if mine * seconds <= now:
            return
        waiting = steps.get(mine)
        if waiting is None:
            waiting = steps[mine] = asyncio.Event()
            loop.call_at(mine * seconds, step, mine)
        await waiting.wait()

    _gate().through = through


def profile_to(file: Path) -> None:
    """Profile the event loop's thread from each SIGUSR1 to the SIGUSR2 behind it, which writes the statistics.

    By processor time: by the clock, a function would also pay for others who hold the core.
    """
    profiler = cProfile.Profile(time.thread_time)

    def begin(_number: int, _frame: FrameType | None) -> None:
        profiler.clear()
        profiler.enable()

    def end(_number: int, _frame: FrameType | None) -> None:
        profiler.disable()
        part = file.with_suffix(".part")
        profiler.dump_stats(part)
        part.rename(file)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)


def _gate() -> Any:
    """The fake engine's `Gate`, wherever in its module or package it lies."""
    for module in _modules(import_module(FAKE)):
        if hasattr(gate := getattr(module, "Gate", None), "through"):
            return gate
    sys.exit(f"{FAKE} has no Gate.through, by which the bench keeps the pace")


def _modules(root: ModuleType) -> Iterator[ModuleType]:
    yield root
    for found in pkgutil.iter_modules(getattr(root, "__path__", ()), f"{root.__name__}."):
        yield import_module(found.name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pace", type=float)
    parser.add_argument("--profile", type=Path)
    mine, rest = parser.parse_known_args()
    if mine.pace:
        keep_pace(mine.pace)
    if mine.profile:
        profile_to(mine.profile)
    from server.__main__ import main as sagehold

    sys.argv = ["sagehold", *rest]
    sagehold()


if __name__ == "__main__":
    main()
