"""Questions to drivers and the kernel that may take their time, asked so that one without an answer stalls nobody."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds. A driver answers within milliseconds, and within seconds while it starts or resets a GPU."""


class Asking:
    """Invariant: while a question hangs that was given up, no further one is asked, since it would hang too.

    Each question gets a daemon thread of its own. In a pool those that hang would take the places of all other
    blocking work, and the server could not end before they do.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._hanging = 0

    async def ask(self, question: Callable[[], T], otherwise: T) -> T:
        """The answer, or `otherwise` where none comes within the patience. Raises what the question raises."""
        if self._hanging:
            return otherwise
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        given_up = False

        def deliver(result: T | None, error: BaseException | None) -> None:
            if given_up:
                self._hanging -= 1
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)  # type: ignore[arg-type]  # a question without an error has a result

        def work() -> None:
            result: T | None = None
            error: BaseException | None = None
            try:
                result = question()
            except BaseException as caught:  # noqa: BLE001 - it is raised where it was asked
                error = caught
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(deliver, result, error)

        threading.Thread(target=work, name="devices", daemon=True).start()
        try:
            await asyncio.wait([answer], timeout=self._patience)
            if answer.done():
                return answer.result()
            given_up = True
            self._hanging += 1
            log.warning("a driver has not answered for %g s; the books go by what was planned", self._patience)
            return otherwise
        finally:
            answer.cancel()
