"""/v1/batches over fake engines: made, run, listed, ended; to others as if they were not there."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from openai import AsyncOpenAI, NotFoundError

from server.accounts.administration import Administration
from server.accounts.keys.anyone import ensure_anyone
from server.api.access import ANYONE
from server.core import Task
from server.models.config.spec import Price
from server.settings import Settings
from server.testing import FakeServer
from tests.accounts.conftest import migrated_file
from tests.api.filing import refused, uploaded

__all__ = ["migrated_file"]

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
D = Decimal


@dataclass
class Desk:
    """ada, bob: clients of metered accounts with credits; admin: of a key that administers."""

    fake: FakeServer
    administration: Administration
    ada: httpx.AsyncClient
    bob: httpx.AsyncClient
    admin: httpx.AsyncClient
    ada_key: str

    async def ended(self, client: httpx.AsyncClient, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch, once nothing more is to be done of it."""
        async with asyncio.timeout(20):
            while True:
                found = read(await client.get(f"/v1/batches/{batch['id']}"))
                if found["status"] in ("completed", "failed", "expired", "cancelled"):
                    return found
                await asyncio.sleep(0.01)

    async def rows(self, client: httpx.AsyncClient, file_id: str) -> list[dict[str, Any]]:
        content = await client.get(f"/v1/files/{file_id}/content")
        return sorted(map(orjson.loads, content.content.splitlines()), key=lambda row: str(row["custom_id"]))


@pytest.fixture
async def desk(settings: Settings, migrated_file: Path) -> AsyncIterator[Desk]:
    settings.data_dir.mkdir(mode=0o700)
    shutil.copy(migrated_file, settings.data_dir / "sagehold.db")
    async with Administration.open(settings) as administration:
        accounts = administration.accounts
        price = Price(prompt_token=D("0.01"), completion_token=D("0.01"))
        server = FakeServer(
            settings, accounts=accounts, bank=administration.ledger, price=price, knowledge=accounts.database
        )
        async with server as fake:
            fake.services = replace(fake.services, ledger=administration.ledger, reports=administration.reports)
            fake.app.state.services = fake.services
            keys = []
            for name in ("ada", "bob"):
                account = await accounts.create_account(name)
                await administration.ledger.grant(account.id, D(100))
                keys.append((await accounts.create_key(account=name)).key)
            keys.append((await accounts.create_key(scopes=["admin"])).key)
            ada, bob, admin = (fake.client(key=key) for key in keys)
            yield Desk(fake, administration, ada, bob, admin, keys[0])
            for client in (ada, bob, admin):
                await client.aclose()


