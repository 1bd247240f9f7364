"""One document's way: read or heard, cut into chunks, embedded, stored, and published as a whole."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from anyio import to_thread

from server.core import Caller
from server.errors import KnowledgeUnavailable, NotAuthenticated, RateLimited, UnreadableDocument
from server.knowledge.calls import LOCAL, Measure, Models, Vectors
from server.knowledge.claims import Claim, Claims
from server.knowledge.gauges import IngestionCounts
from server.knowledge.parsing import reader
from server.knowledge.parsing.chunking import chunked
from server.knowledge.parsing.parsed import Block
from server.knowledge.payers import Payers
from server.knowledge.records import Chunk
from server.knowledge.spool import Spool
from server.settings import Settings

MOST_TOKENS = 512
"""Of a chunk, where the model reads more at once: a passage that is shown and read, and not a chapter."""
OVERLAP = 8
"""The part of a chunk that may repeat the one before: an eighth."""
AT_ONCE = 64
"""Chunks that are embedded and stored at once."""
WAITS = 10
"""How often one batch waits for the limits of the key that pays for it."""
LONGEST_WAIT = 60.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the work is done with."""

    claims: Claims
    spool: Spool
    models: Models
    payers: Payers
    settings: Settings
    counts: IngestionCounts


@dataclass(slots=True, eq=False)
class Work:
    """done, total: of the step under way; see `Document`. chunks: how many, once it is published. ending: its end is
    being written, which makes sure by itself that the document is still this process's; after that it is nobody's.
    """

    claim: Claim
    tools: Tools
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    total: int = 0
    chunks: int = 0
    ending: bool = False

    async def run(self) -> None:
        """Raises NotOurs, and what reading, embedding and the database raise."""
        tools, document = self.tools, self.claim.document
        model = await tools.claims.dataset_model(self.claim) or tools.models.embedding
        if model is None:
            raise KnowledgeUnavailable(NO_MODEL)
        payer = await self._payer()
        measure = await tools.models.measure(model)
        with self._step("read"):
            blocks = await self._read(payer)
        with self._step("chunk"):
            chunks = await to_thread.run_sync(_cut, blocks, measure)
        if not chunks:
            raise UnreadableDocument("There is no text in the document.")
        self.done, self.total = 0, len(chunks)
        await tools.claims.embedding(self.claim, self.total)
        tokens = dimensions = 0
        for start in range(0, len(chunks), AT_ONCE):
            some = chunks[start : start + AT_ONCE]
            with self._step("embed"):
                vectors = await self._embedded(model, some)
            if dimensions not in (0, vectors.shape[1]):
                raise KnowledgeUnavailable("The embedding model was replaced meanwhile. Please try again.")
            dimensions = vectors.shape[1]
            tokens += await to_thread.run_sync(_tokens, measure, some)
            with self._step("store"):
                await tools.claims.store(self.claim, some, vectors, start + len(some))
            self.done = start + len(some)
        self.ending = True
        with self._step("publish"):
            await tools.claims.publish(
                self.claim, chunks=len(chunks), tokens=tokens, model=model, dimensions=dimensions
            )
        self.chunks = len(chunks)
        await tools.spool.remove(document.id)

    async def _read(self, payer: Caller) -> Sequence[Block]:
        tools, document = self.tools, self.claim.document
        path = tools.spool.path(document.id)
        if reader.sound(document.filename):
            try:
                sound = await anyio.Path(path).read_bytes()
            except FileNotFoundError:
                raise UnreadableDocument(LOST) from None
            heard = await tools.models.transcribe(payer, sound, document.filename)
            return [Block(text, start=round(1000 * begin), end=round(1000 * end)) for begin, end, text in heard if text]
        if not await anyio.Path(path).exists():
            raise UnreadableDocument(LOST)
        return await reader.read(
            path,
            document.filename,
            timeout=tools.settings.document_timeout,
            memory=tools.settings.document_memory,
            progress=self._progress,
        )

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    async def _embedded(self, model: str, chunks: Sequence[Chunk]) -> Vectors:
        """By whoever the key stands for now. A key's limits are waited for: they are no failure."""
        for attempt in range(WAITS + 1):
            try:
                return await self.tools.models.embed(
                    await self._payer(), model, [chunk.searched for chunk in chunks], background=True
                )
            except RateLimited as limited:
                if attempt == WAITS:
                    raise
                await asyncio.sleep(min(_seconds(limited.headers.get("Retry-After")), LONGEST_WAIT))
        raise AssertionError

    async def _payer(self) -> Caller:
        """Raises NotAuthenticated."""
        document = self.claim.document
        if document.key_id is None:
            return Caller(key_id=LOCAL, account_id=document.account_id)
        caller = await self.tools.payers.caller(document.key_id)
        if caller is None:
            raise NotAuthenticated(
                "The API key that the document was added with is not valid any more, or its account is closed."
            )
        return caller

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.tools.counts.step(name, time.perf_counter() - began)


NO_MODEL = "This server has no embedding model, so it keeps no datasets."
LOST = "The document's file is not there any more. Please add it again."


def _cut(blocks: Sequence[Block], measure: Measure) -> Sequence[Chunk]:
    most = min(measure.most, MOST_TOKENS)
    return chunked(blocks, measure.tokens, most, most // OVERLAP)


def _tokens(measure: Measure, chunks: Sequence[Chunk]) -> int:
    return sum(measure.tokens(chunk.searched) for chunk in chunks)


def _seconds(text: str | None) -> float:
    try:
        return max(float(text or 1), 0.1)
    except ValueError:
        return 1.0
