"""Batches for the length of a block: their parts put together, and the work on them in the background."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from server.jobs.batches.background import Background
from server.jobs.batches.batches import Batches
from server.jobs.batches.claims import Claims
from server.jobs.batches.executor import Bills, Executor
from server.jobs.batches.folder import BatchFolders
from server.jobs.batches.gauges import BatchCounts
from server.jobs.batches.runner import Clock
from server.jobs.batches.window import Window
from server.jobs.batches.work import Models, WorkTools
from server.jobs.files.store import Files
from server.knowledge.payers import Payers
from server.settings import Settings
from server.storage.database import Database
from server.storage.units import end

log = logging.getLogger(__name__)

VALIDATED_AT_ONCE = 2
"""Input files that are looked through at once: each takes all of a thread for some seconds."""


@asynccontextmanager
async def open_batches(
    settings: Settings,
    database: Database,
    files: Files,
    models: Models,
    payers: Payers,
    bills: Bills,
    executor: Executor,
    *,
    counts: BatchCounts,
    stopping: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[Batches, None]:
    """database: migrated. stopping: whether the server is about to end, so that no batch is taken on any more."""
    folder = settings.data_dir / "batches"
    folders = BatchFolders(folder)
    await folders.start()
    tools = WorkTools(
        claims=Claims(database, f"bat_{secrets.token_hex(8)}"),
        files=files,
        models=models,
        payers=payers,
        bills=bills,
        executor=executor,
        window=Window(models.places),
        counts=counts,
        validating=asyncio.Semaphore(VALIDATED_AT_ONCE),
        most_lines=settings.max_batch_lines,
        most_file=settings.max_batch_file,
        longest_line=settings.max_body,
        clock=Clock(),
    )
    background = Background(
        folders,
        tools,
        alone=database.path is not None and database.path.parent == settings.data_dir.resolve(),
        stopping=stopping,
    )
    running = asyncio.create_task(background.run(), name="batches")
    running.add_done_callback(_tell)
    try:
        yield Batches(database, files, folders, background.call, most=settings.max_account_batches)
    finally:
        end(running)
        await asyncio.wait([running])


def _tell(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended: none goes on until the next start", task.get_name(), exc_info=error)