def read(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def chat(custom_id: str, text: str = "Hello", **body: Any) -> dict[str, Any]:
    said = {"model": "everything", "max_tokens": 8, "messages": [{"role": "user", "content": text}], **body}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": said}


async def made(client: httpx.AsyncClient, *rows: dict[str, Any], **body: Any) -> dict[str, Any]:
    data = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    file = await uploaded(client, data, "in.jsonl", "batch")
    told = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h", **body}
    return read(await client.post("/v1/batches", json=told))


async def test_one_is_answered_as_the_requests_would_be(desk: Desk) -> None:
    bad = chat("c3", temperature=9)
    batch = await made(desk.ada, chat("c1"), chat("c2", "Bye"), bad, metadata={"run": "1"})
    assert batch == {
        "id": batch["id"],
        "object": "batch",
        "endpoint": CHAT,
        "model": None,
        "errors": None,
        "input_file_id": batch["input_file_id"],
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": batch["created_at"],
        "in_progress_at": None,
        "expires_at": batch["created_at"] + 86400,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": None,
        "metadata": {"run": "1"},
        "paused": None,
    }
    done = await desk.ended(desk.ada, batch)
    assert (done["status"], done["model"]) == ("completed", "everything")
    assert done["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    assert done["created_at"] <= done["in_progress_at"] <= done["finalizing_at"] <= done["completed_at"]
    first, second = await desk.rows(desk.ada, done["output_file_id"])
    assert (first["custom_id"], second["custom_id"]) == ("c1", "c2")
    assert first["response"]["status_code"] == 200
    assert first["response"]["body"]["object"] == "chat.completion"
    assert first["error"] is None
    (refusal,) = await desk.rows(desk.ada, done["error_file_id"])
    assert refusal["custom_id"] == "c3"
    assert refusal["response"]["status_code"] == 400
    assert refusal["response"]["body"]["error"]["param"] == "temperature"
    bodies = [first["response"]["body"], second["response"]["body"]]
    tokens = sum(body["usage"]["total_tokens"] for body in bodies)
    assert done["usage"]["total_tokens"] == tokens
    balance = read(await desk.ada.get("/v1/credits"))
    assert D(str(balance["balance"])) == 100 - tokens * D("0.01") / 2, "half the price"
    assert D(str(done["usage"]["credits"])) == tokens * D("0.01") / 2
    files = read(await desk.ada.get("/v1/files", params={"purpose": "batch_output"}))["data"]
    assert {file["filename"] for file in files} == {f"{batch['id']}_output.jsonl", f"{batch['id']}_error.jsonl"}


async def test_the_official_client_reads_all_of_it(desk: Desk) -> None:
    async with AsyncOpenAI(
        api_key=desk.ada_key,
        base_url="http://test/v1",
        max_retries=0,
        http_client=httpx.AsyncClient(transport=httpx.ASGITransport(desk.fake.app)),  # type: ignore[arg-type]
    ) as client:
        data = b"".join(orjson.dumps(chat(f"c{n}")) + b"\n" for n in range(3))
        file = await client.files.create(file=("in.jsonl", data), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"a": "b"},
            output_expires_after={"anchor": "created_at", "seconds": 3600},
        )
        while (found := await client.batches.retrieve(batch.id)).status != "completed":
            assert found.status in ("validating", "in_progress", "finalizing")
            await asyncio.sleep(0.01)
        assert found.request_counts is not None
        assert (found.request_counts.total, found.request_counts.completed) == (3, 3)
        assert found.output_file_id is not None
        output = await client.files.retrieve(found.output_file_id)
        assert output.expires_at is not None
        assert output.expires_at - output.created_at == 3600
        content = await client.files.content(found.output_file_id)
        assert len(content.text.splitlines()) == 3
        assert [one.id async for one in client.batches.list(limit=1)] == [batch.id]
        with pytest.raises(NotFoundError):
            await client.batches.retrieve("batch_" + "0" * 32)


async def test_other_endpoints(desk: Desk) -> None:
    rows = {
        "/v1/completions": {"model": "everything", "prompt": "One", "max_tokens": 4},
        "/v1/embeddings": {"model": "everything", "input": "words"},
        "/v1/responses": {"model": "everything", "input": "Hello", "store": False},
        "/v1/moderations": {"model": "everything", "input": "words"},
        "/v1/images/generations": {"model": "everything", "prompt": "a heart", "response_format": "b64_json"},
    }
    for url, body in rows.items():
        row = {"custom_id": "c1", "method": "POST", "url": url, "body": body}
        batch = await desk.ended(desk.ada, await made(desk.ada, row, endpoint=url))
        assert batch["request_counts"] == {"total": 1, "completed": 1, "failed": 0}, url


async def test_a_wrong_file_is_said_line_by_line(desk: Desk) -> None:
    rows = (chat("c1"), chat("c1"), chat("c3", model="nothing"), chat("c4", stream=True), {"custom_id": "c5"})
    failed = await desk.ended(desk.ada, await made(desk.ada, *rows))
    assert (failed["status"], failed["output_file_id"], failed["errors"]["object"]) == ("failed", None, "list")
    assert [(one["line"], one["code"], one["param"]) for one in failed["errors"]["data"]] == [
        (2, "duplicate_custom_id", "custom_id"),
        (3, "model_not_found", "body.model"),
        (4, "unsupported_parameter", "body.stream"),
        (5, "missing_required_parameter", "method"),
    ]
    assert desk.fake.engines[Task.CHAT].started == 0


async def test_a_model_that_the_key_may_not_use_is_as_good_as_nothing(desk: Desk) -> None:
    key = (await desk.administration.accounts.create_key(account="ada", models=["fake-embedding"])).key
    async with desk.fake.client(key=key) as client:
        failed = await desk.ended(client, await made(client, chat("c1"), chat("c2", model="nothing")))
    messages = [one["message"].replace("everything", "nothing") for one in failed["errors"]["data"]]
    assert len(messages) == 2
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"endpoint": "/v1/audio/speech"}, "endpoint", "invalid_value"),
        ({"completion_window": "1w"}, "completion_window", "invalid_value"),
        ({"completion_window": None}, "completion_window", "missing_required_parameter"),
        ({"input_file_id": 5}, "input_file_id", "invalid_type"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a", "invalid_value"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "invalid_value"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 60}}, "output_expires_after.seconds", None),
        ({"output_expires_after": {"anchor": "now", "seconds": 3600}}, "output_expires_after.anchor", None),
    ],
)
async def test_wrong_bodies(desk: Desk, body: dict[str, Any], param: str, code: str | None) -> None:
    file = await uploaded(desk.ada, b"{}", "in.jsonl", "batch")
    told = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h", **body}
    refused(await desk.ada.post("/v1/batches", json=told), 400, param, code or "invalid_value")
    assert read(await desk.ada.get("/v1/batches"))["data"] == []


