"""Questions to drivers and the kernel that may take their time, asked so that one without an answer stalls nobody."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds. A driver answers within milliseconds, and within seconds while it starts or resets a GPU."""


def in_own_thread(question: Callable[[], T]) -> asyncio.Future[T]:
    """The answer, once a daemon thread of its own has it.

    In a pool the questions that hang would take the places of all other blocking work, and the server could not end
    before they do.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def deliver(give: Callable[[], None]) -> None:
        if not answer.done():  # nobody waits any more
            give()

    def work() -> None:
        try:
            give = partial(answer.set_result, question())
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked
            give = partial(answer.set_exception, error)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(deliver, give)

    threading.Thread(target=work, name="devices and files", daemon=True).start()
    return answer


class Asking:
    """Invariant: while a question hangs that was given up, no further one is asked, since it would hang too."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._hanging = 0

    async def ask(self, question: Callable[[], T], otherwise: T) -> T:
        """The answer, or `otherwise` where none comes within the patience. Raises what the question raises."""
        if self._hanging:
            return otherwise
        answer = in_own_thread(question)
        try:
            done, _ = await asyncio.wait([answer], timeout=self._patience)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        if done:
            return answer.result()
        self._hanging += 1
        answer.add_done_callback(self._answered)
        log.warning("a driver has not answered for %g s; the books go by what was planned", self._patience)
        return otherwise

    def _answered(self, answer: asyncio.Future[Any]) -> None:
        """Too late: what came of it is of no use any more, an error neither."""
        self._hanging -= 1
        answer.exception()
