"""Where a fake engine's events wait until a test lets them pass."""

import asyncio


class Gate:
    """Lets events pass: all of them (open, as at first), none (closed), or a given number.

    left: how many more may pass while it is closed. waiting: how many jobs wait here.
    """

    def __init__(self) -> None:
        self._open = True
        self._changed = asyncio.Event()
        self.left = 0
        self.waiting = 0

    def close(self) -> None:
        """From now on every event waits."""
        self._open = False

    def open(self) -> None:
        """Let everything pass."""
        self._open = True
        self._tell()

    def let(self, events: int) -> None:
        """Let `events` more pass through the closed gate."""
        self.left += events
        self._tell()

    async def until_waiting(self, jobs: int = 1) -> None:
        """Return when at least `jobs` jobs wait here, and all that was let through has passed."""
        while self.left or self.waiting < jobs:
            await self._changed.wait()

    async def through(self) -> None:
        """Wait for the gate. Called before every event."""
        while not self._open:
            if self.left:
                self.left -= 1
                return
            self.waiting += 1
            self._tell()
            try:
                await self._changed.wait()
            finally:
                self.waiting -= 1

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
