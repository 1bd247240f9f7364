"""The Ask Sage dialect over fake engines, with a knowledge whose parts answer what a test puts into them."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from server.accounts.administration import Administration
from server.core import Caller
from server.errors import DatasetNotFound
from server.knowledge.knowledge import Knowledge
from server.knowledge.records import Chunk, Dataset, Live, Passage, Permission, Persona
from server.settings import Settings
from server.storage.database import Database
from server.testing import KEY, FakeServer

HANDBOOK = Dataset("ds_1", "handbook", "acct_test", 7, Permission.OWNER, datetime(2026, 1, 1, tzinfo=UTC))


def passage(text: str, *, filename: str = "rules.pdf", page: int | None = 3) -> Passage:
    chunk = Chunk(0, text, heading="Leave", page=page, end=len(text))
    return Passage(chunk, HANDBOOK, "doc_1", filename, "The rules of 2026", 1.0)


@dataclass
class Shelf:
    """What a knowledge of tests holds, and what it was asked."""

    passages: list[Passage] = field(default_factory=list)
    live: Live = field(default_factory=Live)
    trouble: Exception | None = None
    searches: list[tuple[str, list[str], int]] = field(default_factory=list)
    lived: list[tuple[str, int]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)
    voted: list[str] = field(default_factory=list)

    def knowledge(self) -> Knowledge:
        parts = {
            "datasets": SimpleNamespace(several=self._several),
            "retrieval": SimpleNamespace(search=self._search),
            "personas": SimpleNamespace(find=self._persona),
            "live": SimpleNamespace(search=self._live),
            "users": SimpleNamespace(asked=self._asked, logged_in=self._logged_in, vote_down=self._vote_down),
        }
        return cast(Knowledge, SimpleNamespace(**parts))

    async def _several(self, caller: Caller, names: Sequence[str]) -> list[Dataset]:
        if "none" in names:
            return []
        for name in names:
            if name not in ("all", HANDBOOK.name, HANDBOOK.full_name):
                raise DatasetNotFound.named(name)
        return [HANDBOOK]

    async def _search(self, caller: Caller, query: str, datasets: Sequence[Dataset], limit: int) -> list[Passage]:
        self.searches.append((query, [dataset.name for dataset in datasets], limit))
        if self.trouble is not None:
            raise self.trouble
        return self.passages[:limit]

    async def _persona(self, asked: str | int | None) -> Persona:
        if str(asked) == "2":
            return Persona(2, "Poet", "Rhymes.", "You are a poet.", version=4)
        return Persona(1, "Ask Sage", "Helps.", "You are helpful.")

    async def _live(self, query: str, level: int) -> Live:
        self.lived.append((query, level))
        return self.live

    async def _asked(self, caller: Caller, **said: Any) -> None:
        self.asked.append({"account": caller.account_id, **said})

    async def _logged_in(self, account_id: str, ip: str | None, succeeded: bool) -> None:
        self.logins.append((account_id, succeeded))

    async def _vote_down(self, caller: Caller, uuid: str) -> None:
        self.voted.append(uuid)


@dataclass
class Sage:
    fake: FakeServer
    shelf: Shelf
    http: httpx.AsyncClient

    async def json(self, path: str, body: Any = None, **request: Any) -> Any:
        """The body of an answer, which has HTTP status 200."""
        answer = await self.http.post(path, **({"json": body} if body is not None else {}), **request)
        assert answer.status_code == 200, answer.text
        return answer.json()


def with_shelf(fake: FakeServer) -> Shelf:
    shelf = Shelf()
    fake.app.state.services = replace(fake.app.state.services, knowledge=shelf.knowledge())
    return shelf


@pytest.fixture
async def sage(settings: Settings) -> AsyncIterator[Sage]:
    async with FakeServer(settings) as fake:
        shelf = with_shelf(fake)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(fake.app), base_url="http://test", headers={"x-access-tokens": KEY}
        ) as http:
            yield Sage(fake, shelf, http)


@dataclass
class Town:
    """ada, bob, admin: clients with keys of accounts of their own."""

    administration: Administration
    ada: httpx.AsyncClient
    bob: httpx.AsyncClient
    admin: httpx.AsyncClient


@asynccontextmanager
async def town_of(settings: Settings, *names: str) -> AsyncGenerator[Town, None]:
    """names: of the two accounts."""
    settings = settings.model_copy(update={"asksage_keep_prompts": True})
    async with Administration.open(settings) as administration:
        accounts = administration.accounts
        database: Database = accounts.database
        async with FakeServer(settings, accounts=accounts, bank=administration.ledger, knowledge=database) as fake:
            fake.app.state.services = replace(
                fake.services, ledger=administration.ledger, reports=administration.reports
            )
            clients = []
            for name in names:
                await accounts.create_account(name, metered=False, email=f"{name}@example.org")
                clients.append(fake.client(key=(await accounts.create_key(account=name)).key))
            clients.append(fake.client(key=(await accounts.create_key(scopes=["admin", "inference"])).key))
            yield Town(administration, *clients)
            for client in clients:
                await client.aclose()


@pytest.fixture
async def town(settings: Settings) -> AsyncIterator[Town]:
    async with town_of(settings, "ada", "bob") as opened:
        yield opened


async def said(client: httpx.AsyncClient, path: str, body: Any = None, status: int = 200) -> Any:
    """The `response` of an answer whose body has that status."""
    answer = await client.post(path, json=body) if body is not None else await client.post(path)
    assert answer.status_code == 200
    assert answer.json()["status"] == status, answer.text
    return answer.json()["response"]
