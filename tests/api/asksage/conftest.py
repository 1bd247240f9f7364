"""A server over fake engines and a real database, with accounts of two people who know nothing of each other."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from server.accounts.administration import Administration
from server.settings import Settings
from server.storage.database import Database
from server.testing import FakeServer


@dataclass
class Town:
    """ada, bob, admin: clients with keys of accounts of their own."""

    administration: Administration
    ada: httpx.AsyncClient
    bob: httpx.AsyncClient
    admin: httpx.AsyncClient


@pytest.fixture
async def town(settings: Settings) -> AsyncIterator[Town]:
    settings = settings.model_copy(update={"asksage_keep_prompts": True})
    async with Administration.open(settings) as administration:
        accounts = administration.accounts
        database: Database = accounts.database
        async with FakeServer(settings, accounts=accounts, bank=administration.ledger, knowledge=database) as fake:
            fake.app.state.services = replace(
                fake.services, ledger=administration.ledger, reports=administration.reports
            )
            clients = []
            for name in ("ada", "bob"):
                await accounts.create_account(name, metered=False, email=f"{name}@example.org")
                clients.append(fake.client(key=(await accounts.create_key(account=name)).key))
            clients.append(fake.client(key=(await accounts.create_key(scopes=["admin", "inference"])).key))
            yield Town(administration, *clients)
            for client in clients:
                await client.aclose()


async def said(client: httpx.AsyncClient, path: str, body: Any = None, status: int = 200) -> Any:
    """The `response` of an answer whose body has that status."""
    answer = await client.post(path, json=body) if body is not None else await client.post(path)
    assert answer.status_code == 200
    assert answer.json()["status"] == status, answer.text
    return answer.json()["response"]
