"""Ingestion in the background: what is queued is begun, followed to its end, and tried again where that may help."""

import asyncio
import logging
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial

import anyio

from server.errors import (
    InsufficientCredits,
    InternalError,
    KnowledgeUnavailable,
    RateLimited,
    SageholdError,
    ServerStopping,
    Unavailable,
)
from server.knowledge.claims import Claim, NotOurs, Waiting
from server.knowledge.followers import Followers
from server.knowledge.lanes import UnderWay, next_of, wait_of
from server.knowledge.queue import FORGOTTEN, Queue
from server.knowledge.removal import Removal
from server.knowledge.work import LOST, Tools, Work
from server.storage.database import OUTAGE
from server.storage.presence import Presence
from server.storage.units import end

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks for what other processes have queued."""
BEAT = 1.0
"""Seconds between two words of this process, and of how far it is."""
SWEEP = 60.0
"""Seconds between two looks for what a crash has left."""
TRIES = 3
"""Attempts at a document, those included that ended with the server's death."""
PAUSES = (10.0, 60.0)
"""Seconds before the second attempt, and before the third."""
SERVER, GUEST = "ing_", "cli_"
"""How the names of processes begin: of those that serve, and of commands."""


class Background:
    """For one process. alone: whether all servers that share the database have the folder in common. guest: see
    `Ingestion`; `added` is what it has added itself. under_way: by document. failures: why they failed, of documents
    that somebody waits for with a request; those don't wait for credits.
    """

    def __init__(self, queue: Queue, removal: Removal, tools: Tools, *, alone: bool, guest: bool) -> None:
        self.queue = queue
        self._claims = tools.claims
        self._spool = tools.spool
        self._removal = removal
        self._tools = tools
        self._counts = tools.counts
        self._alone = alone
        self._guest = guest
        self.added: set[str] = set()
        self.under_way: dict[str, tuple[Work, asyncio.Task[None]]] = {}
        self.followers = Followers()
        self._called = asyncio.Event()
        self._turns: dict[str, float] = {}
        self._later: dict[str, float] = {}
        self.failures: dict[str, SageholdError | None] = {}

    def call(self, document_id: str) -> None:
        """It was added, or is to be tried again: it is looked at now."""
        self._later.pop(document_id, None)
        self._called.set()

    def end(self, document_id: str) -> None:
        """Break it off; unless its end is just being written: what is left to do of it is done then."""
        if document_id in self.under_way:
            work, task = self.under_way[document_id]
            if not work.ending:
                end(task)

    async def settle(self) -> None:
        """Return once nothing is under way in this process: whoever follows a document sees its end before its file is
        gone, and a command ends then."""
        while self.under_way:
            await asyncio.wait([task for _, task in self.under_way.values()])
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Ingest what is queued, forever. A server runs it in the background; what is under way at its end waits again.

        Never raises: what goes wrong with one document is in its row, and with the database in the log.
        """
        async with Presence(self._spool.folder, self.queue.instance_id) as presence:
            works = (
                self._keep_telling(),
                self._keep_watching(),
                self._keep_swept(presence),
                self._keep_beginning(presence),
            )
            tasks = [asyncio.create_task(work) for work in works]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:  # none of them ends by itself
                    task.result()
            finally:
                for task in tasks:
                    end(task)
                await asyncio.wait(tasks)
                await self._let_go()

    async def _keep_beginning(self, presence: Presence) -> None:
        known: dict[str, Waiting] = {}
        while True:
            self._called.clear()
            wait: float | None = LOOK
            try:
                await self._look_around(presence, known)
                wait = await self._begin(known)
            except OUTAGE as error:
                log.warning("documents wait: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK if wait is None else min(wait, LOOK)):
                    await self._called.wait()

    async def _look_around(self, presence: Presence, known: dict[str, Waiting]) -> None:
        """Find out what there is to be done that is not known."""
        here = await self._spool.ids()
        if self._guest:
            here = set() if await presence.others(SERVER) else here & self.added
        for gone in known.keys() - here:
            del known[gone]
        found = await self.queue.waiting(here - known.keys(), self.under_way)
        others = {one.instance_id for one in found} - {None, self.queue.instance_id}
        free = await presence.gone(one for one in others if one is not None) | {self.queue.instance_id}
        held = [one.id for one in found if one.instance_id is not None and one.instance_id not in free]
        silent = await self.queue.silent(held)
        known.update({one.id: one for one in found if one.id not in held or one.id in silent})

    async def _begin(self, known: dict[str, Waiting]) -> float | None:
        """Begin what may be begun. Seconds after which more may be, without anything having happened."""
        while True:
            now = time.monotonic()
            able = [one for one in known.values() if self._later.get(one.id, 0.0) <= now]
            under_way = [
                UnderWay(work.claim.document.account_id, work.claim.document.size, work.began)
                for work, _ in self.under_way.values()
            ]
            one = next_of(sorted(able, key=lambda one: one.number), under_way, self._turns, now)
            if one is None:
                return wait_of(under_way, now) if able else None
            del known[one.id]
            self._turns[one.account_id] = now
            claim = await self.queue.claim(one)
            if claim is None:
                continue
            work = Work(claim, self._tools)
            task = asyncio.create_task(self.ingest(work), name=f"ingestion of {one.id}")
            self.under_way[one.id] = (work, task)
            task.add_done_callback(partial(self._ended, one.id))
            self.followers.wake([one.id])

    def _ended(self, document_id: str, _: asyncio.Task[None]) -> None:
        self.under_way.pop(document_id, None)
        self._called.set()
        self.followers.wake([document_id])

    async def ingest(self, work: Work) -> None:
        """Do it, and write down how it ended. Raises nothing but cancellation."""
        claim = work.claim
        try:
            if claim.attempt > TRIES:
                words = f"It was begun {TRIES} times, and each time the server ended before it was done."
                await self._fail(work, InternalError(words))
                return
            await work.run()
            self._tell(work, "ready")
            self._removal.call()  # older ones of its name
        except NotOurs:
            log.info("document %s: cancelled or deleted", claim.document.id)
        except ServerStopping:
            work.ending = True
            self._later[claim.document.id] = time.monotonic() + SWEEP  # it is for the next one
            with suppress(NotOurs, *OUTAGE):
                await self._claims.put_back(claim, counts=False)
        except (RateLimited, InsufficientCredits, Unavailable, InternalError) as error:
            await self._again(work, error)
        except SageholdError as error:
            await self._fail(work, error)
        except OUTAGE as error:
            log.warning("document %s waits: %s", claim.document.id, error)
            self._later[claim.document.id] = time.monotonic() + PAUSES[0]
        except Exception:
            log.exception("document %s: a bug", claim.document.id)
            await self._fail(work, InternalError("The server failed to ingest the document."))

    async def _again(self, work: Work, error: SageholdError) -> None:
        """Try later what may go better then."""
        claim = work.claim
        hopeless = isinstance(error, KnowledgeUnavailable) or claim.attempt >= TRIES
        if hopeless or (isinstance(error, InsufficientCredits) and claim.document.id in self.failures):
            await self._fail(work, error)
            return
        pause = PAUSES[claim.attempt - 1]
        log.info("document %s: tried again in %.0f s: %s", claim.document.id, pause, error.message)
        self._later[claim.document.id] = time.monotonic() + pause
        work.ending = True
        with suppress(NotOurs, *OUTAGE):  # this process still has it then, and takes it up again
            await self._claims.put_back(claim, counts=True)

    async def _fail(self, work: Work, error: SageholdError) -> None:
        work.ending = True
        with suppress(NotOurs, *OUTAGE):
            if work.claim.document.id in self.failures:  # before it can be seen that it failed
                self.failures[work.claim.document.id] = error
            await self._claims.fail(work.claim, error.message)
            self._tell(work, "failed", error.message)

    def _tell(self, work: Work, state: str, words: str = "") -> None:
        document = work.claim.document
        self._counts.ended(state, work.chunks)
        self._later.pop(document.id, None)
        seconds = time.monotonic() - work.began
        if words:
            log.info("document %s: %s after %.1f s, %d bytes: %s", document.id, state, seconds, document.size, words)
        else:
            log.info(
                "document %s: %s after %.1f s, %d bytes, %d chunks",
                document.id,
                state,
                seconds,
                document.size,
                work.chunks,
            )

    async def _keep_telling(self) -> None:
        """Write how far each document is, and end the work on those that are not this process's any more."""
        told: dict[Claim, tuple[int, int]] = {}
        while True:
            await asyncio.sleep(BEAT)
            progress = {work.claim: (work.done, work.total) for work, _ in self.under_way.values() if not work.ending}
            try:
                lost = await self._claims.beat(progress)
            except OUTAGE as error:
                log.warning("how far documents are can't be written: %s", error)
                continue
            for claim in lost:
                work, _ = self.under_way.get(claim.document.id, (None, None))
                if work is not None and work.claim == claim:
                    self.end(claim.document.id)
            self.followers.wake(claim.document.id for claim in progress if progress[claim] != told.get(claim))
            told = progress

    async def _keep_watching(self) -> None:
        """Wake those who follow a document that this process does not work on, once it has changed."""
        seen: dict[str, object] = {}
        while True:
            await asyncio.sleep(LOOK)
            try:
                now = await self.queue.changes([one for one in self.followers.documents if one not in self.under_way])
            except OUTAGE as error:
                log.warning("how far documents are can't be read: %s", error)
                continue
            # One that was not watched yet may have changed before it was.
            self.followers.wake(one for one in now if one not in seen or now[one] != seen[one])
            seen = dict(now)

    async def _keep_swept(self, presence: Presence) -> None:
        while True:
            try:
                await presence.sweep()
                await self._spool.sweep(self.queue.need_files)
                await self.queue.sweep()
                await self._fail_the_lost()
                self._counts.looked(await self.queue.states())
            except OUTAGE as error:
                log.warning("what a crash may have left stays until the next look: %s", error)
            await asyncio.sleep(SWEEP)

    async def _fail_the_lost(self) -> None:
        """Documents that nobody has the file of: after a restore, or a server that is gone for good with its folder."""
        if not self._alone:
            await self.queue.keep(await self._spool.ids())
        without = await self.queue.forgotten(timedelta() if self._alone else FORGOTTEN)
        here = await self._spool.ids()  # looked at afterwards: a file is there before its row
        for one in without:
            if one.id not in here and await self.queue.lose(one, LOST):
                self._counts.ended("failed", 0)
                log.info("document %s: failed, its file is nowhere", one.id)
                self.followers.wake([one.id])

    async def _let_go(self) -> None:
        """Put back what is under way."""
        with anyio.CancelScope(shield=True):
            works = list(self.under_way.values())
            for work, task in works:
                if not work.ending:
                    end(task)
            if works:
                await asyncio.wait([task for _, task in works])
            for work, _ in works:
                with suppress(NotOurs, *OUTAGE):
                    await self._claims.put_back(work.claim, counts=False)
