"""A server over fake engines whose accounts are real ones, in SQLite."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import httpx
import pytest

from server.accounts.administration import Administration
from server.settings import Settings
from server.testing import FakeServer


@dataclass
class Office:
    """admin: a client with an admin key, which is `admin_id`."""

    fake: FakeServer
    administration: Administration
    admin: httpx.AsyncClient
    admin_id: str

    async def key(self, *scopes: str, account: str | None = None) -> str:
        """The text of a new key."""
        return (await self.administration.accounts.create_key(account=account, scopes=scopes)).key


@pytest.fixture
async def office(settings: Settings) -> AsyncIterator[Office]:
    # So that errors of all dialects are seen by their HTTP status.
    settings = settings.model_copy(update={"asksage_strict_status": True})
    async with (
        Administration.open(settings) as administration,
        FakeServer(
            settings,
            accounts=administration.accounts,
            bank=administration.ledger,
            knowledge=administration.accounts.database,
        ) as fake,
    ):
        fake.app.state.services = replace(fake.services, ledger=administration.ledger, reports=administration.reports)
        admin = await administration.accounts.create_key(name="admin", scopes=["admin"])
        async with fake.client(key=admin.key) as client:
            yield Office(fake, administration, client, admin.record.id)
