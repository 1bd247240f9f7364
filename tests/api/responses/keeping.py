"""A server over fake engines that keeps responses, and clients of two accounts."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.accounts.administration import Administration
from server.core import Task
from server.engines.fake.engine import FakeEngine
from server.jobs.responses import background, upkeep
from server.jobs.responses.responses import Responses
from server.models.config.spec import Price
from server.settings import Settings
from server.testing import Exchange, FakeServer
from tests.accounts.conftest import migrated_file

__all__ = ["desk", "migrated_file"]


@dataclass
class Desk:
    """ada, bob: clients with keys of accounts of their own; ada pays, and has 1000 credits."""

    fake: FakeServer
    administration: Administration
    ada: httpx.AsyncClient
    bob: httpx.AsyncClient
    ada_key: str
    ada_id: str

    @property
    def engine(self) -> FakeEngine:
        return self.fake.engines[Task.CHAT]

    @property
    def responses(self) -> Responses:
        assert self.fake.services.responses is not None
        return self.fake.services.responses

    async def credits(self) -> tuple[float, float]:
        """What ada has left, and what is held of it."""
        balance = await self.administration.ledger.balance(self.ada_id)
        return float(balance.available), float(balance.held)

    def exchange(self, path: str, body: bytes) -> Exchange:
        """A request of ada's by hand, so that she can hang up."""
        return self.fake.exchange("POST", path, body=body, headers={"authorization": f"Bearer {self.ada_key}"})

    async def until(self, response_id: str, *statuses: str) -> dict[str, Any]:
        """Ada's response, once it has one of these statuses."""
        async with asyncio.timeout(10):
            while True:
                answer = await self.ada.get(f"/v1/responses/{response_id}")
                assert answer.status_code == 200, answer.text
                response: dict[str, Any] = answer.json()
                if response["status"] in statuses:
                    return response
                await asyncio.sleep(0.005)


@pytest.fixture
async def desk(settings: Settings, migrated_file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    for where, name in ((background, "FLUSH"), (upkeep, "FLUSH"), (upkeep, "LOOK")):
        monkeypatch.setattr(where, name, 0.01)
    settings.data_dir.mkdir(mode=0o700)
    shutil.copy(migrated_file, settings.data_dir / "sagehold.db")
    async with Administration.open(settings) as administration:
        accounts = administration.accounts
        ada = await accounts.create_account("ada")
        await administration.ledger.grant(ada.id, Decimal(1000))
        await accounts.create_account("bob", metered=False)
        keys = [(await accounts.create_key(account=name)).key for name in ("ada", "bob")]
        async with FakeServer(
            settings,
            accounts=accounts,
            bank=administration.ledger,
            knowledge=accounts.database,
            price=Price(prompt_token=Decimal("0.01"), completion_token=Decimal("0.5")),
        ) as fake:
            clients = [fake.client(key=key) for key in keys]
            yield Desk(fake, administration, *clients, ada_key=keys[0], ada_id=ada.id)
            for client in clients:
                await client.aclose()
