"""A file on its way into a dataset."""

from decimal import Decimal

from server.api.body import Upload
from server.api.services import Services
from server.core import Caller, Task
from server.knowledge.knowledge import Knowledge
from server.knowledge.records import Document

LEAST = Decimal("0.000000001")
"""Credits: any at all."""


async def add(
    services: Services, knowledge: Knowledge, caller: Caller, dataset: str, file: Upload, context: str
) -> Document:
    """Queue a file. dataset: its name. Raises what `Ingestion.add` does, and InsufficientCredits."""
    await _demand(services, caller)
    return await knowledge.ingestion.add(caller, dataset, file.filename, file.data, context=context)


async def ingest(
    services: Services, knowledge: Knowledge, caller: Caller, dataset: str, file: Upload, context: str
) -> Document:
    """Queue a file and wait until it is ready. Raises what `Ingestion.ingest` does."""
    await _demand(services, caller)
    return await knowledge.ingestion.ingest(caller, dataset, file.filename, file.data, context=context)


async def _demand(services: Services, caller: Caller) -> None:
    """Raises InsufficientCredits, where ingestion would wait for credits to come."""
    if services.ledger is not None and _costs(services):
        await services.ledger.demand(caller, LEAST)


def _costs(services: Services) -> bool:
    """Whether embedding does, by any model that there is for it."""
    return any(one.price.prompt_token > 0 for one in services.catalog.public_models() if Task.EMBEDDING in one.tasks)
