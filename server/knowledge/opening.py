"""Knowledge for the length of a block: its parts put together, and what they do in the background."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from server.errors import KnowledgeUnavailable
from server.knowledge.calls import Models
from server.knowledge.datasets import Datasets
from server.knowledge.documents import Documents
from server.knowledge.gauges import IngestionCounts
from server.knowledge.ingestion import Ingestion
from server.knowledge.knowledge import Knowledge
from server.knowledge.live.search import LiveSearch
from server.knowledge.oversight import Oversight
from server.knowledge.payers import Payers
from server.knowledge.personas import Personas
from server.knowledge.removal import Removal
from server.knowledge.search.no_index import NoIndex
from server.knowledge.search.retrieval import Retrieval, index_for
from server.knowledge.users import Users
from server.settings import Settings
from server.storage.beside import beside
from server.storage.database import Database


@asynccontextmanager
async def open_knowledge(
    settings: Settings,
    database: Database,
    models: Models,
    payers: Payers,
    *,
    counts: IngestionCounts | None = None,
    guest: bool = False,
) -> AsyncGenerator[Knowledge, None]:
    """database: migrated. What is queued is ingested meanwhile, and what was deleted is removed.

    Where the database can't have an index, for one reason or another that is in the log, the rest works: personas, logs
    and chats. guest: for a command; see `Ingestion`.
    """
    async with AsyncExitStack() as stack:
        index = index_for(database, settings)
        stack.push_async_callback(index.aclose)
        try:
            await index.prepare()
        except KnowledgeUnavailable:
            index = NoIndex()
        removal = Removal(database, index, settings.data_dir / "documents")
        datasets, documents = Datasets(database, index, removal), Documents(database, removal)
        ingestion = Ingestion(
            settings, database, index, datasets, documents, removal, models, payers, counts, guest=guest
        )
        retrieval = Retrieval(database, index, models)
        live = LiveSearch.configured(settings)
        stack.push_async_callback(live.aclose)
        if not isinstance(index, NoIndex):
            await stack.enter_async_context(beside(index.tend(), "search's indexes"))
            await stack.enter_async_context(beside(removal.run(), "removal"))
            await stack.enter_async_context(beside(ingestion.run(), "ingestion"))
        yield Knowledge(
            datasets=datasets,
            documents=documents,
            ingestion=ingestion,
            retrieval=retrieval,
            oversight=Oversight(database, ingestion, retrieval, removal),
            personas=Personas(database, settings.personas),
            live=live,
            removal=removal,
            users=Users(database, keep_prompts=settings.asksage_keep_prompts),
        )