async def test_files_that_it_can_t_be_made_of(desk: Desk) -> None:
    his = await uploaded(desk.bob, b"{}", "in.jsonl", "batch")
    picture = await uploaded(desk.ada, b"{}", "in.jsonl", "vision")
    told = {"endpoint": CHAT, "completion_window": "24h"}
    nobodys = "file-" + "0" * 32
    said = [
        refused(await desk.ada.post("/v1/batches", json=told | {"input_file_id": one}), 404, "input_file_id", None)
        for one in (his["id"], nobodys)
    ]
    assert said[0].replace(his["id"], nobodys) == said[1]
    refused(await desk.ada.post("/v1/batches", json=told | {"input_file_id": picture["id"]}), 400, "input_file_id")


async def test_it_is_cancelled_within_a_step(desk: Desk) -> None:
    engine = desk.fake.engines[Task.CHAT]
    engine.gate.close()
    batch = await made(desk.ada, *(chat(f"c{n}") for n in range(20)))
    await engine.gate.until_waiting(2)
    cancelling = read(await desk.ada.post(f"/v1/batches/{batch['id']}/cancel"))
    assert cancelling["status"] == "cancelling"
    assert cancelling["cancelling_at"] >= batch["created_at"]
    done = await desk.ended(desk.ada, batch)
    assert (done["status"], done["request_counts"]) == ("cancelled", {"total": 20, "completed": 0, "failed": 0})
    await engine.until_idle()
    assert engine.started == engine.cut_short
    assert D(str(read(await desk.ada.get("/v1/credits"))["available"])) == 100
    again = await desk.ada.post(f"/v1/batches/{batch['id']}/cancel", json={})
    assert read(again)["status"] == "cancelled"
    engine.gate.open()


async def test_it_rests_and_goes_on(desk: Desk) -> None:
    batch = await made(desk.ada, *(chat(f"c{n}") for n in range(5)))
    paused = read(await desk.ada.post(f"/v1/batches/{batch['id']}/pause"))
    assert paused["paused"] == {
        "reason": "user",
        "message": "Paused. It goes on when it is resumed.",
        "since": paused["paused"]["since"],
    }
    resumed = read(await desk.ada.post(f"/v1/batches/{batch['id']}/resume"))
    assert resumed["paused"] is None
    done = await desk.ended(desk.ada, batch)
    assert done["request_counts"] == {"total": 5, "completed": 5, "failed": 0}
    refused(await desk.ada.post(f"/v1/batches/{batch['id']}/pause"), 400, None)
    refused(await desk.ada.post(f"/v1/batches/{batch['id']}/cancel"), 400, None)


