"""Knowledge for the length of a block: its parts put together, and what they do in the background."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from server.knowledge.calls import Models
from server.knowledge.datasets import Datasets
from server.knowledge.documents import Documents
from server.knowledge.ingestion import Ingestion
from server.knowledge.knowledge import Knowledge
from server.knowledge.live.search import LiveSearch
from server.knowledge.payers import Payers
from server.knowledge.personas import Personas
from server.knowledge.search.retrieval import Retrieval
from server.knowledge.users import Users
from server.settings import Settings
from server.storage.database import Database


@asynccontextmanager
async def open_knowledge(
    settings: Settings, database: Database, models: Models, payers: Payers, *, ingests: bool = True
) -> AsyncGenerator[Knowledge, None]:
    """database: migrated. ingests: whether what is queued is ingested here, and what was deleted removed."""
    async with AsyncExitStack() as stack:
        datasets, documents = Datasets(database), Documents(database)
        ingestion = Ingestion()
        live = LiveSearch()
        stack.push_async_callback(live.aclose)
        if ingests:
            await stack.enter_async_context(_beside(ingestion.run(), "ingestion"))
        yield Knowledge(
            datasets=datasets,
            documents=documents,
            ingestion=ingestion,
            retrieval=Retrieval(),
            personas=Personas(),
            live=live,
            users=Users(database),
        )


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None], name: str) -> AsyncGenerator[None, None]:
    """`work` beside the block, and no longer."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
