"""From a file to what can be found: read, cut into chunks, embedded, stored, in the background.

spool.py         the files that wait
submissions.py   their rows, for their owners
queue.py         their rows: which wait, and whose they are
claims.py        their rows, while they are under way
lanes.py         which is next
work.py          one document's way
background.py    all of it, beside whatever else the process does
"""

import asyncio
import secrets
import unicodedata
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

from server.core import Caller
from server.errors import (
    Conflict,
    InvalidRequest,
    KnowledgeUnavailable,
    NotFound,
    RateLimited,
    UnreadableDocument,
)
from server.knowledge.acts import Also, nothing
from server.knowledge.background import GUEST, SERVER, Background
from server.knowledge.calls import LOCAL, Models, Vectors
from server.knowledge.claims import Claims
from server.knowledge.datasets import Datasets
from server.knowledge.documents import Documents
from server.knowledge.gauges import IngestionCounts
from server.knowledge.parsing import reader
from server.knowledge.payers import Payers
from server.knowledge.queue import Queue
from server.knowledge.records import Dataset, Document, DocumentState, Permission
from server.knowledge.removal import Removal
from server.knowledge.search.index import Index
from server.knowledge.search.no_index import NoIndex
from server.knowledge.spool import Spool
from server.knowledge.submissions import Kept, Submissions
from server.knowledge.work import NO_MODEL, Tools, Work
from server.settings import Settings
from server.storage.columns import storable
from server.storage.database import Database

ROOM_WAIT = 30
"""Seconds after which a document that found no room may find some."""
LONGEST_NAME = 255


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
        self._guest = guest
        self._spool = Spool(settings.data_dir / "documents")
        claims = Claims(database, index)
        self._submissions = Submissions(database, index, claims)
        self.tools = Tools(claims, self._spool, models, payers, settings, counts or IngestionCounts())
        self.background = Background(
            Queue(database, claims, f"{GUEST if guest else SERVER}{secrets.token_hex(8)}"),
            removal,
            self.tools,
            # Whether all servers that share the database have the folder in common.
            alone=database.path is not None and database.path.parent == settings.data_dir.resolve(),
            guest=guest,
        )

    @property
    def under_way(self) -> Mapping[str, tuple[Work, asyncio.Task[None]]]:
        """What this process does now, by document."""
        return self.background.under_way

    async def run(self) -> None:
        """See `Background.run`."""
        await self.background.run()

    async def add(
        self, caller: Caller, dataset: str, filename: str, data: bytes | Path, *, context: str = ""
    ) -> Document:
        """Queue a file. It is on the disk when this returns; what is then done of it goes on without the caller.

        filename: folders before it are left out. Raises what `Datasets.find` does, PayloadTooLarge, InvalidRequest for
        a name or a kind of file that is not read, RateLimited where too much of the account's waits already,
        StorageFull, KnowledgeUnavailable, and OSError for a path that can't be read.
        """
        document_id = _new_id()
        await self._queue(caller, document_id, dataset, filename, data, context)
        return await self._look(document_id)

    async def ingest(
        self, caller: Caller, dataset: str, filename: str, data: bytes | Path, *, context: str = ""
    ) -> Document:
        """Add a file and wait until it is ready. Credits that run out are not waited for.

        Raises what `add` does and whatever its ingestion failed of; NotFound where it was deleted meanwhile, Conflict
        where it was cancelled.
        """
        document_id = _new_id()
        failures = self.background.failures
        failures[document_id] = None
        try:
            await self._queue(caller, document_id, dataset, filename, data, context)
            ended: Document | None = None
            async for document in self.follow(document_id):
                ended = document
            failure = failures[document_id]
        finally:
            del failures[document_id]
        if ended is None or not ended.state.ended:
            raise NotFound("The document was deleted before it was ready.", param="file")
        if ended.state is DocumentState.CANCELLED:
            raise Conflict("The document was cancelled before it was ready.", param="file")
        if ended.state is DocumentState.FAILED:
            # By another process, where it is not known here.
            raise failure or UnreadableDocument(ended.error)
        return ended

    async def _queue(
        self, caller: Caller, document_id: str, dataset: str, filename: str, data: bytes | Path, context: str
    ) -> None:
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
        self._check_room(caller, 0, await self._submissions.kept(caller.account_id))
        if self._guest:
            self.background.added.add(document_id)
        async with self._spool.put(document_id, data, self._settings.max_document) as size:
            if not size:
                raise InvalidRequest("The document is empty.", param="file")
            check = partial(self._check_room, caller, size)
            await self._submissions.add(caller, document_id, found, name, context, size, check)
        self.background.call(document_id)

    async def follow(self, document_id: str) -> AsyncIterator[Document]:
        """The document as it is now, and at each change, until it has ended or was deleted.

        Changes are seen while `run` goes on.
        """
        last: Document | None = None
        with self.background.followers.following(document_id) as changed:
            while True:
                changed.clear()
                document = await self._submissions.look(document_id)
                if document is None:
                    return
                if document != last:
                    yield document
                    last = document
                if document.state.ended:
                    return
                await changed.wait()

    async def vectors(self, caller: Caller, document_id: str, most: int) -> Vectors:
        """Of a document's first `most` chunks, in order, of half precision; none before it is ready.

        Raises NotFound.
        """
        await self._documents.find(caller, document_id)
        return await self._submissions.vectors(document_id, most)

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
        if not await self._submissions.retry(document_id, payer, also):
            raise Conflict("The document did not fail, and was not cancelled.", param="document")
        self.background.call(document_id)
        return await self._look(document_id)

    async def cancel(self, caller: Caller, document_id: str) -> Document:
        """End one that has not ended; what was made of it goes. One that has ended stays as it is.

        Raises NotFound, PermissionDenied.
        """
        await self._documents.find(caller, document_id, Permission.EDIT)
        return await self.break_off(document_id)

    async def break_off(self, document_id: str, also: Also = nothing) -> Document:
        """As `cancel`, without asking who may. also: is done with it, unless it had ended."""
        if await self._submissions.cancel(document_id, also):
            self.background.end(document_id)
            self.background.followers.wake([document_id])
        return await self._look(document_id)

    async def settle(self) -> None:
        """See `Background.settle`."""
        await self.background.settle()

    async def withdraw(self) -> int:
        """For a command that is broken off: take back what it has added and what is not ready, as if it had never been.

        How many documents it was. Nothing of them is on the disk any more when this returns.
        """
        taken = [one for one in self.background.added if await self._submissions.withdraw(one)]
        for one in taken:
            self.background.end(one)
        await self.background.settle()
        if taken:
            await self._removal.finish()
        return len(taken)

    async def _look(self, document_id: str) -> Document:
        document = await self._submissions.look(document_id)
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


def _new_id() -> str:
    return f"doc_{secrets.token_hex(12)}"
