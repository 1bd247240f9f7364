"""Without its database the server says so: 503 in the envelope for who needs a key, and /ready names what is down."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from server.accounts.administration import Administration
from server.core import Caller
from server.errors import DatabaseUnavailable
from server.settings import Settings
from server.testing import FakeServer

pytestmark = pytest.mark.anyio


async def test_ready_names_what_is_down(settings: Settings) -> None:
    down: dict[str, str] = {}
    async with FakeServer(settings) as server:
        server.app.state.services = replace(server.services, outages=lambda: down)
        async with server.client() as client:
            assert (await client.get("/ready")).status_code == 200
            down["database"] = "not available"
            answer = await client.get("/ready")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.json()["status"] == "not ready"
            assert answer.json()["outages"] == {"database": "not available"}
            assert (await client.get("/health")).status_code == 200


class Down:
    async def authenticate(self, key: str) -> Caller | None:
        raise DatabaseUnavailable


async def test_who_is_calling_can_not_be_known(settings: Settings) -> None:
    async with FakeServer(settings, accounts=Down()) as server, server.client() as client:
        answer = await client.get("/v1/models")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error"]["code"] == "database_unavailable"


async def test_a_database_that_was_deleted_is_an_outage_of_every_route_with_a_key(
    settings: Settings, tmp_path: Path
) -> None:
    async with Administration.open(settings) as administration:
        new = await administration.accounts.create_key(scopes=("inference", "admin"))
        database = administration.accounts.database
        async with FakeServer(settings, accounts=administration.accounts, bank=administration.ledger) as server:
            services = replace(server.services, ledger=administration.ledger, reports=administration.reports)
            server.app.state.services = services
            headers = {"Authorization": f"Bearer {new.key}"}
            transport = httpx.ASGITransport(server.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
                assert (await client.get("/v1/models")).status_code == 200
                (settings.data_dir / "sagehold.db").rename(tmp_path / "away")
                database.watch._known = (0, 0)
                await database.watch.look()
                administration.accounts._authentication.forget()
                for path in ("/v1/models", "/v1/credits", "/admin/v1/keys", "/admin/v1/accounts", "/admin/v1/usage"):
                    answer = await client.get(path)
                    assert (path, answer.status_code) == (path, 503)
                    assert answer.json()["error"]["code"] == "database_unavailable"
                database.watch.trouble, database.watch.lost = None, False
                (tmp_path / "away").rename(settings.data_dir / "sagehold.db")
                assert (await client.get("/admin/v1/keys")).status_code == 200
