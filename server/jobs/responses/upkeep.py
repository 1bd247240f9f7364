"""What goes on beside background responses: their events are written, what others want is seen, and all is swept."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from server.errors import SageholdError
from server.jobs.responses.claims import Claims, NotOurs
from server.jobs.responses.retention import Retention
from server.jobs.responses.work import FLUSH, UnderWay, Work
from server.storage.database import OUTAGE
from server.storage.presence import PRESENCE, Presence
from server.storage.units import end

log = logging.getLogger(__name__)

LOOK = 0.5
"""Seconds between two looks for what other processes have cancelled."""
BEAT = 15.0
"""Seconds between two words of this process."""
SWEEP = 60.0
"""Seconds between two looks for what is kept no longer, and for what a crash has left."""
DIED = "The server ended while it worked on this response. Please send the request again."


class Upkeep:
    """For one process."""

    def __init__(
        self, claims: Claims, under_way: UnderWay, retention: Retention, folder: Path, instance_id: str
    ) -> None:
        """folder: where processes that share it say that they are at work."""
        self._claims = claims
        self._under_way = under_way
        self._retention = retention
        self._folder = folder
        self._instance_id = instance_id

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

    async def _keep_writing(self) -> None:
        while True:
            await self._under_way.dirty.wait()
            self._under_way.dirty.clear()
            for work in list(self._under_way.works.values()):
                try:
                    await self.write(work)
                except NotOurs:
                    work.end()
                except OUTAGE as error:
                    log.warning("a response's events can't be written: %s", error)
                    self._under_way.dirty.set()
            await asyncio.sleep(FLUSH)

    async def write(self, work: Work) -> None:
        """The events that it has since they were last written; of one that nobody may follow, only that it is worked
        on. Raises NotOurs, and what the database raises."""
        async with work.writing:
            told = work.written == work.count or (work.written > 0 and not work.turn.streamed)
            if work.claim is None or work.ending or told:
                return
            count = work.count
            await self._claims.write(work.claim, work.unwritten)
            work.wrote(count)

    async def _keep_looking(self) -> None:
        """Find out within a second what another process has cancelled or deleted."""
        while True:
            await asyncio.sleep(LOOK)
            claimed = self._under_way.claimed()
            if not claimed:
                continue
            with suppress(*OUTAGE):
                for claim in await self._claims.ours(claimed):
                    claimed[claim].end()

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            with suppress(*OUTAGE):
                await self._claims.beat(self._under_way.claimed())

    async def _keep_swept(self, presence: Presence) -> None:
        while True:
            try:
                await self.sweep(presence)
            except OUTAGE as error:
                log.warning("responses are swept later: %s", error)
            except Exception:
                log.exception("responses are swept later: a bug")
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
