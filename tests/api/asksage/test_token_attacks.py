"""Tokens that should open less than they ask for, and guesses at keys and addresses."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from server.accounts.administration import Administration
from server.api.failed_keys import FailedKeys
from server.settings import Settings
from server.testing import FakeServer

pytestmark = pytest.mark.anyio
EXCHANGE = "/user/get-token-with-api-key"


class Door:
    """A server with real accounts; slept: how long wrong keys were made to wait."""

    def __init__(self, administration: Administration, http: httpx.AsyncClient, slept: list[float]) -> None:
        self.administration, self.http, self.slept = administration, http, slept

    async def token(self, key: str) -> dict[str, str]:
        told = (await self.http.post(EXCHANGE, json={"email": "ann@example.org", "api_key": key})).json()
        return {"x-access-tokens": told["response"]["access_token"]}


@pytest.fixture
async def door(settings: Settings) -> AsyncIterator[Door]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with Administration.open(settings) as administration:
        accounts = administration.accounts
        await accounts.create_account("ann", metered=False, email="ann@example.org")
        await accounts.create_account("bob", metered=False, email="bob@example.org")
        failed = FailedKeys(sleep=sleep)
        async with FakeServer(settings, accounts=accounts, failed_keys=failed, knowledge=accounts.database) as fake:
            fake.app.state.services = replace(
                fake.services, ledger=administration.ledger, reports=administration.reports
            )
            async with fake.client(key=None) as http:
                yield Door(administration, http, slept)


async def test_whoever_guesses_learns_no_address_and_waits(door: Door) -> None:
    key = (await door.administration.accounts.create_key(account="ann")).key
    guesses = [
        ("ann@example.org", "sk-sage-" + "x" * 43),
        ("bob@example.org", "sk-sage-" + "x" * 43),
        ("nobody@example.org", "sk-sage-" + "x" * 43),
        (None, "x"),
        ("bob@example.org", key),
        ("nobody@example.org", key),
        ("", key),
        ("ann@example.org", f"{key}x"),
        ("ann@example.org", "eyJ" + "x" * 60_000),
    ]
    answers = [await door.http.post(EXCHANGE, json={"email": mail, "api_key": one}) for mail, one in guesses]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["error"] == "invalid_credentials"
    assert len(door.slept) == len(guesses) - 5, "five are free"
    assert door.slept == sorted(door.slept)


async def test_a_token_opens_no_more_than_its_key(door: Door) -> None:
    accounts = door.administration.accounts
    few = await door.token((await accounts.create_key(account="ann", models={"fake-embedding"})).key)
    told = (await door.http.post("/server/query", json={"message": "x"}, headers=few)).json()
    assert "fake-chat" not in told["message"]
    assert told["type"] == "teach"
    assert (await door.http.post("/server/get-models", headers=few)).json()["response"] == ["fake-embedding"]
    made = (await door.http.post("/user/user-api-key", json={"name": "more"}, headers=few)).json()
    caller = await accounts.authenticate(made["response"])
    assert caller is not None
    assert (caller.models, caller.scopes) == ({"fake-embedding"}, {"inference"})
    usage = await door.token((await accounts.create_key(account="ann", scopes=["usage"])).key)
    for path in ("/server/query", "/server/get-datasets", "/user/get-user-logs", "/user/user-api-key"):
        told = (await door.http.post(path, json={"message": "x", "name": "x"}, headers=usage)).json()
        assert told["status"] == 403, path
    for headers in (few, usage):
        told = (await door.http.post("/user/admin-get-all-users-with-tokens", headers=headers)).json()
        assert told["status"] == 403


async def test_a_closed_accounts_token_is_refused_and_its_key_gets_none(door: Door) -> None:
    accounts = door.administration.accounts
    key = (await accounts.create_key(account="ann")).key
    token = await door.token(key)
    await accounts.change_account("ann", closed=True)
    told = (await door.http.post("/server/get-datasets", headers=token)).json()
    assert told["status"] >= 400
    assert (await door.http.post(EXCHANGE, json={"email": "ann@example.org", "api_key": key})).json()["status"] >= 400
