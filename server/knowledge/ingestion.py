"""From a file to what can be found: read, cut into chunks, embedded, stored, in the background.

spool.py      the files that wait
queue.py      their rows: which wait, whose they are, how far they have come
lanes.py      which is next
work.py       one document's way
"""

import asyncio
import logging
import secrets
import time
import unicodedata
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import anyio

from server.core import Caller
from server.errors import (
    Conflict,
    InsufficientCredits,
    InternalError,
    InvalidRequest,
    KnowledgeUnavailable,
    NotFound,
    RateLimited,
    SageholdError,
    ServerStopping,
    Unavailable,
)
from server.knowledge.acts import Also, nothing
from server.knowledge.calls import LOCAL, Models, Vectors
from server.knowledge.datasets import Datasets
from server.knowledge.documents import Documents
from server.knowledge.gauges import IngestionCounts
from server.knowledge.lanes import UnderWay, next_of, wait_of
from server.knowledge.names import storable
from server.knowledge.parsing import reader
from server.knowledge.payers import Payers
from server.knowledge.queue import FORGOTTEN, Claim, Kept, NotOurs, Queue, Waiting
from server.knowledge.records import Dataset, Document, Permission
from server.knowledge.removal import Removal
from server.knowledge.search.index import Index
from server.knowledge.search.no_index import NoIndex
from server.knowledge.spool import Presence, Spool
from server.knowledge.work import LOST, NO_MODEL, Tools, Work
from server.settings import Settings
from server.storage.database import OUTAGE, Database
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
ROOM_WAIT = 30
"""Seconds after which a document that found no room may find some."""
LONGEST_NAME = 255
SERVER, GUEST = "ing_", "cli_"
"""How the names of processes begin: of those that serve, and of commands."""


