"""GET /v1/key, /v1/credits and /v1/usage: what a caller may know of itself."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.core.caller import Limits
from server.settings import Settings
from server.testing import FakeServer

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio


async def get(client: httpx.AsyncClient, url: str) -> Any:
    answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.content, parse_float=Decimal)


@pytest.mark.parametrize(
    ("scopes", "shown"),
    [
        (["inference"], ["inference"]),
        (["usage"], ["usage"]),
        (["admin"], ["admin", "usage"]),
        (["inference", "usage"], ["inference", "usage"]),
        (["admin", "inference"], ["admin", "inference", "usage"]),
    ],
)
async def test_a_key_says_what_it_may_do(office: "Office", scopes: list[str], shown: list[str]) -> None:
    made = await office.administration.accounts.create_key(
        name="ann's", account="default", scopes=scopes, models=["fake-chat", "everything"]
    )
    async with office.fake.client(key=made.key) as client:
        row = await get(client, "/v1/key")
    assert (row["id"], row["name"], row["scopes"]) == (made.record.id, "ann's", shown)
    assert row["account"]["name"] == "default"
    assert row["models"] == ["everything", "fake-chat"]
    assert (row["priority"], row["expires_at"]) == ("normal", None)
    assert made.key not in str(row)


async def test_a_keys_limits_and_expiry_are_shown(office: "Office") -> None:
    expires = datetime(2099, 1, 2, 3, 4, tzinfo=UTC)
    made = await office.administration.accounts.create_key(
        scopes=["inference"], expires_at=expires, limits=Limits(requests_per_minute=7)
    )
    async with office.fake.client(key=made.key) as client:
        row = await get(client, "/v1/key")
    assert row["limits"]["requests_per_minute"] == 7
    assert datetime.fromisoformat(row["expires_at"]) == expires
    assert row["models"] is None


@pytest.mark.parametrize("key", [None, "sk-sage-wrong"])
async def test_who_has_no_key_learns_nothing(office: "Office", key: str | None) -> None:
    async with office.fake.client(key=key) as client:
        answer = await client.get("/v1/key")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == (key and "invalid_api_key")


async def test_a_revoked_and_an_expired_key_are_wrong_ones(office: "Office") -> None:
    accounts = office.administration.accounts
    made = await accounts.create_key(scopes=["admin"])
    await accounts.revoke_key(made.record.id)
    async with office.fake.client(key=made.key) as client:
        assert (await client.get("/v1/key")).status_code == 401


async def test_a_token_of_the_ask_sage_api_says_what_its_key_says(office: "Office") -> None:
    made = await office.administration.accounts.create_key(name="sage", account="default", scopes=["inference"])
    async with office.fake.client(key=None) as client:
        body = {"api_key": made.key, "email": "default"}
        token = (await client.post("/user/get-token-with-api-key", json=body)).json()["response"]["access_token"]
    async with office.fake.client(key=token) as client:
        row = await get(client, "/v1/key")
    assert (row["id"], row["name"], row["scopes"]) == (made.record.id, "sage", ["inference"])


async def test_without_auth_everyone_may_do_the_same_and_a_key_still_says_what_it_may(
    settings: Settings, office: "Office"
) -> None:
    admin = await office.key("admin")
    async with FakeServer(settings.model_copy(update={"auth": "off"}), accounts=office.administration.accounts) as fake:
        fake.app.state.services = replace(office.fake.app.state.services, settings=fake.services.settings)
        async with fake.client(key=None) as client:
            row = await get(client, "/v1/key")
            assert (row["id"], row["account"], row["scopes"]) == (None, None, ["inference", "usage"])
        async with fake.client(key=admin) as client:
            assert (await get(client, "/v1/key"))["scopes"] == ["admin", "usage"]
        async with fake.client(key="sk-sage-wrong") as client:
            assert (await client.get("/v1/key")).status_code == 401


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
