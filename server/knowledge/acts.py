"""Acts of administration on what knowledge keeps, in the accounts' audit log and in the act's own unit of work."""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import column, insert, table
from sqlalchemy.ext.asyncio import AsyncSession

from server.storage.columns import UtcDateTime

LOCAL = "local"
"""Who acts, where nobody called: a person at the command line of this machine."""

Also = Callable[[AsyncSession], Awaitable[None]]
"""What is done in the same unit of work as something else."""

# The accounts' log by its name: knowledge knows nothing of accounts.
_AUDIT = table(
    "audit_log", column("at", UtcDateTime()), column("actor"), column("action"), column("target"), column("details")
)


async def note(
    session: AsyncSession, at: datetime, actor: str, action: str, target: str, details: Mapping[str, Any]
) -> None:
    """actor: a key's id, or LOCAL. action: such as `persona.change`."""
    row = {"at": at, "actor": actor, "action": action, "target": target, "details": json.dumps(details)}
    await session.execute(insert(_AUDIT).values(**row))


async def nothing(_: AsyncSession) -> None:
    """An `Also` that adds nothing."""
