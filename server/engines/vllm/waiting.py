"""How vLLM's core and its worker wait for each other, on a processor."""

import time
from typing import Any

import zmq

LATELY = 1.0
"""Seconds after a message in which the next one is expected; vLLM spins for as long."""
LOOK = 0.05
"""Seconds after which a reader that expects a message looks for itself, in case the word of it was lost."""
WORDS = 1000
"""Words of messages that may be on their way. vLLM allows one, and ZeroMQ drops what is more: a writer learns up to a
millisecond late that a word was taken (max_command_delay in libzmq's config.hpp), and a step is two messages at once.
"""


class Roomy(zmq.Socket[Any]):
    """A socket whose limit of messages to send is WORDS, whoever sets it to something else."""

    def setsockopt(self, option: int, value: Any) -> None:
        super().setsockopt(option, WORDS if option == zmq.SNDHWM else value)


def without_spinning() -> None:
    """Make the readers of vLLM's message queues sleep until they are woken, in this process and those forked from it.

    vLLM's spin: the core for as long as its worker computes, the worker for as long as the core schedules. Where cores
    are left over that saves the time of a wake-up. But the worker has a thread on each core, so that the core takes its
    time from one of them, for which the others wait at the end of each parallel loop.
    """
    from vllm.distributed.device_communicators import shm_broadcast

    class Context:
        """In place of a queue's own, whose one use is to make sockets."""

        def __init__(self, context: zmq.Context[Any]) -> None:
            self._context = context

        def socket(self, kind: int) -> zmq.Socket[Any]:
            made: zmq.Socket[Any] = self._context.socket(kind, Roomy)
            return made

    class Woken(shm_broadcast.SpinCondition):  # type: ignore[misc]  # vLLM is untyped here
        def __init__(self, is_reader: bool, context: zmq.Context[Any], notify_address: str) -> None:
            super().__init__(is_reader, Context(context), notify_address)
            self.busy_loop_s = 0

        def wait(self, timeout_ms: int | None = None) -> None:
            if time.monotonic() <= self.last_read + LATELY:
                look = round(1000 * LOOK)
                timeout_ms = look if timeout_ms is None else min(look, timeout_ms)
            super().wait(timeout_ms)

    shm_broadcast.SpinCondition = Woken