class Ingestion:
    """A document becomes visible as a whole, or not at all; older ones of its name in the dataset are replaced by it
    then.

    A server that dies leaves its work to the next one that has the file, which begins it anew: whichever process works
    on the same data folder. Servers that share a PostgreSQL and not a folder each ingest what was added to them.

    A command, a guest, ingests nothing but what it has added itself, and only while no server is at work on the folder:
    the server has the models loaded already, and what others have added is theirs to pay for.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        index: Index,
        datasets: Datasets,
        documents: Documents,
        removal: Removal,
        models: Models,
        payers: Payers,
        counts: IngestionCounts | None = None,
        *,
        guest: bool = False,
    ) -> None:
        self._settings = settings
        self._index = index
        self._datasets = datasets
        self._documents = documents
        self._removal = removal
        self._models = models
        self._counts = counts or IngestionCounts()
        self._spool = Spool(settings.data_dir / "documents")
        # Whether all servers that share the database have the folder in common.
        self._alone = database.path is not None and database.path.parent == settings.data_dir.resolve()
        self._queue = Queue(database, index, f"{GUEST if guest else SERVER}{secrets.token_hex(8)}")
        self._guest = guest
        self._added: set[str] = set()
        self.tools = Tools(self._queue, self._spool, models, payers, settings, self._counts)
        self._called = asyncio.Event()
        self._moved = asyncio.Event()
        self.under_way: dict[str, tuple[Work, asyncio.Task[None]]] = {}
        self._turns: dict[str, float] = {}
        self._later: dict[str, float] = {}

    # ------------------------------------------------------------ for whoever adds

    async def add(
        self, caller: Caller, dataset: str, filename: str, data: bytes | Path, *, context: str = ""
    ) -> Document:
        """Queue a file. It is on the disk when this returns; what is then done of it goes on without the caller.

        filename: folders before it are left out. Raises what `Datasets.find` does, PayloadTooLarge, InvalidRequest for
        a name or a kind of file that is not read, RateLimited where too much of the account's waits already,
        StorageFull, KnowledgeUnavailable, and OSError for a path that can't be read.
        """
        found = await self._datasets.find(caller, dataset, Permission.EDIT)
        if isinstance(self._index, NoIndex):
            self._index.refuse()
        self._demand_model(found)
        name = self._checked(filename)
        if not storable(context):
            raise InvalidRequest("The context holds characters that can't be kept.", param="context")
        if data == b"":
            raise InvalidRequest("The document is empty.", param="file")
        # Before the disk is written to; and once more, with those that came meanwhile, when the row is.
        self._check_room(caller, 0, await self._queue.kept(caller.account_id))
        document_id = f"doc_{secrets.token_hex(12)}"
        if self._guest:
            self._added.add(document_id)
        async with self._spool.put(document_id, data, self._settings.max_document) as size:
            if not size:
                raise InvalidRequest("The document is empty.", param="file")
            check = partial(self._check_room, caller, size)
            await self._queue.add(caller, document_id, found, name, context, size, check)
        self._called.set()
        return await self._look(document_id)

    async def follow(self, document_id: str) -> AsyncIterator[Document]:
        """The document as it is now, and at each change, until it has ended or was deleted."""
        told: Document | None = None
        while True:
            moved = self._moved
            document = await self._queue.look(document_id)
            if document is None:
                return
            if document != told:
                yield document
                told = document
            if document.state.ended:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await moved.wait()

    async def vectors(self, caller: Caller, document_id: str, most: int) -> Vectors:
        """Of a document's first `most` chunks, in order, of half precision; none before it is ready.

        Raises NotFound.
        """
        await self._documents.find(caller, document_id)
        return await self._queue.vectors(document_id, most)

    async def retry(self, caller: Caller, document_id: str) -> Document:
        """Begin one anew that failed or was cancelled; the caller pays.

        Raises NotFound, PermissionDenied, Conflict for one that is under way or ready, or whose file another server
        has.
        """
        await self._documents.find(caller, document_id, Permission.EDIT)
        return await self.begin_again(document_id, caller)

    async def begin_again(self, document_id: str, payer: Caller | None, also: Also = nothing) -> Document:
        """As `retry`, without asking who may. payer: None for whoever was to pay so far. also: is done with it."""
        if document_id not in await self._spool.ids():
            raise Conflict("The document's file is not on this server. Please add it again.", param="document")
        if not await self._queue.retry(document_id, payer, also):
            raise Conflict("The document did not fail, and was not cancelled.", param="document")
        self._later.pop(document_id, None)
        self._called.set()
        return await self._look(document_id)

    async def cancel(self, caller: Caller, document_id: str) -> Document:
        """End one that has not ended; what was made of it goes. One that has ended stays as it is.

        Raises NotFound, PermissionDenied.
        """
        await self._documents.find(caller, document_id, Permission.EDIT)
        return await self.break_off(document_id)

    async def break_off(self, document_id: str, also: Also = nothing) -> Document:
        """As `cancel`, without asking who may. also: is done with it, unless it had ended."""
        if await self._queue.cancel(document_id, also):
            self._end(document_id)
            self._move()
        return await self._look(document_id)

    async def settle(self) -> None:
        """Return once nothing is under way in this process: whoever follows a document sees its end before its file is
        gone, and a command ends then."""
        while self.under_way:
            await asyncio.wait([task for _, task in self.under_way.values()])
            await asyncio.sleep(0)

    async def withdraw(self) -> int:
        """For a command that is broken off: take back what it has added and what is not ready, as if it had never been.

        How many documents it was. Nothing of them is on the disk any more when this returns.
        """
        taken = [one for one in self._added if await self._queue.withdraw(one)]
        for one in taken:
            self._end(one)
        await self.settle()
        if taken:
            await self._removal.finish()
        return len(taken)

    async def _look(self, document_id: str) -> Document:
        document = await self._queue.look(document_id)
        if document is None:
            raise NotFound(f"There is no document `{document_id[:64]}`.", param="document")
        return document

    def _demand_model(self, dataset: Dataset) -> None:
        """Raises KnowledgeUnavailable."""
        if self._models.embedding is None:
            raise KnowledgeUnavailable(NO_MODEL)
        if dataset.model is not None and not self._models.installed(dataset.model):
            raise KnowledgeUnavailable(
                f"The dataset was made with the embedding model {dataset.model}, which is not served here any more. "
                "Vectors of two models are never mixed: serve that one again, or make a new dataset."
            )

    def _check_room(self, caller: Caller, size: int, kept: Kept) -> None:
        """Raises RateLimited. Whoever works at this machine may fill its disk."""
        if caller.key_id == LOCAL:
            return
        most, bytes_ = self._settings.max_waiting_documents, self._settings.max_waiting_bytes
        later = {"Retry-After": str(ROOM_WAIT)}
        if kept.waiting >= most:
            raise RateLimited(
                f"{most:,} documents of your account wait to be ingested, and no more may. Please add this one later.",
                headers=later,
            )
        if kept.size + size > bytes_:
            raise RateLimited(
                f"Your account's documents that are not ready may have {bytes_:,} bytes in all, and have "
                f"{kept.size:,}. Please add this one later, or delete those that have failed.",
                headers=later,
            )

    def _checked(self, filename: str) -> str:
        """The name without folders. Raises InvalidRequest."""
        name = unicodedata.normalize("NFC", PureWindowsPath(PurePosixPath(filename).name).name).strip()
        if not name or not storable(name) or not name.isprintable() or len(name) > LONGEST_NAME:
            raise InvalidRequest(
                f"A document's filename has 1 to {LONGEST_NAME} printable characters.", param="filename"
            )
        if reader.sound(name):
            if not self._models.transcribes:
                raise InvalidRequest("This server has no model that transcribes recordings.", param="file")
        elif Path(name).suffix.lower() not in reader.SUFFIXES:
            known = " ".join(sorted(reader.SUFFIXES))
            raise InvalidRequest(
                f"Files of the kind of `{name}` are not read. These are, and recordings: {known}", param="filename"
            )
        return name

    # ------------------------------------------------------------ in the background

    async def run(self) -> None:
        """Ingest what is queued, forever. A server runs it in the background; what is under way at its end waits again.

        Never raises: what goes wrong with one document is in its row, and with the database in the log.
        """
        async with Presence(self._spool.folder, self._queue.instance_id) as presence:
            works = (self._keep_telling(), self._keep_swept(presence), self._keep_beginning(presence))
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
            here = set() if await presence.others(SERVER) else here & self._added
        for gone in known.keys() - here:
            del known[gone]
        found = await self._queue.waiting(here - known.keys(), self.under_way)
        others = {one.instance_id for one in found} - {None, self._queue.instance_id}
        free = await presence.gone(one for one in others if one is not None) | {self._queue.instance_id}
        held = [one.id for one in found if one.instance_id is not None and one.instance_id not in free]
        silent = await self._queue.silent(held)
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
            claim = await self._queue.claim(one)
            if claim is None:
                continue
            work = Work(claim, self.tools)
            task = asyncio.create_task(self.ingest(work), name=f"ingestion of {one.id}")
            self.under_way[one.id] = (work, task)
            task.add_done_callback(partial(self._ended, one.id))
            self._move()

    def _ended(self, document_id: str, _: asyncio.Task[None]) -> None:
        self.under_way.pop(document_id, None)
        self._called.set()
        self._move()

    def _end(self, document_id: str) -> None:
        """Break it off; unless its end is just being written: what is left to do of it is done then."""
        if document_id in self.under_way:
            work, task = self.under_way[document_id]
            if not work.ending:
                end(task)

    def _move(self) -> None:
        """Let all who follow look again."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def ingest(self, work: Work) -> None:
        """Do it, and write down how it ended. Raises nothing but cancellation."""
        claim = work.claim
        try:
            if claim.attempt > TRIES:
                await self._fail(
                    work, f"It was begun {TRIES} times, and each time the server ended before it was done."
                )
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
                await self._queue.put_back(claim, counts=False)
        except (RateLimited, InsufficientCredits, Unavailable, InternalError) as error:
            await self._again(work, error)
        except SageholdError as error:
            await self._fail(work, error.message)
        except OUTAGE as error:
            log.warning("document %s waits: %s", claim.document.id, error)
            self._later[claim.document.id] = time.monotonic() + PAUSES[0]
        except Exception:
            log.exception("document %s: a bug", claim.document.id)
            await self._fail(work, "The server failed to ingest the document.")

    async def _again(self, work: Work, error: SageholdError) -> None:
        """Try later what may go better then."""
        claim = work.claim
        if isinstance(error, KnowledgeUnavailable) or claim.attempt >= TRIES:
            await self._fail(work, error.message)
            return
        work.ending = True
        pause = PAUSES[claim.attempt - 1]
        log.info("document %s: tried again in %.0f s: %s", claim.document.id, pause, error.message)
        self._later[claim.document.id] = time.monotonic() + pause
        work.ending = True
        with suppress(NotOurs, *OUTAGE):  # this process still has it then, and takes it up again
            await self._queue.put_back(claim, counts=True)

    async def _fail(self, work: Work, words: str) -> None:
        work.ending = True
        with suppress(NotOurs, *OUTAGE):
            await self._queue.fail(work.claim, words)
            self._tell(work, "failed", words)

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
                lost = await self._queue.beat(progress)
            except OUTAGE as error:
                log.warning("how far documents are can't be written: %s", error)
                continue
            for claim in lost:
                work, _ = self.under_way.get(claim.document.id, (None, None))
                if work is not None and work.claim == claim:
                    self._end(claim.document.id)
            if progress != told:
                self._move()
            told = progress

    async def _keep_swept(self, presence: Presence) -> None:
        while True:
            try:
                await presence.sweep()
                await self._spool.sweep(self._queue.need_files)
                await self._queue.sweep()
                await self._fail_the_lost()
                self._counts.looked(await self._queue.states())
            except OUTAGE as error:
                log.warning("what a crash may have left stays until the next look: %s", error)
            await asyncio.sleep(SWEEP)

    async def _fail_the_lost(self) -> None:
        """Documents that nobody has the file of: after a restore, or a server that is gone for good with its folder."""
        if not self._alone:
            await self._queue.keep(await self._spool.ids())
        without = await self._queue.forgotten(timedelta() if self._alone else FORGOTTEN)
        here = await self._spool.ids()  # looked at afterwards: a file is there before its row
        for one in without:
            if one.id not in here and await self._queue.lose(one, LOST):
                self._counts.ended("failed", 0)
                log.info("document %s: failed, its file is nowhere", one.id)
                self._move()

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
                    await self._queue.put_back(work.claim, counts=False)
