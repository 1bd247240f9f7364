"""How a running server ends: what signals do, and the one way out of the process.

    first signal      before it serves: the start is broken off
                      afterwards: answers end within the grace, what is left is cut short, the engines are stopped
    second signal     no grace: answers are cut short, the books are closed, the engines are killed

Whatever hangs on the way, a thread of this module ends the process in the end. The kernel then kills the engines.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from server.engines.vllm.sockets import remove_own_folder

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP comes when the terminal is closed; `nohup` ignores it, and it stays ignored."""
START = 2.0
"""Seconds that a start which is broken off may take to end. Nothing has been served yet."""
AFTER_GRACE = 14.0
"""Seconds from the grace's end to the process's: for what is cut short, the engines and the books."""
FORCED = 1.5
"""Seconds from the second signal to the process's end."""


class Ending:
    """The end of this process. Made in the event loop's thread, which is the main one.

    on_begin: what the first signal does, on_force: what the second does; both run in the loop and may be changed.
    """

    def __init__(self, on_begin: Callable[[], object]) -> None:
        self.on_begin = on_begin
        self.on_force: Callable[[], object] = lambda: None
        self.within = START
        """Seconds from the first signal to the process's end at the latest."""
        self.forced = False
        self._begun = False
        self._code = 0
        self._loop = asyncio.get_running_loop()

    def listen(self) -> None:
        """Begin to heed signals."""
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._caught)

    def _caught(self, number: int, _: FrameType | None) -> None:
        # By Python's own handlers: they run between two instructions of whatever keeps the loop from its callbacks.
        if not self._begun:
            self._begun = True
            _leave_after(self.within, 0 if self.within == START else 1)
            self._loop.call_soon_threadsafe(self.on_begin)
        elif not self.forced:
            self.forced = True
            self._code = 128 + number
            _leave_after(FORCED, self._code)
            self._loop.call_soon_threadsafe(self.on_force)

    def leave(self) -> NoReturn:
        """End the process: 0, or as a shell tells of a program that a signal has killed, if it was forced."""
        leave(self._code)


def leave(code: int) -> NoReturn:
    """End the process, without waiting for threads: one that imports or loads can't be stopped.

    All that deserves an end has had one. The interpreter's own would tell of what Triton's bindings have left behind.
    """
    remove_own_folder()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a pipe that nobody reads any more
            stream.flush()
    os._exit(code)


def _leave_after(seconds: float, code: int) -> None:
    def wait() -> None:
        threading.Event().wait(min(seconds, threading.TIMEOUT_MAX))  # a grace without an end is one of 292 years
        if code == 1:
            log.error("the end takes too long: leaving what is still open")
        leave(code)

    threading.Thread(target=wait, name="end", daemon=True).start()
