"""HEAD wherever GET is: GET's status and headers, and no body; and what is not allowed is told with all that is."""

import re
from typing import TYPE_CHECKING

import pytest
from fastapi.routing import APIRoute

from server.core import Task
from server.web.files import page_files
from tests.api.listening import listening

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio

DIFFERENT = {"x-request-id", "openai-processing-ms", "date", "transfer-encoding"}
"""Each answer's own; and what is only known of a body that is sent (RFC 9110, 9.3.2)."""


def paths(office: "Office", picture: str) -> list[str]:
    """A path of every route that answers GET, with ids that are there."""
    ids = {
        "model_id:path": "everything",
        "file": picture,
        "account": "default",
        "key_id": office.admin_id,
        "persona_id": "1",
        "dataset_id": "ds_1",  # which is not there: by HEAD no more than by GET
        "document_id": "doc_1",
        "file_id": "file-1",
        "response_id": "resp_1",
        "conversation_id": "conv_1",
        "batch_id": "batch_1",
        "item_id": "msg_1",
        "folder": page_files().folder,
        "name:path": "js/lib.js",
    }
    gets = [route for route in office.fake.app.routes if isinstance(route, APIRoute) and "GET" in route.methods]
    return [re.sub(r"{([^}]*)}", lambda name: ids[name[1]], route.path) for route in gets]


async def test_every_get_has_its_head(office: "Office") -> None:
    key = await office.key("admin", "inference", account="default")
    async with listening(office.fake) as client:
        client.headers["authorization"] = f"Bearer {key}"
        drawn = await client.post("/v1/images/generations", json={"model": "everything", "prompt": "a red heart"})
        picture = drawn.json()["data"][0]["url"].rpartition("/")[2]
        asked = paths(office, picture)
        assert len(asked) > 15
        for path in [*asked, "/v1/usage?format=csv", "/server/v1//models/", "/models", "/v1/models/nope"]:
            got, head = await client.get(path), await client.head(path)
            assert head.status_code == got.status_code, path
            assert head.content == b""
            same = [{k: v for k, v in one.headers.items() if k not in DIFFERENT} for one in (got, head)]
            if path == "/metrics":  # it grows by what the test asks
                same = [{**one, "content-length": ""} for one in same]
            if path.endswith(picture):  # it ages
                same = [{**one, "cache-control": one["cache-control"].partition("=")[0]} for one in same]
            assert same[0] == same[1], path
            # The connection is in order: a body that was sent all the same would be read as the next answer.
            assert (await client.get("/health")).json() == {"status": "ok"}


async def test_a_head_of_a_ledger_does_not_read_it(office: "Office", monkeypatch: pytest.MonkeyPatch) -> None:
    def entries(*_: object) -> None:
        raise AssertionError("it was read")

    await office.administration.create_account("team", credits=None)
    monkeypatch.setattr(type(office.administration.ledger), "entries", entries)
    for query in ("", "?format=csv"):
        assert (await office.admin.head(f"/admin/v1/ledger{query}")).status_code == 200


async def test_a_head_needs_the_key_that_its_get_needs(office: "Office") -> None:
    async with office.fake.client(key=None) as nobody:
        for path in ("/v1/models", "/v1/credits", "/admin/v1/accounts"):
            assert (await nobody.head(path)).status_code == 401
    async with office.fake.client(key=await office.key("inference")) as client:
        assert (await client.head("/admin/v1/accounts")).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/models", "GET, HEAD"),
        ("HEAD", "/v1/chat/completions", "POST"),
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/admin/v1/accounts/default", "GET, HEAD, PATCH"),
        ("POST", "/admin/v1/keys/key_1", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", "/admin/v1/keys", "GET, HEAD, POST"),
        ("POST", "/health", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("HEAD", "/v1/images/generations", "POST"),
    ],
)
async def test_what_is_not_allowed_is_told_with_all_that_is(
    office: "Office", method: str, path: str, allowed: str
) -> None:
    answer = await office.admin.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert office.fake.engines[Task.CHAT].running == 0
