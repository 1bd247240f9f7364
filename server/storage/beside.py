"""Work that goes on beside a block, and no longer."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from server.storage.units import end

log = logging.getLogger(__name__)


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], name: str) -> AsyncGenerator[None, None]:
    """It should not end by itself; if it does by an error, the log says so at once."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell)
    try:
        yield
    finally:
        end(task)
        await asyncio.wait([task])


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended: nothing of it goes on until the next start", task.get_name(), exc_info=error)
