"""/admin/v1: accounts, credits, keys, reports, and that all of it is written down."""

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from anyio import create_task_group

from server.accounts.ledger.ledger import PAGE
from server.accounts.ledger.terms import Line, Use
from server.core import Usage

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio


def answered(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return json.loads(answer.content, parse_float=Decimal)


def refused(answer: httpx.Response, status: int = 400) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


# ---------------------------------------------------------------- accounts and credits


async def test_an_account_is_made_found_and_listed(office: "Office") -> None:
    limits = {"requests_per_minute": 60, "concurrent_requests": 4}
    body = {"name": "team", "credits": "12.000000001", "limits": limits}
    made = answered(await office.admin.post("/admin/v1/accounts", json=body))
    assert made["id"].startswith("acct_")
    assert (made["name"], made["metered"], made["held"]) == ("team", True, 0)
    assert made["balance"] == made["available"] == Decimal("12.000000001")
    assert made["limits"] == {**limits, "tokens_per_minute": None}
    for name in (made["id"], "team"):
        assert answered(await office.admin.get(f"/admin/v1/accounts/{name}")) == made
    listing = answered(await office.admin.get("/admin/v1/accounts"))
    assert listing["object"] == "list"
    assert [account["name"] for account in listing["data"]] == ["default", "team"]
    assert listing["data"][1] == made


async def test_credits_are_exact_as_number_and_as_string(office: "Office") -> None:
    account = answered(await office.admin.post("/admin/v1/accounts", json={"name": "team"}))
    url = f"/admin/v1/accounts/{account['id']}/credits"
    # A double can't hold this many digits.
    answer = await office.admin.post(url, content=b'{"credits": 900000000.123456789, "note": "May"}')
    assert answer.content.startswith(b'{"account":"' + account["id"].encode() + b'","balance":900000000.123456789,')
    balance = answered(await office.admin.post(url, json={"credits": "-900000000.123456788"}))["balance"]
    assert balance == Decimal("0.000000001")


async def test_a_grant_with_a_reference_counts_once(office: "Office") -> None:
    answered(await office.admin.post("/admin/v1/accounts", json={"name": "team"}))
    grant = {"credits": 5, "note": "May", "reference": "invoice-7"}
    for _ in range(3):
        assert answered(await office.admin.post("/admin/v1/accounts/team/credits", json=grant))["balance"] == 5
    again = await office.admin.post("/admin/v1/accounts/team/credits", json={**grant, "credits": 6})
    assert refused(again)["param"] == "reference"


WRONG_GRANTS: list[tuple[bytes, str | None]] = [
    (b'{"credits": 0}', "credits"),
    (b'{"credits": 1e-10}', "credits"),
    (b'{"credits": 1e400000}', None),
    (b'{"credits": "1e1000000000"}', "credits"),
    (b'{"credits": "-1e1000000000"}', "credits"),
    (b'{"credits": "1e-1000000000"}', "credits"),
    (b'{"credits": "sNaN"}', "credits"),
    (b'{"credits": -1}', "credits"),
    (b'{"credits": "NaN"}', "credits"),
    (b'{"credits": true}', "credits"),
    (b'{"credits": [1]}', "credits"),
    (b'{"note": "nothing"}', "credits"),
    (b'{"credits": 1, "reference": ""}', "reference"),
    (b'{"credits": 1, "reference": "two words"}', "reference"),
    (b'{"credits": 1, "note": "' + b"x" * 257 + b'"}', "note"),
    (b'{"credits": 1, "amount": 1}', "amount"),
    (b'{"credits": 1e99999999999999999999999}', None),
    (b'{"credits": ' + b"1" * 5000 + b"}", None),
    (b'{"credits": ' + b"[" * 1000 + b"]" * 1000 + b"}", None),
    (b'{"credits": NaN}', None),
    (b"\xff", None),
]


async def test_wrong_grants_change_nothing(office: "Office") -> None:
    answered(await office.admin.post("/admin/v1/accounts", json={"name": "team"}))
    for body, param in WRONG_GRANTS:
        error = refused(await office.admin.post("/admin/v1/accounts/team/credits", content=body))
        assert (error["type"], error["param"]) == ("invalid_request_error", param), body[:40]
    assert [entry async for entry in office.administration.ledger.entries()] == []


WRONG_ACCOUNTS: list[tuple[dict[str, Any], str]] = [
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": "default"}, "name"),
    ({"name": "x", "credits": -1}, "credits"),
    ({"name": "x", "credits": "1e1000000000"}, "credits"),
    ({"name": "x", "limits": {"requests_per_minute": -1}}, "limits.requests_per_minute"),
    ({"name": "x", "limits": {"request_per_minute": 1}}, "limits.request_per_minute"),
    ({"name": "x", "metred": False}, "metred"),
]


async def test_wrong_accounts_are_not_made(office: "Office") -> None:
    for body, param in WRONG_ACCOUNTS:
        assert refused(await office.admin.post("/admin/v1/accounts", json=body))["param"] == param
    assert [account.name for account in await office.administration.accounts.list_accounts()] == ["default"]


async def test_an_account_changes_and_its_keys_with_it(office: "Office") -> None:
    answered(await office.admin.post("/admin/v1/accounts", json={"name": "team", "limits": {"requests_per_minute": 5}}))
    key = await office.key("inference", account="team")
    async with office.fake.client(key=key) as client:
        assert answered(await client.get("/v1/credits"))["metered"]
        change = {"metered": False, "limits": {"tokens_per_minute": 9}}
        changed = answered(await office.admin.patch("/admin/v1/accounts/team", json=change))
        assert not changed["metered"]
        assert changed["limits"] == {"requests_per_minute": 5, "tokens_per_minute": 9, "concurrent_requests": None}
        assert not answered(await client.get("/v1/credits"))["metered"]
    lifted = await office.admin.patch("/admin/v1/accounts/team", json={"limits": {"requests_per_minute": None}})
    assert answered(lifted)["limits"]["requests_per_minute"] is None
    assert refused(await office.admin.patch("/admin/v1/accounts/nobody", json={}), 404)


# ---------------------------------------------------------------- keys


async def test_a_key_is_shown_once_works_and_ends_at_once(office: "Office") -> None:
    answered(await office.admin.post("/admin/v1/accounts", json={"name": "team"}))
    body = {
        "account": "team",
        "name": "laptop",
        "models": ["fake-chat"],
        "expires_at": "2999-01-31T00:00:00Z",
        "limits": {"requests_per_minute": 7},
    }
    made = answered(await office.admin.post("/admin/v1/keys", json=body))
    assert made["key"].startswith(made["prefix"])
    assert (made["scopes"], made["state"], made["limits"]["requests_per_minute"]) == (["inference"], "active", 7)
    listed = answered(await office.admin.get("/admin/v1/keys", params={"account": "team"}))["data"]
    assert listed == [{name: value for name, value in made.items() if name not in ("key", "warnings")}]
    async with office.fake.client(key=made["key"]) as client:
        models = (await client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in models] == ["fake-chat"]
        revoked = answered(await office.admin.delete(f"/admin/v1/keys/{made['id']}"))
        assert revoked["state"] == "revoked"
        assert (await client.get("/v1/models")).status_code == 401
    assert len(answered(await office.admin.get("/admin/v1/keys"))["data"]) == 2


WRONG_KEYS: list[tuple[dict[str, Any], str]] = [
    ({}, "account"),
    ({"account": "default", "scopes": []}, "scopes"),
    ({"account": "default", "scopes": ["root"]}, "scopes"),
    ({"account": "default", "expires_at": "2000-01-01T00:00:00Z"}, "expires_at"),
    ({"account": "default", "expires_at": "2999-01-01T00:00:00"}, "expires_at"),
    ({"account": "default", "expires_at": "9999-12-31T23:59:59.999999-14:00"}, "expires_at"),
    ({"account": "default", "expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
    ({"account": "default", "models": ["two words"]}, "models"),
    ({"account": "default", "name": "x" * 65}, "name"),
]


async def test_wrong_keys_are_not_made(office: "Office") -> None:
    for body, param in WRONG_KEYS:
        assert refused(await office.admin.post("/admin/v1/keys", json=body))["param"] == param
    assert len(await office.administration.accounts.list_keys()) == 1


async def test_what_is_not_there_is_404(office: "Office") -> None:
    assert refused(await office.admin.post("/admin/v1/keys", json={"account": "nobody"}), 404)["param"] == "account"
    assert refused(await office.admin.get("/admin/v1/accounts/nobody"), 404)
    assert refused(await office.admin.post("/admin/v1/accounts/nobody/credits", json={"credits": 1}), 404)
    assert refused(await office.admin.get("/admin/v1/keys?account=nobody"), 404)
    assert refused(await office.admin.get("/admin/v1/ledger?account=nobody"), 404)
    assert refused(await office.admin.get("/admin/v1/usage?account=nobody"), 404)
    key = await office.key("inference")
    assert refused(await office.admin.delete("/admin/v1/keys/key_nothing"), 404)
    assert refused(await office.admin.delete(f"/admin/v1/keys/{key}"), 404)  # by its id only


# ---------------------------------------------------------------- reports


async def work(office: "Office", account: str, key_name: str, *, times: int = 1) -> None:
    """Requests of 30 + 5 tokens that cost 0.35 each."""
    new = await office.administration.accounts.create_key(account=account, name=key_name)
    caller = await office.administration.accounts.authenticate(new.key)
    assert caller is not None
    for number in range(times):
        hold = await office.administration.ledger.hold(caller, f"{new.record.id}-{number}", Decimal(1))
        use = Use("gpt-4o", "tiny", "chat", Usage(prompt_tokens=30, completion_tokens=5))
        await office.administration.ledger.settle(hold, [Line("answer", Decimal("0.35"))], use)


async def test_usage_is_summed_and_filtered(office: "Office") -> None:
    for name in ("red", "blue"):
        answered(await office.admin.post("/admin/v1/accounts", json={"name": name, "credits": 10}))
    await work(office, "red", "one", times=2)
    await work(office, "blue", "=two")
    usage = "/admin/v1/usage"
    [total] = answered(await office.admin.get(usage))["data"]
    assert (total["requests"], total["prompt_tokens"], total["cost"]) == (3, 90, Decimal("1.05"))
    by_account = answered(await office.admin.get(usage, params={"by": "account,day"}))["data"]
    assert {row["account_name"]: row["cost"] for row in by_account} == {"red": Decimal("0.7"), "blue": Decimal("0.35")}
    day = by_account[0]["day"]
    [blue] = answered(await office.admin.get(usage, params={"account": "blue", "since": day, "until": day}))["data"]
    assert blue["requests"] == 1
    assert answered(await office.admin.get(usage, params={"by": "model", "until": "2000-01-01"}))["data"] == []
    table = await office.admin.get(usage, params={"by": "key,model", "format": "csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert {(row["key_name"], row["model"], row["cost"]) for row in rows} == {
        ("one", "gpt-4o", "0.7"),
        ("'=two", "gpt-4o", "0.35"),
    }


WRONG_QUESTIONS = [
    ("usage?by=weather", "by"),
    ("usage?since=yesterday", "since"),
    ("usage?since=2027-02-01&until=2027-01-01", "until"),
    ("usage?format=xml", "format"),
    ("ledger?format=xml", "format"),
    ("ledger?after=-1", "after"),
    ("ledger?kind=grant,gift", "kind"),
    ("ledger?order=newest", "order"),
    ("ledger?limit=0", "limit"),
    ("audit?limit=0", "limit"),
    ("audit?before=x", "before"),
]


async def test_wrong_questions_are_400_with_param(office: "Office") -> None:
    for query, param in WRONG_QUESTIONS:
        assert refused(await office.admin.get(f"/admin/v1/{query}"))["param"] == param


async def test_the_ledger_is_exported_whole_and_onwards(office: "Office") -> None:
    for name in ("red", "blue"):
        answered(await office.admin.post("/admin/v1/accounts", json={"name": name, "credits": 10}))
    await work(office, "red", "one")
    exported = await office.admin.get("/admin/v1/ledger", params={"account": "red", "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert [(row["kind"], row["amount"], row["note"]) for row in rows] == [
        ("grant", "10", "first credits"),
        ("hold", "-1", ""),
        ("release", "1", "settled"),
        ("charge", "-0.35", "answer"),
    ]
    everything = answered(await office.admin.get("/admin/v1/ledger"))["data"]
    assert len(everything) == 5
    assert sum(row["amount"] for row in everything) == Decimal("19.65")
    rest = answered(await office.admin.get("/admin/v1/ledger", params={"after": everything[2]["id"]}))["data"]
    assert rest == everything[3:]
    assert answered(await office.admin.get("/admin/v1/ledger", params={"after": everything[-1]["id"]}))["data"] == []


async def test_the_ledger_is_read_by_pages_from_its_end_and_by_kind(office: "Office") -> None:
    for name in ("red", "blue"):
        answered(await office.admin.post("/admin/v1/accounts", json={"name": name, "credits": 10}))
    await work(office, "red", "one", times=2)

    async def page(**parameters: str | int) -> list[Any]:
        rows: list[Any] = answered(await office.admin.get("/admin/v1/ledger", params=parameters))["data"]
        return rows

    newest = await page(account="red", order="desc")
    assert newest == (await page(account="red"))[::-1]
    assert len(newest) == 7
    first = await page(account="red", order="desc", limit=3)
    rest = await page(account="red", order="desc", after=first[-1]["id"])
    assert [*first, *rest] == newest
    assert await page(account="red", limit=2) == newest[:-3:-1]
    money = await page(account="red", kind="grant,charge", order="desc")
    assert [row["kind"] for row in money] == ["charge", "charge", "grant"]
    assert await page(kind="hold", limit=5) == [row for row in newest[::-1] if row["kind"] == "hold"]
    assert await page(account="red", order="desc", after=newest[-1]["id"]) == []


async def test_a_long_ledger_is_streamed(office: "Office") -> None:
    account, _ = await office.administration.create_account("team")
    await office.administration.ledger.grant(account.id, Decimal(PAGE))
    new = await office.administration.accounts.create_key(account="team")
    caller = await office.administration.accounts.authenticate(new.key)
    assert caller is not None
    async with create_task_group() as tasks:
        for number in range(PAGE):
            tasks.start_soon(office.administration.ledger.hold, caller, f"req_{number}", Decimal(1))
    authorization = office.admin.headers["authorization"]
    async with office.fake.exchange("GET", "/admin/v1/ledger", headers={"authorization": authorization}) as exchange:
        assert await exchange.start() == 200
        pieces = []
        while (piece := await exchange.chunk()) is not None:
            pieces.append(piece)
    assert len(pieces) > 3
    assert len(json.loads(b"".join(pieces))["data"]) == PAGE + 1
    # A limit that is more than the database is asked for at once, and less than there is.
    for order in ("asc", "desc"):
        asked = {"limit": PAGE + 1, "kind": "grant,hold", "order": order}
        limited = answered(await office.admin.get("/admin/v1/ledger", params=asked))["data"]
        assert len({row["id"] for row in limited}) == PAGE + 1
        assert limited == sorted(limited, key=lambda row: row["id"], reverse=order == "desc")


async def test_every_act_is_written_down_with_its_actor(office: "Office") -> None:
    answered(await office.admin.post("/admin/v1/accounts", json={"name": "team", "credits": 1}))
    answered(await office.admin.patch("/admin/v1/accounts/team", json={"metered": False}))
    answered(await office.admin.post("/admin/v1/accounts/team/credits", json={"credits": 2, "note": "May"}))
    key = answered(await office.admin.post("/admin/v1/keys", json={"account": "team"}))
    answered(await office.admin.delete(f"/admin/v1/keys/{key['id']}"))
    page = answered(await office.admin.get("/admin/v1/audit", params={"limit": 4}))
    assert page["has_more"]
    rest = answered(await office.admin.get("/admin/v1/audit", params={"before": page["data"][-1]["id"]}))
    assert not rest["has_more"]
    acts = page["data"] + rest["data"]
    assert [act["action"] for act in acts] == [
        "key.revoke",
        "key.create",
        "credits.grant",
        "account.change",
        "credits.grant",
        "account.create",
        "key.create",
        "account.create",
    ]
    assert {act["actor"] for act in acts[:-2]} == {office.admin_id}
    assert [(act["actor"], act["details"]["name"]) for act in acts[-2:]] == [("local", "admin"), ("local", "default")]
    assert acts[2]["details"]["note"] == "May"
    assert key["key"] not in json.dumps(acts, default=str)
