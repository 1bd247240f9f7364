"""A database that can't have an index: the server is up, datasets answer 503, and one line of the log says why."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from server.accounts.administration import Administration
from server.settings import Settings
from server.storage.database import Database
from server.testing import FakeServer
from tests.postgres import Postgres

pytestmark = pytest.mark.anyio
numbers = count(1)


@pytest.fixture
async def no_pgvector(postgres: Postgres) -> str:
    """The URL of a database in which its user may not make extensions, and nobody else has made pgvector's."""
    url = postgres.create(f"without_pgvector_{next(numbers)}")
    database = Database(url)
    async with database.write() as session:
        if not await session.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = 'narrow'")):
            await session.execute(text("CREATE ROLE narrow LOGIN"))
        await session.execute(text("GRANT ALL ON SCHEMA public TO narrow"))
    await database.aclose()
    return url.replace("//postgres@", "//narrow@")


@asynccontextmanager
async def serving(settings: Settings) -> AsyncGenerator[tuple[FakeServer, httpx.AsyncClient], None]:
    async with Administration.open(settings) as administration:
        accounts = administration.accounts
        async with FakeServer(settings, accounts=accounts, knowledge=accounts.database) as fake:
            fake.app.state.services = replace(
                fake.services, ledger=administration.ledger, reports=administration.reports
            )
            async with fake.client((await accounts.create_key()).key) as client:
                yield fake, client


@pytest.fixture
async def clients(
    settings: Settings, no_pgvector: str, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[tuple[FakeServer, httpx.AsyncClient]]:
    caplog.set_level(logging.INFO)
    settings = settings.model_copy(update={"database_url": no_pgvector})
    async with serving(settings) as (fake, client):
        yield fake, client


async def test_a_postgresql_without_pgvector(
    clients: tuple[FakeServer, httpx.AsyncClient], caplog: pytest.LogCaptureFixture
) -> None:
    _, client = clients
    [line] = [one.getMessage() for one in caplog.get_records("setup") if one.levelno >= logging.WARNING]
    assert line.startswith("datasets can't be kept in this PostgreSQL: ")
    assert "vector" in line

    async def told(path: str, body: Any = None, **request: Any) -> dict[str, Any]:
        answer = await client.post(path, json=body, **request)
        return {"http": answer.status_code, **answer.json()}

    refused = {"http": 200, "status": 503, "error": "knowledge_unavailable"}
    made = await told("/user/add-dataset", {"dataset": "handbook"})
    assert {name: made[name] for name in refused} == refused
    assert "log" in made["response"]
    # What needs no index works.
    assert (await told("/server/get-datasets"))["response"] == []
    assert (await told("/server/get-personas"))["status"] == 200
    assert (await told("/user/create-chat-session", {"title": "one"}))["status"] == 200
    answer = await client.post(
        "/v1/chat/completions", json={"model": "everything", "messages": [{"role": "user", "content": "hello"}]}
    )
    assert answer.status_code == 200
    assert (await told("/server/query", {"message": "hello", "dataset": "all"}))["status"] == 200


async def test_datasets_of_before_are_listed_and_neither_searched_nor_added_to(
    clients: tuple[FakeServer, httpx.AsyncClient], tmp_path: Path
) -> None:
    """pgvector was there once: a copy of the database has come to another server."""
    fake, client = clients
    database = fake.knowledge.datasets._database
    async with database.write() as session:
        await session.execute(
            text(
                "INSERT INTO datasets (id, owner_id, name, model, created_at) "
                "SELECT 'ds_old', id, 'handbook', 'fake-embedding', now() FROM accounts"
            )
        )
        await session.execute(
            text(
                "INSERT INTO documents (id, dataset_number, account_id, filename, size, state, chunks, created_at, "
                "updated_at) SELECT 'doc_old', 1, id, 'a.txt', 1, 'ready', 3, now(), now() FROM accounts"
            )
        )
    [name] = (await client.post("/server/get-datasets")).json()["response"]
    files = {"file": ("a.txt", b"text", "text/plain")}
    added = (await client.post("/server/train-with-file", data={"dataset": name}, files=files)).json()
    assert (added["status"], added["error"]) == (503, "knowledge_unavailable")
    assert list((tmp_path / "data" / "documents").glob("*")) == []
    answer = (await client.post("/server/query", json={"message": "hello", "dataset": name})).json()
    assert answer["status"] == 200
    assert "does not work right now" in answer["references"]
    assert (await client.post("/server/delete-dataset", json={"dataset": name})).json()["status"] == 404
    assert (await client.post("/user/delete-dataset", json={"dataset": name})).json()["status"] == 200
    assert (await client.post("/server/get-datasets")).json()["response"] == []


async def test_the_status_is_real_where_it_is_asked_for(settings: Settings, no_pgvector: str) -> None:
    settings = settings.model_copy(update={"database_url": no_pgvector, "asksage_strict_status": True})
    async with serving(settings) as (_, client):
        answer = await client.post("/user/add-dataset", json={"dataset": "handbook"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["error"] == "knowledge_unavailable"
