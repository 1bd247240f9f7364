"""Responses that are worked on without their clients: begun, followed, cancelled and ended."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio

from server.errors import InternalError, SageholdError, ServerStopping
from server.jobs.responses.claims import CANCELLED, Claim, Claims, NotOurs, check_open
from server.jobs.responses.events import ENDS, Event, EventLog
from server.jobs.responses.records import Kept, Turn
from server.jobs.responses.store import ResponseStore
from server.jobs.responses.work import FLUSH, Making, UnderWay, Work
from server.storage.database import OUTAGE
from server.storage.units import end

log = logging.getLogger(__name__)

ACKNOWLEDGED = 3.0
"""Seconds that a cancellation waits for the process that works on the response."""
AGAIN = 1.0
"""Seconds after which an end that could not be written is written again."""


class Background:
    """For one process."""

    def __init__(
        self, store: ResponseStore, claims: Claims, events: EventLog, under_way: UnderWay, instance_id: str
    ) -> None:
        self._store = store
        self._claims = claims
        self._log = events
        self._under_way = under_way
        self._works = under_way.works
        self._instance_id = instance_id

    # ------------------------------------------------------------ what routes call

    async def begin(self, turn: Turn, making: Making, ancestors: Sequence[int] = ()) -> Work:
        """Begin to work on a response. It is written down, as `queued`, when this returns.

        Raises what `making.admitted` raises, RateLimited, PayloadTooLarge, DatabaseUnavailable, ServerStopping.
        """
        # Of those that come at once none is in the database yet.
        check_open(sum(work.turn.account_id == turn.account_id for work in self._works.values()))
        work = Work(turn, making)
        work.task = asyncio.create_task(self._work(work, ancestors), name=f"response {turn.id}")
        self._works[turn.id] = work

        def ended(_: object) -> None:
            del self._works[turn.id]
            if work.cancelled:
                work.begun.cancel()  # nobody asks any more
            elif not work.begun.done():
                work.begun.set_exception(ServerStopping())

        work.task.add_done_callback(ended)
        try:
            await asyncio.shield(work.begun)
        except asyncio.CancelledError:
            work.end()  # nobody learns its id
            raise
        return work

    async def cancel(self, account_id: str, named: str) -> Kept:
        """End it, and return it as it is then; one that is done stays as it is.

        Raises NotFound; see `ResponseStore.find`.
        """
        await self._store.status(account_id, named)
        mine = self._works.get(named)
        if mine is not None:
            mine.end()
            await asyncio.wait([mine.task])
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
            mine.end()

    async def follow(self, kept: Kept, after: int) -> AsyncGenerator[Event, None]:
        """A streamed response's events after one, -1 for all of them, to the last one."""
        mine = self._works.get(kept.id)
        if mine is not None:
            async with aclosing(self._live(kept, mine, after)) as live:
                async for event in live:
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

    async def _live(self, kept: Kept, work: Work, after: int) -> AsyncGenerator[Event, None]:
        """Of a response that this process works on: what is in memory from there, and what is older as it is kept."""
        place = after + 1
        while True:
            changed = work.changed
            if place < work.first:
                older, _ = await self._log.read(kept.number, kept.id, place - 1)
                if not older:  # it was deleted
                    return
                for event in older:
                    yield event
                    place = event.number + 1
            elif place < work.count:
                yield work.events[place - work.first]
                place += 1
            elif work.done:
                return
            else:
                await changed.wait()

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
                    self._under_way.dirty.set()
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
                response |= {"error": work.making.fault(error), "usage": None}  # and nothing of it is paid
            last = _last(work.count, response)
        work.turn = replace(work.turn, response=response)
        return last

    async def _finish(self, work: Work, last: Event) -> None:
        """Write how it ended. While the database is down it is tried again, and the response stays open.

        Where another process has cancelled it meanwhile, it ends as cancelled.
        """
        assert work.claim is not None
        with anyio.CancelScope(shield=True):
            while True:
                try:
                    async with work.writing:
                        await self._claims.end(work.claim, work.turn, [*work.unwritten, last])
                    break
                except NotOurs:
                    if work.turn.status == CANCELLED:  # deleted, or this process was taken for dead
                        break
                    work.cancelled = True
                    work.turn = replace(work.turn, response={**work.turn.response, "status": CANCELLED})
                    last = _last(last.number, work.turn.response)
                except OUTAGE as error:
                    log.warning("response %s can't be written: %s", work.turn.id, error)
                    if work.stopping:
                        break
                    await asyncio.sleep(AGAIN)
        work.add(last)

    async def drain(self, left: Callable[[], float]) -> None:
        """Let what is under way end while there are seconds left, and then fail it. Before `Upkeep.run` is ended."""
        with anyio.CancelScope(shield=True):
            while self._works and (seconds := left()) > 0:
                await asyncio.wait([work.task for work in self._works.values()], timeout=min(seconds, 0.1))
            tasks = []
            for work in list(self._works.values()):
                work.stopping = True
                tasks.append(work.task)
                if not work.ending:
                    end(work.task)
            if tasks:
                log.warning("background responses cut short: %d", len(tasks))
                await asyncio.wait(tasks)


def _last(number: int, response: Mapping[str, Any]) -> Event:
    return Event.of({"type": ENDS[response["status"]], "sequence_number": number, "response": response})


def _uncancelled() -> None:
    """The task has taken note of its cancellation, and goes on."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