async def chunked(*pieces: bytes) -> AsyncIterator[bytes]:
    """A body whose length is not announced."""
    for piece in pieces:
        yield piece


async def test_an_act_needs_no_body_whatever_its_type(desk: Desk) -> None:
    desk.fake.engines[Task.CHAT].gate.close()
    batch = await made(desk.ada, chat("c1"))
    for act in ("pause", "resume", "cancel"):
        url = f"/v1/batches/{batch['id']}/{act}"
        for kind in ("application/octet-stream", "text/plain", "application/x-www-form-urlencoded"):
            headers = {"content-type": kind}
            for content in (b"x=1", chunked(b"x=1")):
                answer = await desk.ada.post(url, content=content, headers=headers)
                refused(answer, 415, None, "unsupported_media_type")
            for content in (b"", chunked()):
                assert read(await desk.ada.post(url, content=content, headers=headers))["id"] == batch["id"]


async def test_without_credits_it_is_paused_and_a_grant_lets_it_go_on(desk: Desk) -> None:
    account = await desk.administration.accounts.find_account("ada")
    await desk.administration.ledger.grant(account.id, D("-99.99"))
    batch = await made(desk.ada, *(chat(f"c{n}") for n in range(5)))
    async with asyncio.timeout(20):
        while (found := read(await desk.ada.get(f"/v1/batches/{batch['id']}")))["paused"] is None:
            await asyncio.sleep(0.01)
    assert (found["status"], found["paused"]["reason"]) == ("in_progress", "insufficient_credits")
    assert "credits" in found["paused"]["message"]
    await desk.administration.ledger.grant(account.id, D(50))
    read(await desk.ada.post(f"/v1/batches/{batch['id']}/resume"))
    done = await desk.ended(desk.ada, batch)
    assert done["request_counts"] == {"total": 5, "completed": 5, "failed": 0}


async def test_a_revoked_key_ends_it(desk: Desk) -> None:
    engine = desk.fake.engines[Task.CHAT]
    made_key = await desk.administration.accounts.create_key(account="ada")
    async with desk.fake.client(key=made_key.key) as client:
        engine.gate.close()
        batch = await made(client, *(chat(f"c{n}") for n in range(20)))
        await engine.gate.until_waiting(2)
        await desk.administration.accounts.revoke_key(made_key.record.id)
        engine.gate.open()
    failed = await desk.ended(desk.ada, batch)
    assert (failed["status"], failed["errors"]["data"][0]["code"]) == ("failed", "invalid_api_key")
    rows = await desk.rows(desk.ada, failed["output_file_id"])
    assert len(rows) == failed["request_counts"]["completed"] < 20


async def test_pages(desk: Desk) -> None:
    ids = [(await made(desk.ada, chat("c1")))["id"] for _ in range(3)][::-1]
    first = read(await desk.ada.get("/v1/batches", params={"limit": 2}))
    assert [one["id"] for one in first["data"]] == ids[:2]
    assert (first["object"], first["has_more"], first["first_id"], first["last_id"]) == ("list", True, ids[0], ids[1])
    rest = read(await desk.ada.get("/v1/batches", params={"after": ids[1]}))
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (ids[2:], False)
    for limit in (0, 101):
        refused(await desk.ada.get("/v1/batches", params={"limit": limit}), 400, "limit")
    assert read(await desk.bob.get("/v1/batches"))["data"] == []


async def test_to_others_it_is_as_if_it_were_not_there(desk: Desk) -> None:
    batch = await made(desk.ada, chat("c1"))
    nobodys = "batch_" + "0" * 32
    for method, path in (
        ("GET", "/v1/batches/{id}"),
        ("POST", "/v1/batches/{id}/cancel"),
        ("POST", "/v1/batches/{id}/pause"),
        ("POST", "/v1/batches/{id}/resume"),
        ("GET", "/v1/batches?after={id}"),
    ):
        said = [
            refused(await desk.bob.request(method, path.format(id=one)), 404, None, None).replace(one, "ID")
            for one in (batch["id"], nobodys)
        ]
        assert said[0] == said[1]
    assert (await desk.ended(desk.ada, batch))["status"] == "completed"


