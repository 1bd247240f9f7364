"""The corpus in a dataset, by the server's own ingestion, and the order in which its own search puts passages."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.retrieval.corpus import DATASET, SECTIONS, Document
from scripts.retrieval.measures import distinct
from server.api.access import ANYONE
from server.errors import DatasetNotFound
from server.knowledge.knowledge import Knowledge
from server.knowledge.records import Dataset, DocumentState, Fusion, Passage
from server.services import build_services
from server.settings import Settings

CHUNKS = 30
"""Chunks that are asked for: of them the first ten passages are judged, since a long passage is several chunks."""
NAMES = {section.heading: section.name for section in SECTIONS}


class NotIngested(Exception):
    """A document of the corpus could not be ingested. The message says which and why."""


@dataclass(frozen=True, slots=True)
class Library:
    """A dataset that holds the whole corpus."""

    knowledge: Knowledge
    dataset: Dataset

    async def found(self, ask: str, fusion: Fusion) -> list[str]:
        """Ids of passages, best first, none twice."""
        passages = await self.knowledge.retrieval.search(ANYONE, ask, [self.dataset], CHUNKS, fusion=fusion)
        return distinct(passage_id(passage) for passage in passages)


def settings_for(
    data: Path, models_dir: Path, configs: Path, models: Sequence[str], database: str | None = None
) -> Settings:
    """Of a server without keys. database: a URL; None is SQLite in `data`."""
    made = Settings(auth="off", data_dir=data, models_dir=models_dir, model_configs=configs, models=tuple(models))
    return made.model_copy(update={"database_url": database}) if database else made


@asynccontextmanager
async def library(
    settings: Settings, documents: Sequence[Document], advance: Callable[[], None]
) -> AsyncGenerator[Library, None]:
    """For the length of the block. What is there from an earlier run is not ingested again.

    advance: called for each document. Raises NotIngested.
    """
    async with build_services(settings) as services:
        knowledge = services.knowledge
        assert knowledge is not None
        try:
            await knowledge.datasets.find(ANYONE, DATASET)
        except DatasetNotFound:
            await knowledge.datasets.create(ANYONE, DATASET)
        rows = await knowledge.documents.list(ANYONE, DATASET)
        there = {document.filename for _, document in rows if document.state is DocumentState.READY}
        waiting = []
        for one in documents:
            if one.filename in there:
                advance()
            else:
                added = await knowledge.ingestion.add(ANYONE, DATASET, one.filename, one.markdown.encode())
                waiting.append(added)
        for document in waiting:
            last = [now async for now in knowledge.ingestion.follow(document.id)][-1]
            if last.state is not DocumentState.READY:
                raise NotIngested(f"{last.filename} is {last.state}: {last.error}")
            advance()
        yield Library(knowledge, await knowledge.datasets.find(ANYONE, DATASET))


def passage_id(passage: Passage) -> str:
    """The section that a chunk is of; the document alone where a chunk has no section's heading."""
    code = passage.filename.removesuffix(".md")
    heading = passage.chunk.heading.rpartition(" › ")[2]
    return f"{code}/{NAMES[heading]}" if heading in NAMES else code
