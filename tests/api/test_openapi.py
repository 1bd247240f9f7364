"""/openapi.json: it describes every route, and real answers are as it says."""

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator

from server.api.access import scopes_of
from server.core import Task
from server.testing import FakeServer
from tests.api.openapi_document import Document

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio


ADMINISTRATION = ("/admin/", "/user/admin-")


async def document_of(fake: FakeServer) -> Document:
    async with fake.client(key=None) as client:
        answer = await client.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return Document(answer.json())


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(references(inner) for inner in part.values()))
    return set().union(*(references(inner) for inner in part)) if isinstance(part, list) else set()


async def test_it_is_a_valid_document_that_needs_nothing_from_elsewhere(fake: FakeServer) -> None:
    document = (await document_of(fake)).whole
    assert document["openapi"] == "3.1.0"
    assert "http" not in re.sub(r'"(scheme|type)": "http"', "", str(document).replace("'", '"'))
    for reference in references(document):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    ids = [operation["operationId"] for _, _, operation in Document(document).operations()]
    assert len(ids) == len(set(ids))


async def test_every_route_is_there_with_its_scopes_and_says_what_it_does(fake: FakeServer) -> None:
    document = await document_of(fake)
    described = {(method, path) for method, path, _ in document.operations()}
    routes = [route for route in fake.app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    assert described == {(method.lower(), route.path_format) for route in routes for method in route.methods}
    for route in routes:
        for method in route.methods:
            operation = document.whole["paths"][route.path_format][method.lower()]
            scheme = "token" if route.path.startswith(("/server/", "/user/")) else "key"
            wanted = [{scheme: [scope]} for scope in sorted(scopes_of(route))]
            assert operation.get("security", []) == wanted, route.path
            assert operation["summary"], f"{route.path} has no docstring"
            if method != "HEAD":
                assert operation["responses"]["200"]["content"], f"{method} {route.path} does not say what it answers"
            if method in ("POST", "PATCH"):
                assert "requestBody" in operation, f"{method} {route.path} does not say what it takes"


async def test_every_body_has_an_example(fake: FakeServer) -> None:
    document = await document_of(fake)
    shown = {(method, path) for method, path, _, _ in document.examples()}
    for method, path, operation in document.operations():
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert (method, path) in shown, path


async def test_the_examples_are_answered_as_it_says(office: "Office") -> None:
    document = await document_of(office.fake)
    key = await office.key("inference", account="default")
    await office.administration.create_account("bob", email="bob@example.org")
    rules = await document_in(office, "default")
    async with office.fake.client(key=key) as client:
        form = {"data": {"purpose": "user_data"}, "files": {"file": ("a.wav", b"RIFF")}}
        recording = (await client.post("/v1/files", **form)).json()["id"]  # type: ignore[arg-type]
        for method, path, summary, body in document.examples():
            if path.startswith(ADMINISTRATION):
                continue
            told = body | await named_by(office, client, path) if isinstance(body, dict) else body
            told |= {"model": "everything"} if "model" in body else {}
            told |= {"api_key": key} if "api_key" in body else {}
            told |= {"file_id": recording} if "file_id" in body else {}
            told |= {"input_file_id": await requests_for(client)} if "input_file_id" in body else {}
            if of_batch := "batch_id" in path:  # which does not end meanwhile
                office.fake.engines[Task.CHAT].gate.close()
            named = {"document_id": rules, "batch_id": await batch_of(client) if of_batch else ""}
            answer = await client.request(method.upper(), path.format(**named), json=told)
            office.fake.engines[Task.CHAT].gate.open()
            assert answer.status_code == 200, (path, summary, answer.text)
            document.check(answer)


async def requests_for(client: httpx.AsyncClient) -> str:
    """The id of a file of requests for a batch."""
    request = {"model": "everything", "messages": [{"role": "user", "content": "Hello"}]}
    row = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": request}
    form = {"data": {"purpose": "batch"}, "files": {"file": ("a.jsonl", json.dumps(row).encode())}}
    return str((await client.post("/v1/files", **form)).json()["id"])  # type: ignore[arg-type]


async def batch_of(client: httpx.AsyncClient) -> str:
    """The id of a new batch."""
    told = {"input_file_id": await requests_for(client), "endpoint": "/v1/chat/completions", "completion_window": "1h"}
    return str((await client.post("/v1/batches", json=told)).json()["id"])


async def document_in(office: "Office", account: str) -> str:
    """The id of a document in a dataset of the account's."""
    key = (await office.administration.accounts.create_key(account=account)).key
    caller = await office.administration.accounts.authenticate(key)
    assert caller is not None
    dataset = await office.fake.knowledge.datasets.create(caller, "of examples")
    return (await office.fake.knowledge.ingestion.add(caller, dataset.full_name, "rules.txt", b"words")).id


async def named_by(office: "Office", client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """What an example of the Ask Sage dialect names is there; its ids, which nobody can know before."""
    if not path.startswith(("/server/", "/user/")):
        return {}
    knowledge, [caller] = office.fake.knowledge, [await office.administration.accounts.authenticate(client_key(client))]
    assert caller is not None
    there = [one.name for one in await knowledge.datasets.list(caller)]
    if path == "/user/add-dataset" and "handbook" in there:
        await knowledge.datasets.delete(caller, "handbook")
    elif "dataset" in path or path.startswith(("/server/train", "/server/get-all-files")):
        if "handbook" not in there:
            await knowledge.datasets.create(caller, "handbook")
        await knowledge.ingestion.add(caller, "handbook", "leave.pdf", b"words")
    if path == "/server/vote-down":
        asked = (await client.post("/server/query", json={"message": "Hello"})).json()
        return {"uuid": asked["uuid"]}
    if path.startswith("/user/user-api-key"):
        return {"id": (await office.administration.accounts.create_key(account="default")).record.id}
    if "chat" in path and path not in ("/user/append-chat", "/user/create-chat-session"):
        chat = await knowledge.users.chats.create(caller, "plans")
        return {"session_id": chat.id, "chat_id": chat.id}
    return {}


def client_key(client: httpx.AsyncClient) -> str:
    return client.headers["authorization"].removeprefix("Bearer ")


async def test_administration_answers_as_it_says(office: "Office") -> None:
    document = await document_of(office.fake)
    admin = office.admin
    await office.administration.create_account("squad")
    squad = (await office.administration.accounts.create_key(account="squad")).record.id
    number = (await office.administration.accounts.find_account("squad")).number
    rules = await document_in(office, "squad")
    client = office.fake.client(key=await office.key("inference", account="squad"))
    for method, path, summary, body in document.examples():
        if path.startswith(ADMINISTRATION):
            told = body | {"id": number} if path.startswith("/user/") and "id" in body else body
            named = {"account": "squad", "key_id": squad, "persona_id": 3, "document_id": rules}
            named["model_id"] = "fake-speech"
            if "batch_id" in path:
                office.fake.engines[Task.CHAT].gate.close()
                named["batch_id"] = await batch_of(client)
            answer = await admin.request(method.upper(), path.format(**named), json=told)
            assert answer.status_code == 200, (path, summary, answer.text)
            document.check(answer)
    office.fake.engines[Task.CHAT].gate.open()
    await client.aclose()
    for path in ("/admin/v1/batches", "/admin/v1/files"):
        document.check(await admin.get(path))
    key = (await admin.post("/admin/v1/keys", json={"account": "default", "scopes": ["inference"]})).json()
    document.check(await admin.delete(f"/admin/v1/keys/{key['id']}"))
    document.check(await admin.get(f"/admin/v1/keys/{squad}"))
    document.check(await admin.get("/admin/v1/personas/3"))
    document.check(await admin.delete("/admin/v1/personas/3"))
    for path in (
        "/admin/v1/accounts",
        "/admin/v1/accounts/default",
        "/admin/v1/keys",
        "/admin/v1/ledger",
        "/admin/v1/personas",
        "/admin/v1/models",
        "/admin/v1/models/fake-chat",
        "/admin/v1/settings",
    ):
        document.check(await admin.get(path))
    for path in ("/admin/v1/usage", "/admin/v1/audit", "/v1/credits", "/v1/usage", "/health", "/ready", "/metrics"):
        document.check(await admin.get(path))
    document.check(await admin.get("/admin/v1/usage", params={"by": "account,key,model,task,day,served_by"}))
    document.check(await admin.get("/admin/v1/usage", params={"format": "csv"}))


@pytest.mark.parametrize(
    ("method", "path", "json", "status"),
    [
        ("GET", "/v1/credits", None, 401),
        ("POST", "/admin/v1/keys", {}, 400),
        ("GET", "/admin/v1/accounts/nobody", None, 404),
        ("GET", "/admin/v1/ledger?after=x", None, 400),
        ("POST", "/admin/v1/personas", {"id": 1, "name": "Clerk", "prompt": ""}, 409),
        ("POST", "/v1/datasets", {"name": "of examples"}, 409),
        ("PATCH", "/v1/documents/{document}", {"state": "queued"}, 409),
        ("PATCH", "/admin/v1/documents/{document}", {"state": "queued"}, 409),
    ],
)
async def test_refusals_are_as_it_says(
    office: "Office", method: str, path: str, json: dict[str, Any] | None, status: int
) -> None:
    document = await document_of(office.fake)
    if status == 409:
        path = path.format(document=await document_in(office, "default"))
    headers = {"authorization": "" if status == 401 else f"Bearer {await office.key('inference', 'admin')}"}
    answer = await office.admin.request(method, path, headers=headers, json=json)
    assert answer.status_code == status, answer.text
    document.check(answer)
