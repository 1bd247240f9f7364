"""Responses that are worked on without their clients: begun, written as they go on, cancelled, and buried."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import anyio

from server.errors import InternalError, SageholdError, ServerStopping
from server.jobs.responses.claims import CANCELLED, Claim, Claims, NotOurs, check_open
from server.jobs.responses.events import ENDS, Event, EventLog
from server.jobs.responses.records import Kept, Turn
from server.jobs.responses.retention import Retention
from server.jobs.responses.store import ResponseStore
from server.storage.database import OUTAGE
from server.storage.presence import PRESENCE, Presence
from server.storage.units import end

log = logging.getLogger(__name__)

FLUSH = 0.25
"""Seconds between two writes of a response's events."""
LOOK = 0.5
"""Seconds between two looks for what other processes have cancelled."""
BEAT = 15.0
"""Seconds between two words of this process."""
SWEEP = 60.0
"""Seconds between two looks for what is kept no longer, and for what a crash has left."""
ACKNOWLEDGED = 3.0
"""Seconds that a cancellation waits for the process that works on the response."""
DIED = "The server ended while it worked on this response. Please send the request again."


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
    """A response under way in this process. cancelled: its client wants no more of it."""

    def __init__(self, turn: Turn, making: Making) -> None:
        self.turn = turn
        self.making = making
        self.claim: Claim | None = None
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.cancelled = False
        self.stopping = False
        self.ending = False
        self.done = False
        self.events: list[Event] = []
        self.written = 0
        self.changed = asyncio.Event()
        self.writing = asyncio.Lock()

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Background:
    """For one process."""

    def __init__(
        self,
        store: ResponseStore,
        claims: Claims,
        events: EventLog,
        retention: Retention,
        folder: Path,
        instance_id: str,
    ) -> None:
        """folder: where processes that share it say that they are at work."""
        self._store = store
        self._claims = claims
        self._log = events
        self._retention = retention
        self._folder = folder
        self._instance_id = instance_id
        self._works: dict[str, tuple[Work, asyncio.Task[None]]] = {}
        self._dirty = asyncio.Event()

    # ------------------------------------------------------------ what routes call

    async def begin(self, turn: Turn, making: Making, ancestors: Sequence[int] = ()) -> Work:
        """Begin to work on a response. It is written down, as `queued`, when this returns.

        Raises what `making.admitted` raises, RateLimited, PayloadTooLarge, DatabaseUnavailable.
        """
        # Those that have no rows yet are in no count of the database's.
        check_open(sum(work.turn.account_id == turn.account_id for work, _ in self._works.values()))
        work = Work(turn, making)
        task = asyncio.create_task(self._work(work, ancestors), name=f"response {turn.id}")
        self._works[turn.id] = (work, task)
        task.add_done_callback(lambda _: self._works.pop(turn.id, None))
        try:
            await asyncio.shield(work.begun)
        except asyncio.CancelledError:
            self._end(work, task)  # nobody learns its id
            raise
        return work

    async def cancel(self, account_id: str, named: str) -> Kept:
        """End it, and return it as it is then; one that is done stays as it is.

        Raises NotFound; see `ResponseStore.find`.
        """
        await self._store.status(account_id, named)
        mine = self._works.get(named)
        if mine is not None:
            work, task = mine
            self._end(work, task)
            await asyncio.wait([task])
        elif await self._claims.cancel(account_id, named):
            for _ in range(int(ACKNOWLEDGED / FLUSH)):
                if await self._claims.let_go(named):
                    break
                await asyncio.sleep(FLUSH)
        return await self._store.find(account_id, named)

    def forget(self, named: str) -> None:
        """It was deleted: nothing more is to be done of it."""
        mine = self._works.get(named)
        if mine is not None:
            self._end(*mine)

    async def follow(self, kept: Kept, after: int) -> AsyncGenerator[Event, None]:
        """A streamed response's events after one, -1 for all of them, to the last one."""
        mine = self._works.get(kept.id)
        if mine is not None:
            async for event in _live(mine[0], after):
                yield event
            return
        while True:
            events, more = await self._log.read(kept.number, kept.id, after)
            for event in events:
                yield event
                after = event.number
            if not more:
                return
            if not events:
                await asyncio.sleep(FLUSH)

    @property
    def open(self) -> int:
        """Responses that this process works on."""
        return len(self._works)

    # ------------------------------------------------------------ the work

    async def _work(self, work: Work, ancestors: Sequence[int]) -> None:
        turn = work.turn
        try:
            async with work.making.admitted():
                await self._claims.check_room(turn.account_id)
                number = await self._store.keep(turn, ancestors, instance_id=self._instance_id)
                work.claim = Claim(number, turn.id, turn.account_id, self._instance_id, turn.streamed)
                work.begun.set_result(None)
                last = await self._make(work)
                await self._finish(work, last)
        except asyncio.CancelledError:
            if not work.begun.done():
                work.begun.cancel()
            if not (work.cancelled or work.stopping):
                raise
        except Exception as error:
            if work.begun.done():
                log.exception("response %s: a bug", turn.id)
            else:
                work.begun.set_exception(error)
        finally:
            work.done = True
            work.wake()

    async def _make(self, work: Work) -> Event:
        """Pass on its events but for the last one, which is returned: it is seen once all is written."""
        error: SageholdError | None = None
        last: Event | None = None
        try:
            async with aclosing(work.making.events()) as events:
                async for event in events:
                    if event.kind in ENDS.values():
                        last = event
                        continue
                    work.add(event)
                    self._dirty.set()
        except asyncio.CancelledError:
            if not (work.cancelled or work.stopping):
                raise
            error = ServerStopping()
        except SageholdError as raised:
            error = raised
        except Exception as raised:
            if not work.cancelled:  # it may say so by an error of its own
                log.error("response %s: a bug", work.turn.id, exc_info=raised)
            error = InternalError()
        work.ending = True
        _uncancelled()
        response = dict(work.making.now())
        if last is None:
            response["status"] = CANCELLED if work.cancelled else "failed"
            if error is not None and not work.cancelled:
                response["error"] = work.making.fault(error)
            last = _last(len(work.events), response)
        work.turn = replace(work.turn, response=response)
        return last

    async def _finish(self, work: Work, last: Event) -> None:
        """Write how it ended. While the database is down it is tried again, and the response stays open."""
        assert work.claim is not None
        with anyio.CancelScope(shield=True):
            while True:
                try:
                    async with work.writing:
                        await self._claims.end(work.claim, work.turn, [*work.events[work.written :], last])
                    break
                except NotOurs:
                    if work.cancelled:  # deleted
                        break
                    work.cancelled = True
                    work.turn = replace(work.turn, response={**work.turn.response, "status": CANCELLED})
                    last = _last(last.number, work.turn.response)
                except OUTAGE as error:
                    log.warning("response %s can't be written: %s", work.turn.id, error)
                    if work.stopping:
                        break
                    await asyncio.sleep(1.0)
        work.add(last)

    def _end(self, work: Work, task: asyncio.Task[None]) -> None:
        """Its client wants no more of it; unless its end is just being written."""
        if not work.ending and not work.cancelled:
            work.cancelled = True
            work.making.cancel()
            end(task)

    # ------------------------------------------------------------ beside it

    async def run(self) -> None:
        """Write what is under way, and sweep, forever. Never raises: what goes wrong is in the log."""
        async with Presence(self._folder, self._instance_id) as presence:
            works = (self._keep_writing(), self._keep_looking(), self._keep_beating(), self._keep_swept(presence))
            tasks = [asyncio.create_task(work) for work in works]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:  # none of them ends by itself
                    task.result()
            finally:
                for task in tasks:
                    end(task)
                await asyncio.wait(tasks)

    async def drain(self, left: Callable[[], float]) -> None:
        """Let what is under way end while there are seconds left, and then fail it. Before `run` is ended."""
        with anyio.CancelScope(shield=True):
            while self._works and (seconds := left()) > 0:
                await asyncio.wait([task for _, task in self._works.values()], timeout=min(seconds, 0.1))
            tasks = []
            for work, task in list(self._works.values()):
                work.stopping = True
                tasks.append(task)
                if not work.ending:
                    end(task)
            if tasks:
                log.warning("background responses cut short: %d", len(tasks))
                await asyncio.wait(tasks)

    async def _keep_writing(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            for work, task in list(self._works.values()):
                try:
                    await self._write(work)
                except NotOurs:
                    self._end(work, task)
                except OUTAGE as error:
                    log.warning("a response's events can't be written: %s", error)
                    self._dirty.set()
            await asyncio.sleep(FLUSH)

    async def _write(self, work: Work) -> None:
        """The events that it has since they were last written. Raises NotOurs, and what the database raises."""
        async with work.writing:
            events = work.events[work.written :]
            if work.claim is not None and events and not work.ending:
                await self._claims.write(work.claim, events)
                work.written += len(events)

    async def _keep_looking(self) -> None:
        """Find out within a second what another process has cancelled or deleted."""
        while True:
            await asyncio.sleep(LOOK)
            under_way = {
                work.claim: (work, task)
                for work, task in self._works.values()
                if work.claim is not None and not work.ending
            }
            if not under_way:
                continue
            with suppress(*OUTAGE):
                for claim in await self._claims.ours(under_way):
                    self._end(*under_way[claim])

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            with suppress(*OUTAGE):
                await self._claims.beat(
                    [work.claim for work, _ in self._works.values() if work.claim is not None and not work.ending]
                )

    async def _keep_swept(self, presence: Presence) -> None:
        while True:
            try:
                await self.sweep(presence)
            except OUTAGE as error:
                log.warning("responses are swept later: %s", error)
            await asyncio.sleep(SWEEP)

    async def sweep(self, presence: Presence) -> None:
        """Once: what processes that died have left, and what is kept no longer. Raises DatabaseUnavailable."""
        others = await self._claims.others(self._instance_id)
        # One whose lock is not here may be at work on another machine: only its silence tells.
        here = {
            one.instance_id
            for one in others
            if one.instance_id and (self._folder / f"{PRESENCE}{one.instance_id}").exists()
        }
        dead = await presence.gone(here)
        for one in others:
            if one.instance_id in dead or (one.silent and one.instance_id not in here):
                try:
                    if await self._claims.bury(one, DIED):
                        log.warning("response %s: its server has died", one.id)
                except SageholdError as error:
                    log.error("response %s: %s", one.id, error.message)
        await presence.sweep()
        await self._retention.sweep()


def _last(number: int, response: Mapping[str, Any]) -> Event:
    return Event.of({"type": ENDS[response["status"]], "sequence_number": number, "response": response})


def _uncancelled() -> None:
    """The task has taken note of its cancellation, and goes on."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


async def _live(work: Work, after: int) -> AsyncGenerator[Event, None]:
    """Of a response that this process works on."""
    place = after + 1
    while True:
        changed = work.changed
        while place < len(work.events):
            yield work.events[place]
            place += 1
        if work.done:
            return
        await changed.wait()
