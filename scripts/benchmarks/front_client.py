"""The client of `scripts/bench front`, a process of its own: bare sockets, one request after another on each.

Reads an Order as JSON from the first line of its input, connects, writes `ready`, begins at the next line, and writes
what it saw as JSON. Nothing of the server and no HTTP library is imported here.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import cast

import uvloop

from scripts.benchmarks.figures import Times
from scripts.benchmarks.front_answers import AnswerReader, BadAnswer
from scripts.benchmarks.front_figures import Gaps, Seen

CONNECTING = 100
"""Connections that are opened at a time."""
TICK = 0.005
"""Seconds between two looks at whether this client itself stands still."""
FIRST_TEXT = 2
"""The event that is a stream's first text; the one before names the role, and asks nothing of the model."""
KEPT = 0.8
"""Share of its due length that a paced answer takes at least; one that is shorter comes from an engine without pace."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to send: on each connection `answers` requests. events: of each answer, 0 where it is not streamed. pace:
    seconds between two tokens, 0 for none. ramp: seconds within which the connections begin. limit: seconds for all.
    """

    port: int
    requests: list[str]
    connections: int
    answers: int
    events: int
    pace: float
    ramp: float
    limit: float


@dataclass(slots=True)
class Notes:
    """What all connections saw, in seconds by time.perf_counter()."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    first_at: list[float] = field(default_factory=list)
    last_at: list[float] = field(default_factory=list)
    events: int = 0
    lost: int = 0
    stall: float = 0.0


class Connection(asyncio.Protocol):
    """Sends its request again when it is answered, until it has its answers."""

    def __init__(self, order: Order, number: int, notes: Notes, done: Callable[[Exception | None], None]) -> None:
        self._request = order.requests[number % len(order.requests)].encode()
        self._left = order.answers
        self._expected = order.events
        self._paced = order.pace > 0
        self._notes = notes
        self._done = done
        self._reader = AnswerReader()
        self._transport: asyncio.WriteTransport | None = None
        self._events = 0
        self._sent = self._first = self._last = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one by its methods only

    def send(self) -> None:
        assert self._transport is not None
        self._reader.begin()
        self._events = 0
        self._left -= 1
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        try:
            events = self._reader.feed(data)
        except BadAnswer as error:
            self._fail(error)
            return
        if events:
            self._note(events, now)
        if self._reader.complete:
            self._complete(now)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._reader.complete or self._left:
            self._fail(exc or BadAnswer("the server closed a connection before its answer was whole"))

    def close(self) -> None:
        self._left = 0
        self._reader.complete = True
        if self._transport is not None:
            self._transport.close()

    def _note(self, events: int, now: float) -> None:
        before = self._events
        self._events = before + events
        if before >= FIRST_TEXT:
            if self._paced:
                self._notes.waits.append((now, now - self._last))
        elif self._events >= FIRST_TEXT:
            self._first = now
            self._notes.first.append(now - self._sent)
        self._last = now

    def _complete(self, now: float) -> None:
        notes = self._notes
        notes.whole.append(now - self._sent)
        notes.events += self._events
        notes.lost += max(0, self._expected - self._events)
        if self._paced:
            notes.first_at.append(self._first)
            notes.last_at.append(now)
        if self._left:
            self.send()
        else:
            self._done(None)

    def _fail(self, error: Exception) -> None:
        self._left = 0
        self._reader.complete = True
        self._done(error)


async def drive(order: Order, ready: Callable[[], None]) -> Seen:
    """Connect, call `ready`, which returns when the load may begin, and see it through.

    Raises BadAnswer for an answer that is none, TimeoutError after the order's limit, OSError.
    """
    loop = asyncio.get_running_loop()
    notes, finished = Notes(), loop.create_future()
    open_answers = order.connections

    def done(error: Exception | None) -> None:
        nonlocal open_answers
        open_answers -= 1
        if not finished.done():
            if error is not None:
                finished.set_exception(error)
            elif open_answers == 0:
                finished.set_result(None)

    made = [Connection(order, number, notes, done) for number in range(order.connections)]
    for start in range(0, len(made), CONNECTING):
        batch = made[start : start + CONNECTING]
        await asyncio.gather(*(loop.create_connection(partial(_same, one), "127.0.0.1", order.port) for one in batch))
    await asyncio.to_thread(ready)
    begun, processor = time.perf_counter(), time.process_time()
    watching = asyncio.create_task(_watch(notes)) if order.pace else None
    try:
        now = loop.time()
        for number, connection in enumerate(made):
            loop.call_at(now + order.ramp * number / len(made), connection.send)
        async with asyncio.timeout(order.limit):
            await finished
        ended, spent = time.perf_counter(), time.process_time() - processor
    finally:
        if watching is not None:
            watching.cancel()
        for connection in made:
            connection.close()
    return _seen(order, notes, ended - begun, spent)


def _same(connection: Connection) -> Connection:
    return connection


async def _watch(notes: Notes) -> None:
    """Note how late this loop is at most: a gap that it sees may be its own."""
    while True:
        due = time.perf_counter() + TICK  # the loop's time has whole milliseconds only
        await asyncio.sleep(TICK)
        notes.stall = max(notes.stall, time.perf_counter() - due)


def _seen(order: Order, notes: Notes, seconds: float, processor: float) -> Seen:
    answers = len(notes.whole)
    whole = Times.of(notes.whole)
    first = Times.of(notes.first) if notes.first else whole
    gaps, behind = None, 0.0
    if order.pace:
        # The engine takes the request in at one step, and has one for each token, the end's reason and the usage. An
        # answer of n tokens has n + 3 events, the role's, the reason's and [DONE] among them, and takes n + 1 steps.
        due = order.pace * (order.events - 2)
        quickest = min(notes.whole)
        if quickest < KEPT * due:
            raise BadAnswer(f"an answer of {due:.2f} s took {quickest:.2f} s: the engine does not keep the pace")
        gaps = Gaps.of(notes.waits, max(notes.first_at), min(notes.last_at))
        behind = 1000 * (max(notes.whole) - due)
    return Seen(
        seconds=seconds,
        processor=processor,
        answers=answers,
        chunks=notes.events,
        lost=notes.lost,
        first=first.median,
        first_p99=first.p99,
        whole=whole.median,
        whole_p99=whole.p99,
        gaps=gaps,
        behind=behind,
        stall=1000 * notes.stall,
    )


def main() -> None:
    order = Order(**json.loads(sys.stdin.readline()))

    def ready() -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()

    gc.disable()  # a collection of this program's garbage would count as the server's delay
    try:
        seen = uvloop.run(drive(order, ready))
    except TimeoutError:
        sys.exit(f"not every answer came within {order.limit:g} s")
    except (BadAnswer, OSError) as error:
        sys.exit(str(error) or type(error).__name__)
    sys.stdout.write(json.dumps(asdict(seen)) + "\n")


if __name__ == "__main__":
    main()
