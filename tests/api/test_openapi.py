"""/openapi.json: it describes every route, and real answers are as it says."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator

from server.api.access import scopes_of
from server.testing import FakeServer
from tests.api.openapi_document import Document

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio


NOT_BY_EXAMPLE = {"/server/vote-down", "/user/get-token-with-api-key"}
"""What their examples name is not there: an answer, and a key."""


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
    office.fake.app.state.services = replace(office.fake.app.state.services, knowledge=None)
    key = await office.key("inference", account="default")
    async with office.fake.client(key=key) as client:
        for method, path, summary, body in document.examples():
            if path.startswith("/admin/") or path in NOT_BY_EXAMPLE:
                continue
            told = body | {"model": "everything"} if "model" in body else body
            answer = await client.request(method.upper(), path, json=told)
            assert answer.status_code == 200, (path, summary, answer.text)
            document.check(answer)


async def test_administration_answers_as_it_says(office: "Office") -> None:
    document = await document_of(office.fake)
    admin = office.admin
    await office.administration.create_account("squad")
    squad = (await office.administration.accounts.create_key(account="squad")).record.id
    for method, path, summary, body in document.examples():
        if path.startswith("/admin/"):
            answer = await admin.request(
                method.upper(), path.format(account="squad", key_id=squad, persona_id=3), json=body
            )
            assert answer.status_code == 200, (path, summary, answer.text)
            document.check(answer)
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
    ):
        document.check(await admin.get(path))
    for path in ("/admin/v1/usage", "/admin/v1/audit", "/v1/credits", "/v1/usage", "/health", "/ready", "/metrics"):
        document.check(await admin.get(path))
    document.check(await admin.get("/admin/v1/usage", params={"by": "account,key,model,task,day,served_by"}))
    document.check(await admin.get("/admin/v1/usage", params={"format": "csv"}))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/credits", 401),
        ("POST", "/admin/v1/keys", 400),
        ("GET", "/admin/v1/accounts/nobody", 404),
        ("GET", "/admin/v1/ledger?after=x", 400),
    ],
)
async def test_refusals_are_as_it_says(office: "Office", method: str, path: str, status: int) -> None:
    document = await document_of(office.fake)
    headers = {"authorization": ""} if status == 401 else {}
    json = {} if method == "POST" else None
    answer = await office.admin.request(method, path, headers=headers, json=json)
    assert answer.status_code == status, answer.text
    document.check(answer)
