"""Responses under way in this process: what makes each, and the events that it has had."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from server.errors import SageholdError
from server.jobs.responses.claims import Claim
from server.jobs.responses.events import Event
from server.jobs.responses.records import Turn
from server.storage.units import end

FLUSH = 0.25
"""Seconds between two writes of a response's events."""
AT_HAND = 512
"""Events that stay in memory after they are written, for those who follow them."""


class Making(Protocol):
    """How a response is made, by whoever knows models. Its methods are called in one task, but for `cancel`."""

    def admitted(self) -> AbstractAsyncContextManager[None]:
        """Around all the work, before anything is written of it. Raises what has an HTTP status."""
        ...

    def events(self) -> AsyncGenerator[Event, None]:
        """All events of the stream, numbered from 0; the last one says how it ended, one of ENDS."""
        ...

    def now(self) -> Mapping[str, Any]:
        """The response as far as it is."""
        ...

    def fault(self, error: SageholdError) -> Mapping[str, Any]:
        """An error as a failed response has it."""
        ...

    def cancel(self) -> None:
        """Its client wants no more of it: the task is cancelled next, and what was made until then is paid."""
        ...


class Work:
    """cancelled: its client wants no more of it. count: of its events so far.

    events: the last of them, from the number `first` on; none of a response whose events nobody may follow.
    """

    def __init__(self, turn: Turn, making: Making) -> None:
        self.turn = turn
        self.making = making
        self.task: asyncio.Task[None]
        self.claim: Claim | None = None
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.cancelled = False
        self.stopping = False
        self.ending = False
        self.done = False
        self.count = 0
        self.first = 0
        self.events: list[Event] = []
        self.written = 0
        self.changed = asyncio.Event()
        self.writing = asyncio.Lock()

    def add(self, event: Event) -> None:
        self.count += 1
        if self.turn.streamed:
            self.events.append(event)
            self.wake()

    def end(self) -> None:
        """Its client wants no more of it; nothing changes where its end is just being written."""
        if not self.ending and not self.cancelled:
            self.cancelled = True
            self.making.cancel()
            end(self.task)

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def unwritten(self) -> list[Event]:
        return self.events[max(0, self.written - self.first) :]

    def wrote(self, count: int) -> None:
        """So many of its events are written. The oldest of them are kept in memory no longer."""
        self.written = count
        if self.turn.streamed and count - self.first > 2 * AT_HAND:
            del self.events[: count - AT_HAND - self.first]
            self.first = count - AT_HAND


@dataclass
class UnderWay:
    """All of one process, by the ids of their responses. dirty: set while there is something of them to be written."""

    works: dict[str, Work] = field(default_factory=dict)
    dirty: asyncio.Event = field(default_factory=asyncio.Event)

    def claimed(self) -> Mapping[Claim, Work]:
        """Those that are in the database, and whose end is not just being written."""
        return {work.claim: work for work in self.works.values() if work.claim is not None and not work.ending}
