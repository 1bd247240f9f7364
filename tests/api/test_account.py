"""GET /v1/credits and /v1/usage: what a caller may know of itself."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.settings import Settings
from server.testing import FakeServer

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio


async def get(client: httpx.AsyncClient, url: str) -> Any:
    answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.content, parse_float=Decimal)


async def test_credits_tell_balance_and_what_is_held(office: "Office") -> None:
    account, _ = await office.administration.create_account("team", credits=Decimal("10.000000001"))
    key = await office.key("inference", account="team")
    caller = await office.administration.accounts.authenticate(key)
    assert caller is not None
    await office.administration.ledger.hold(caller, "req_1", Decimal("2.5"))
    async with office.fake.client(key=key) as client:
        assert (await client.get("/server/v1/credits/")).content == (
            b'{"account":"%b","balance":10.000000001,"held":2.5,"available":7.500000001,"metered":true}'
            % account.id.encode()
        )


async def test_an_unmetered_account_says_so(office: "Office") -> None:
    async with office.fake.client(key=await office.key("inference")) as client:
        row = await get(client, "/v1/credits")
        assert (row["balance"], row["held"], row["metered"]) == (0, 0, False)


async def test_a_key_sees_its_own_usage_and_a_usage_key_its_accounts(office: "Office") -> None:
    await office.administration.create_account("team")
    chat = {"model": "fake-chat", "messages": [{"role": "user", "content": "hello"}]}
    keys = [await office.key("inference", account="team") for _ in range(2)]
    stranger = await office.key("inference")
    for key in (*keys, keys[1], stranger):
        async with office.fake.client(key=key) as client:
            assert (await client.post("/v1/chat/completions", json=chat)).status_code == 200
    ids = [key.id for key in await office.administration.accounts.list_keys("team")]
    async with office.fake.client(key=keys[1]) as client:
        data = (await get(client, "/v1/usage?by=key,model"))["data"]
        assert [(row["key"], row["model"], row["requests"]) for row in data] == [(ids[1], "fake-chat", 2)]
        assert (await get(client, f"/v1/usage?key={ids[1]}"))["data"][0]["requests"] == 2
        other = await client.get(f"/v1/usage?key={ids[0]}")
        assert (other.status_code, other.json()["error"]["param"]) == (403, "key")
    async with office.fake.client(key=await office.key("usage", account="team")) as client:
        data = (await get(client, "/v1/usage?by=key"))["data"]
        assert {row["key"]: row["requests"] for row in data} == {ids[0]: 1, ids[1]: 2}
        assert (await get(client, f"/v1/usage?key={ids[0]}"))["data"][0]["requests"] == 1
        assert (await client.get("/v1/usage?by=key&format=csv")).text.startswith("key,key_name,requests,")
        assert (await client.get("/v1/usage?by=weather")).json()["error"]["param"] == "by"


async def test_without_auth_nobody_pays(settings: Settings, office: "Office") -> None:
    async with FakeServer(settings.model_copy(update={"auth": "off"})) as fake:
        fake.app.state.services = replace(office.fake.app.state.services, settings=fake.services.settings)
        async with fake.client(key=None) as client:
            assert (await get(client, "/v1/credits"))["metered"] is False
            assert (await get(client, "/v1/usage"))["data"] == []
