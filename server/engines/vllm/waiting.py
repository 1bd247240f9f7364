"""How vLLM's core and its worker wait for each other, on a processor."""

import time
from typing import Any

LATELY = 1.0
"""Seconds after a message in which the next one is expected; vLLM spins for as long."""
LOOK = 0.05
"""Seconds after which a reader that expects a message looks for itself: the word of it may have been dropped."""


def without_spinning() -> None:
    """Make the readers of vLLM's message queues sleep until they are woken, in this process and those forked from it.

    vLLM's spin: the core for as long as its worker computes, the worker for as long as the core schedules. Where cores
    are left over that saves the time of a wake-up. But the worker has a thread on each core, so that the core takes its
    time from one of them, for which the others wait at the end of each parallel loop.
    """
    from vllm.distributed.device_communicators import shm_broadcast

    class Woken(shm_broadcast.SpinCondition):  # type: ignore[misc]  # vLLM is untyped here
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            self.busy_loop_s = 0

        def wait(self, timeout_ms: int | None = None) -> None:
            if time.monotonic() <= self.last_read + LATELY:
                look = round(1000 * LOOK)
                timeout_ms = look if timeout_ms is None else min(look, timeout_ms)
            super().wait(timeout_ms)

    shm_broadcast.SpinCondition = Woken
