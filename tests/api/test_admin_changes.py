"""/admin/v1: accounts are renamed, weighted, closed and opened again, keys are changed, grants say what they did."""

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio

CHAT = {"model": "fake-chat", "messages": [{"role": "user", "content": "hi"}]}


def answered(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def test_a_closed_account_is_told_to_its_keys_and_opens_again(office: "Office") -> None:
    made = answered(await office.admin.post("/admin/v1/accounts", json={"name": "team", "weight": 4}))
    assert (made["weight"], made["closed_at"]) == (4, None)
    answered(await office.admin.post("/admin/v1/accounts/team/credits", json={"credits": 5}))
    async with office.fake.client(key=await office.key("inference", account="team")) as client:
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
        closed = answered(await office.admin.patch("/admin/v1/accounts/team", json={"closed": True}))
        assert closed["closed_at"] is not None
        assert closed["balance"] == 5
        refused = await client.post("/v1/chat/completions", json=CHAT)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "account_deactivated")
        assert error["message"].startswith("This API key belongs to an account that is closed.")
        [key] = answered(await office.admin.get("/admin/v1/keys", params={"account": "team"}))["data"]
        assert key["state"] == "closed"
        answered(await office.admin.patch("/admin/v1/accounts/team", json={"closed": False}))
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
    acts = answered(await office.admin.get("/admin/v1/audit"))["data"]
    assert [act["action"] for act in acts[:2]] == ["account.reopen", "account.close"]


async def test_an_admin_key_does_not_lock_itself_out(office: "Office") -> None:
    refused = await office.admin.patch("/admin/v1/accounts/default", json={"closed": True})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "closed")
    assert answered(await office.admin.get("/admin/v1/accounts/default"))["closed_at"] is None


async def test_an_account_is_renamed(office: "Office") -> None:
    made = answered(await office.admin.post("/admin/v1/accounts", json={"name": "team"}))
    renamed = answered(await office.admin.patch("/admin/v1/accounts/team", json={"name": "squad"}))
    assert renamed == {**made, "name": "squad"}
    assert (await office.admin.get("/admin/v1/accounts/team")).status_code == 404


WRONG_ACCOUNTS = [
    ({"name": "default"}, "name"),
    ({"name": ""}, "name"),
    ({"weight": 0}, "weight"),
    ({"weight": 101}, "weight"),
    ({"closed": "perhaps"}, "closed"),
    ({"close": True}, "close"),
]


async def test_wrong_changes_of_accounts_are_refused_by_name(office: "Office") -> None:
    made = answered(await office.admin.post("/admin/v1/accounts", json={"name": "team"}))
    for body, param in WRONG_ACCOUNTS:
        refused = await office.admin.patch("/admin/v1/accounts/team", json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param), body
    assert answered(await office.admin.get("/admin/v1/accounts/team")) == made


async def test_a_key_changes_what_is_named(office: "Office") -> None:
    body = {"account": "default", "name": "laptop", "models": ["fake-chat"], "limits": {"requests_per_minute": 7}}
    made = answered(await office.admin.post("/admin/v1/keys", json=body))
    assert (made["priority"], made["warnings"]) == ("normal", [])
    url = f"/admin/v1/keys/{made['id']}"
    async with office.fake.client(key=made["key"]) as client:
        assert len((await client.get("/v1/models")).json()["data"]) == 1
        change = {"priority": "background", "models": "all", "limits": {"tokens_per_minute": 9}}
        changed = answered(await office.admin.patch(url, json=change))
        assert len((await client.get("/v1/models")).json()["data"]) > 1
    assert (changed["name"], changed["models"], changed["priority"]) == ("laptop", None, "background")
    assert changed["limits"] == {"requests_per_minute": 7, "tokens_per_minute": 9, "concurrent_requests": None}
    found = answered(await office.admin.get(url))
    assert {**found, "warnings": [], "last_used_at": None} == {**changed, "last_used_at": None}
    act = answered(await office.admin.get("/admin/v1/audit", params={"limit": 1}))["data"][0]
    assert (act["actor"], act["action"], act["target"]) == (office.admin_id, "key.change", made["id"])
    assert act["details"]["after"] == {"priority": "background", "models": None, "limits": {"tokens_per_minute": 9}}
    assert made["key"] not in json.dumps(act)
    answered(await office.admin.patch(url, json={"expires_at": "2999-01-31T00:00:00Z"}))
    assert answered(await office.admin.patch(url, json={"expires_at": "never"}))["expires_at"] is None


WRONG_KEYS: list[tuple[dict[str, Any], str]] = [
    ({"priority": "urgent"}, "priority"),
    ({"scopes": []}, "scopes"),
    ({"models": "every"}, "models"),
    ({"expires_at": "soon"}, "expires_at"),
    ({"expires_at": "2000-01-01T00:00:00Z"}, "expires_at"),
    ({"limits": {"requests": 1}}, "limits.requests"),
    ({"account": "other"}, "account"),
]


async def test_wrong_changes_of_keys_are_refused_by_name(office: "Office") -> None:
    made = answered(await office.admin.post("/admin/v1/keys", json={"account": "default"}))
    for body, param in WRONG_KEYS:
        refused = await office.admin.patch(f"/admin/v1/keys/{made['id']}", json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param), body
    for url in ("/admin/v1/keys/key_nothing", f"/admin/v1/keys/{made['key']}"):
        assert (await office.admin.patch(url, json={"name": "x"})).status_code == 404
        assert (await office.admin.get(url)).status_code == 404
    answered(await office.admin.delete(f"/admin/v1/keys/{made['id']}"))
    refused = await office.admin.patch(f"/admin/v1/keys/{made['id']}", json={"name": "x"})
    assert (refused.status_code, "for good" in refused.text) == (400, True)


async def test_names_that_nobody_serves_are_warned_of_and_stand(office: "Office") -> None:
    body = {"account": "default", "models": ["fake-chat", "fake-chta", "later/on"]}
    made = answered(await office.admin.post("/admin/v1/keys", json=body))
    assert made["models"] == ["fake-chat", "fake-chta", "later/on"]
    assert made["warnings"] == [
        "no model is served by the name fake-chta now; did you mean fake-chat?",
        "no model is served by the name later/on now",
    ]
    url = f"/admin/v1/keys/{made['id']}"
    assert answered(await office.admin.patch(url, json={"name": "x"}))["warnings"] == []
    assert len(answered(await office.admin.patch(url, json={"models": ["nope"]}))["warnings"]) == 1


async def test_a_grant_that_was_counted_before_says_so(office: "Office") -> None:
    answered(await office.admin.post("/admin/v1/accounts", json={"name": "team"}))
    grant = {"credits": 5, "reference": "invoice-7"}
    told = [answered(await office.admin.post("/admin/v1/accounts/team/credits", json=grant)) for _ in range(2)]
    assert [(one["already_granted"], one["balance"]) for one in told] == [(False, 5), (True, 5)]
