"""Batches in the background: each is taken on, followed to its end, and put back where this process ends first."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import anyio
from anyio import to_thread

from server.jobs.batches.claims import NotOurs, Waiting
from server.jobs.batches.folder import BatchFolder, BatchFolders
from server.jobs.batches.turns import next_of
from server.jobs.batches.work import Work, WorkTools, slept
from server.storage.database import OUTAGE
from server.storage.units import end

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks for what there is to do."""
SWEEP = 60.0
"""Seconds between two looks for what a crash has left."""
LEAVE = 2.0
"""Seconds that batches have at the end to be put back, as requests have to close. Who takes them on next needs none of
it."""
AGAIN = 10.0
"""Seconds before a batch is taken on again whose work broke off."""


class Background:
    """For one process. Which batches it may take on, the locks on their folders say: whoever lacks the folder leaves
    the batch alone, and so two processes never work on one.
    """

    def __init__(
        self, folders: BatchFolders, tools: WorkTools, *, alone: bool, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        """alone: whether all processes that share the database have the folder in common. stopping: whether the
        process is about to end, so that nothing more is taken on."""
        self._folders = folders
        self._tools = tools
        self._alone = alone
        self._stopping = stopping
        self._called = asyncio.Event()
        self._later: dict[str, float] = {}
        self.under_way: dict[str, tuple[Work, asyncio.Task[None]]] = {}

    def call(self, batch_id: str) -> None:
        """Its owner has made it, or asked for something."""
        self._later.pop(batch_id, None)
        if batch_id in self.under_way:
            self.under_way[batch_id][0].call()
        self._called.set()

    async def run(self) -> None:
        """Work on batches, forever; what is under way at its end is put back. What goes wrong is in the log."""
        tasks = [asyncio.create_task(self._keep_beginning()), asyncio.create_task(self._keep_swept())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:  # none of them ends by itself
                task.result()
        finally:
            with anyio.CancelScope(shield=True):
                for task in tasks:
                    end(task)
                await asyncio.wait(tasks)
                await self._let_go()

    async def _keep_beginning(self) -> None:
        clock = self._tools.clock
        while True:
            self._called.clear()
            try:
                await self.begin()
            except OUTAGE as error:
                log.warning("batches wait: %s", error)
            waits = [asyncio.create_task(self._called.wait()), asyncio.create_task(slept(clock, LOOK))]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()

    async def begin(self) -> None:
        """Take on what may be taken on. Raises OUTAGE."""
        self._count()
        if self._stopping():
            return
        now = self._tools.clock.now()
        found = await self._tools.claims.waiting(self.under_way)
        here = set(await self._folders.here([one.id for one in found]))
        waiting = [one for one in found if one.id in here and self._later.get(one.id, 0.0) <= now]
        self._later = {one: until for one, until in self._later.items() if until > now}
        while (one := next_of(waiting, self._active())) is not None:
            waiting.remove(one)
            await self._take(one)

    def _active(self) -> list[str]:
        return [work.claim.account_id for work, _ in self.under_way.values() if work.active]

    async def _take(self, one: Waiting) -> None:
        folder = await to_thread.run_sync(BatchFolder.take, self._folders.path(one.id))
        if folder is None:
            return
        try:
            claim = await self._tools.claims.take(one)
        except BaseException:
            folder.close()
            raise
        if claim is None:
            folder.close()
            return
        work = Work(claim, folder, self._tools)
        task = asyncio.create_task(self._follow(work), name=f"batch {one.id}")
        self.under_way[one.id] = (work, task)
        task.add_done_callback(partial(self._ended, one.id))

    async def _follow(self, work: Work) -> None:
        batch_id = work.claim.id
        try:
            await work.run()
        except NotOurs:
            log.info("batch %s: another process has it", batch_id)
        except OUTAGE as error:
            log.warning("batch %s waits: %s", batch_id, error)
            self._later[batch_id] = self._tools.clock.now() + AGAIN
        except Exception:
            log.exception("batch %s: a bug", batch_id)
            self._later[batch_id] = self._tools.clock.now() + SWEEP

    def _ended(self, batch_id: str, _: "asyncio.Task[None]") -> None:
        del self.under_way[batch_id]
        self._called.set()

    def _count(self) -> None:
        counts = self._tools.counts
        counts.running = len(self.under_way)
        counts.under_way = sum(work.running for work, _ in self.under_way.values())

    async def _keep_swept(self) -> None:
        while True:
            try:
                await self.sweep()
            except OUTAGE as error:
                log.warning("what a crash has left of batches stays until the next look: %s", error)
            await self._tools.clock.sleep(SWEEP)

    async def sweep(self) -> None:
        """Delete folders that nobody needs, end batches whose folder is nowhere, and forget old ones. Raises OUTAGE."""
        claims = self._tools.claims
        await self._folders.sweep(claims.open_ids)
        found = await claims.forgotten(alone=self._alone)
        here = await self._folders.here([one.id for one in found])  # looked at afterwards: it is there before its row
        for one in found:
            if one.id not in here:
                await claims.lose(one)
                log.warning("batch %s ended: its folder is nowhere", one.id)
        await claims.forget()
        self._tools.counts.looked(await claims.states())

    async def _let_go(self) -> None:
        works = list(self.under_way.values())
        for work, _ in works:
            work.stop()
        if works:
            _, stuck = await asyncio.wait([task for _, task in works], timeout=LEAVE)
            for task in stuck:  # an engine that does not let go of its request is ended after this
                log.warning("%s is not put back yet: a line of it does not end", task.get_name())
