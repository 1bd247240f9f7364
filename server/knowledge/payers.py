"""Who pays for what goes on after a request has ended."""

from typing import Protocol

from server.core import Caller


class Payers(Protocol):
    """The part of accounts that ingestion needs."""

    async def caller(self, key_id: str) -> Caller | None:
        """Whoever that key stands for now; None if it was revoked or has expired, or its account is closed.

        Raises DatabaseUnavailable.
        """
        ...
