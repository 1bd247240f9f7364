"""The attack on the doors, in small: some of its attempts against a server over fakes, and that it sees an open one."""

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from scripts.attacks.doors import Attempt, doors, knock, spellings, tries, wrong_keys
from server.accounts.tables import KeyRow
from server.testing import KEY, FakeServer
from tests.api.listening import listening

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio
EACH = 127
"""Of so many attempts one is made; a prime, so that every key and every spelling has its turn."""


async def test_nobody_is_let_in(office: "Office") -> None:
    async def passed(until: datetime) -> None:
        """Instead of waiting: what expires then, has expired already."""
        long_ago = until - timedelta(days=1)
        async with office.administration.accounts.database.write() as session:
            await session.execute(update(KeyRow).where(KeyRow.expires_at.is_not(None)).values(expires_at=long_ago))

    keys = await wrong_keys(office.admin, passed)
    document = (await office.admin.get("/openapi.json")).json()
    before = await office.administration.reports.acts(1000)
    every = list(tries(document, keys))
    some = every[::EACH]
    assert len({kind for _, kind in some}) == len(keys.texts)
    answers: Counter[int] = Counter()
    async with listening(office.fake) as client:
        for attempt, kind in some:
            status = await knock(str(client.base_url), attempt, keys.texts[kind])
            assert 400 <= status < 500 or attempt.target == "/health", (attempt, kind, status)
            answers[status] += 1
    assert answers[401] > answers[403] > 0
    assert await office.administration.reports.acts(1000) == before


async def test_a_door_has_two_dozen_spellings_and_the_key_opens_it(fake: FakeServer) -> None:
    async with listening(fake) as client:
        document = (await client.get("/openapi.json")).json()
        found = {(door.method, door.path): door for door in doors(document)}
        assert len(found) > 30
        assert ("GET", "/health") not in found
        door = found["GET", "/v1/models"]
        ways = list(spellings(door))
        assert len(set(ways)) == len(ways) > 25
        opened = [way.target for way in ways if await knock(str(client.base_url), way, KEY) == 200]
        assert {"/v1/models", "/v1/models/", "//v1/models", "/server/v1/models", "/models"} <= set(opened)
        assert await knock(str(client.base_url), Attempt("GET", "/v1/models", ()), "") == 401