async def test_operators_see_everybody_s_and_their_acts_are_written_down(desk: Desk) -> None:
    engine = desk.fake.engines[Task.CHAT]
    engine.gate.close()
    hers = await made(desk.ada, *(chat(f"c{n}") for n in range(20)))
    his = await made(desk.bob, chat("c1"))
    listed = read(await desk.admin.get("/admin/v1/batches"))
    assert [(one["id"], one["account"]["name"]) for one in listed["data"]] == [(his["id"], "bob"), (hers["id"], "ada")]
    only = read(await desk.admin.get("/admin/v1/batches", params={"account": "ada"}))
    assert [one["id"] for one in only["data"]] == [hers["id"]]
    one = read(await desk.admin.get(f"/admin/v1/batches/{his['id']}"))
    assert (one["id"], one["account"]) == (his["id"], listed["data"][0]["account"])
    assert {**his, "account": one["account"]}.keys() == one.keys()
    for act in ("pause", "resume", "cancel"):
        answer = read(await desk.admin.post(f"/admin/v1/batches/{hers['id']}/{act}"))
        assert answer["id"] == hers["id"]
    assert (await desk.ended(desk.ada, hers))["status"] == "cancelled"
    engine.gate.open()
    await desk.ended(desk.bob, his)
    found = read(await desk.admin.get("/admin/v1/batches", params={"status": "cancelled"}))
    assert [one["id"] for one in found["data"]] == [hers["id"]]
    acts = [one for one in read(await desk.admin.get("/admin/v1/audit"))["data"] if one["action"].startswith("batch")]
    assert [(one["action"], one["target"], one["details"]) for one in reversed(acts)] == [
        (f"batch.{act}", hers["id"], {"account_id": listed["data"][1]["account"]["id"]})
        for act in ("pause", "resume", "cancel")
    ]
    refused(await desk.admin.post("/admin/v1/batches/batch_1/cancel"), 404, None, None)
    for nobodys in ("batch_1", f"batch_{'0' * 32}"):
        refused(await desk.admin.get(f"/admin/v1/batches/{nobodys}"), 404, None, None)
    assert (await desk.ada.get(f"/admin/v1/batches/{hers['id']}")).status_code == 403
    assert (await desk.ada.get("/admin/v1/batches")).status_code == 403
    assert (await desk.ada.post(f"/admin/v1/batches/{his['id']}/cancel")).status_code == 403


async def test_metrics_tell_of_them(desk: Desk) -> None:
    await desk.ended(desk.ada, await made(desk.ada, chat("c1"), chat("c2", temperature=9)))
    text = ""
    async with asyncio.timeout(20):  # the database shows the end a moment before it is counted
        while "sagehold_batches_ended_total{" not in text:
            text = (await desk.ada.get("/metrics")).text
            await asyncio.sleep(0.01)
    assert 'sagehold_batch_lines_total{outcome="completed"} 1.0' in text
    assert 'sagehold_batch_lines_total{outcome="failed"} 1.0' in text
    assert 'sagehold_batches_ended_total{status="completed"} 1.0' in text


async def test_without_keys_everybody_s_are_run_for_nothing(settings: Settings, migrated_file: Path) -> None:
    settings = settings.model_copy(update={"auth": "off"})
    settings.data_dir.mkdir(mode=0o700)
    shutil.copy(migrated_file, settings.data_dir / "sagehold.db")
    async with Administration.open(settings) as administration:
        database = administration.accounts.database
        await ensure_anyone(database, ANYONE.account_id)
        async with (
            FakeServer(settings, accounts=administration.accounts, knowledge=database) as fake,
            fake.client(key=None) as client,
        ):
            batch = await made(client, chat("c1"))
            async with asyncio.timeout(20):
                while (found := read(await client.get(f"/v1/batches/{batch['id']}")))["status"] != "completed":
                    assert found["status"] in ("validating", "in_progress", "finalizing")
                    await asyncio.sleep(0.01)
    assert found["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
