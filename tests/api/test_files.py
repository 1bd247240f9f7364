"""/v1/files: kept, listed, read and deleted; to others as if they were not there."""

import asyncio
import os
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import openai
import pytest
from starlette.requests import ClientDisconnect

from server.api.openai.file_content import FileContent
from server.api.slow_bodies import SlowBodies
from server.errors import StorageFull
from server.testing import Exchange
from tests.api.filing import (
    FILE,
    FORM,
    PURPOSE,
    Desk,
    by_hand,
    chunk,
    desk,
    form,
    migrated_file,
    refused,
    uploaded,
)
from tests.api.openapi_document import Document
from tests.api.test_openapi import document_of

pytestmark = pytest.mark.anyio

__all__ = ["desk", "migrated_file"]


async def test_one_is_kept_read_and_deleted(desk: Desk) -> None:
    ada = desk.ada
    file = await uploaded(ada, b"some\0bytes\r\n", "notes.txt")
    created_at = int(desk.clock().timestamp())
    assert file == {
        "id": file["id"],
        "object": "file",
        "bytes": 12,
        "created_at": created_at,
        "filename": "notes.txt",
        "purpose": "user_data",
        "status": "processed",
    }
    assert desk.names == [file["id"]]
    assert (await ada.get(f"/v1/files/{file['id']}")).json() == file
    listed = (await ada.get("/v1/files")).json()
    assert listed == {
        "object": "list",
        "data": [file],
        "has_more": False,
        "first_id": file["id"],
        "last_id": file["id"],
    }
    content = await ada.get(f"/v1/files/{file['id']}/content")
    assert (content.status_code, content.content) == (200, b"some\0bytes\r\n")
    gone = await ada.delete(f"/v1/files/{file['id']}")
    assert gone.json() == {"id": file["id"], "object": "file", "deleted": True}
    assert desk.names == []
    for path in (f"/v1/files/{file['id']}", f"/v1/files/{file['id']}/content"):
        assert refused(await ada.get(path), 404, "id", None) == f"No such File object: {file['id']}"
    refused(await ada.delete(f"/v1/files/{file['id']}"), 404, "id", None)
    empty = (await ada.get("/v1/files")).json()
    assert empty == {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}


async def test_the_official_client_reads_and_writes_them(desk: Desk) -> None:
    http: Any = desk.ada
    client = openai.AsyncOpenAI(api_key=desk.ada_key, base_url="http://test/v1", http_client=http, max_retries=0)
    expiry: openai.types.file_create_params.ExpiresAfter = {"anchor": "created_at", "seconds": 7200}
    lines = await client.files.create(file=("in.jsonl", b"{}\n{}\n"), purpose="batch", expires_after=expiry)
    assert (lines.bytes, lines.filename, lines.purpose, lines.status) == (6, "in.jsonl", "batch", "processed")
    assert lines.expires_at == lines.created_at + 7200
    others = [await client.files.create(file=(f"{n}.txt", b"x"), purpose="user_data") for n in range(4)]
    assert [one.id async for one in client.files.list(limit=2)] == [one.id for one in (*reversed(others), lines)]
    assert [one.id async for one in client.files.list(order="asc", limit=3)] == [one.id for one in (lines, *others)]
    assert [one.id async for one in client.files.list(purpose="batch")] == [lines.id]
    assert await client.files.retrieve(lines.id) == lines
    assert (await client.files.content(lines.id)).text == "{}\n{}\n"
    assert (await client.files.wait_for_processing(lines.id)).id == lines.id
    deleted = await client.files.delete(lines.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (lines.id, True, "file")
    with pytest.raises(openai.NotFoundError):
        await client.files.retrieve(lines.id)


async def test_answers_are_as_the_document_says(desk: Desk) -> None:
    document: Document = await document_of(desk.fake)
    file = await uploaded(desk.ada, purpose="batch")
    path = f"/v1/files/{file['id']}"
    for answer in (
        await desk.ada.post("/v1/files", data={"purpose": "vision"}, files={"file": ("a", b"a")}),
        await desk.ada.post("/v1/files", data={"purpose": "vision"}, files={"file": ("a", b"")}),
        await desk.ada.get("/v1/files"),
        await desk.ada.get("/v1/files", params={"limit": 0}),
        await desk.ada.get("/v1/files", params={"after": "file-1"}),
        await desk.ada.get(path),
        await desk.ada.get(f"{path}/content"),
        await desk.ada.get(f"{path}/content", headers={"range": "bytes=1-2"}),
        await desk.ada.get(f"{path}/content", headers={"range": "bytes=0-0,2-3"}),
        await desk.ada.get(f"{path}/content", headers={"range": "bytes=9-"}),
        await desk.ada.get(f"{path}/content", headers={"range": "lines=1-2"}),
        await desk.admin.get("/admin/v1/files"),
        await desk.admin.delete("/admin/v1/files/file-1"),
        await desk.admin.delete(f"/admin/v1{path[3:]}"),
        await desk.ada.delete(path),
    ):
        document.check(answer)


async def test_to_others_they_are_not_there(desk: Desk) -> None:
    file = await uploaded(desk.ada)
    for file_id in (file["id"], "file-00000000000000000000000000000000", "file-1", "%00", "..%2f..%2fkeys.secret"):
        path = f"/v1/files/{file_id}"
        for answer in (
            await desk.bob.get(path),
            await desk.bob.get(f"{path}/content"),
            await desk.bob.delete(path),
            await desk.bob.get("/v1/files", params={"after": unquote(file_id)}),
        ):
            if "2f" in file_id and answer.json()["error"]["code"] == "unknown_url":
                continue  # a slash is no part of an id
            param = "after" if "after" in answer.request.url.query.decode() else "id"
            assert refused(answer, 404, param, None) == f"No such File object: {unquote(file_id)}"
    assert (await desk.bob.get("/v1/files")).json()["data"] == []
    assert (await desk.ada.get(f"/v1/files/{file['id']}/content")).content == b"hello"


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("limit=10001", "limit"), ("limit=x", "limit"), ("order=up", "order")],
)
async def test_a_page_that_can_not_be_is_refused(desk: Desk, query: str, param: str) -> None:
    refused(await desk.ada.get(f"/v1/files?{query}"), 400, param)


async def test_files_expire(desk: Desk) -> None:
    lines = await uploaded(desk.ada, purpose="batch")
    expiry = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    brief = await uploaded(desk.ada, fields=expiry)
    lasting = await uploaded(desk.ada)
    assert lines["expires_at"] == lines["created_at"] + 30 * 86400
    assert brief["expires_at"] == brief["created_at"] + 3600
    assert "expires_at" not in lasting
    desk.clock.forward(seconds=3600)
    refused(await desk.ada.get(f"/v1/files/{brief['id']}"), 404, "id", None)
    desk.clock.forward(days=30)
    assert [one["id"] for one in (await desk.ada.get("/v1/files")).json()["data"]] == [lasting["id"]]
    await desk.files.sweep()
    assert desk.names == [lasting["id"]]


# ---------------------------------------------------------------- content


async def test_content_comes_whole_in_parts_or_not_at_all(desk: Desk) -> None:
    data = bytes(range(256)) * 4
    file = await uploaded(desk.ada, data, "data.bin")
    path = f"/v1/files/{file['id']}/content"
    whole = await desk.ada.get(path)
    assert whole.content == data
    expected = {
        "content-type": "application/octet-stream",
        "content-length": "1024",
        "content-disposition": 'attachment; filename="data.bin"',
        "x-content-type-options": "nosniff",
        "accept-ranges": "bytes",
        "etag": f'"{file["id"]}"',
        "cache-control": "private, no-cache",
    }
    assert {name: whole.headers[name] for name in expected} == expected
    head = await desk.ada.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "1024")
    for asked, start, end in (("0-9", 0, 10), ("1000-", 1000, 1024), ("-24", 1000, 1024), ("1000-9999", 1000, 1024)):
        answer = await desk.ada.get(path, headers={"range": f"bytes={asked}"})
        assert (answer.status_code, answer.content) == (206, data[start:end])
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1024"
    several = await desk.ada.get(path, headers={"range": "bytes=0-1,1022-1023"})
    assert several.status_code == 206
    assert several.headers["content-type"].startswith("multipart/byteranges")
    assert data[:2] in several.content
    assert data[-2:] in several.content
    beyond = await desk.ada.get(path, headers={"range": "bytes=1024-"})
    refused(beyond, 416, "Range", "range_not_satisfiable")
    assert beyond.headers["content-range"] == "bytes */1024"
    refused(await desk.ada.get(path, headers={"range": "pages=1"}), 400, "Range")
    same = {"range": "bytes=0-9", "if-range": whole.headers["etag"]}
    assert (await desk.ada.get(path, headers=same)).status_code == 206
    other = {"range": "bytes=0-9", "if-range": '"file-2"'}
    assert (await desk.ada.get(path, headers=other)).content == data
    known = await desk.ada.get(path, headers={"if-none-match": whole.headers["etag"]})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", whole.headers["etag"])


async def test_lines_are_called_so_and_nothing_is_ever_shown(desk: Desk) -> None:
    for purpose, kind in (("batch", "application/jsonl"), ("user_data", "application/octet-stream")):
        file = await uploaded(desk.ada, b"<script>alert(1)</script>", "page.html", purpose)
        answer = await desk.ada.get(f"/v1/files/{file['id']}/content")
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["content-security-policy"].startswith("sandbox")


async def test_who_reads_a_file_reads_it_to_the_end(desk: Desk) -> None:
    data = os.urandom(300 * 1024)
    await uploaded(desk.ada, data)
    [stored] = await desk.files.page(None)
    answer = await FileContent.of(stored)
    await desk.files.delete(stored.account_id, stored.id)
    assert desk.names == []
    got = bytearray()

    async def send(message: Any) -> None:
        got.extend(message.get("body", b""))

    await answer({"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}, never, send)
    assert got == data


async def never() -> Any:
    raise AssertionError("nothing more is asked of the client")


async def test_a_row_without_its_bytes_says_so(desk: Desk) -> None:
    """A restored database, or one of several servers' own folders."""
    file = await uploaded(desk.ada)
    (desk.folder / file["id"]).unlink()
    message = refused(await desk.ada.get(f"/v1/files/{file['id']}/content"), 404, "id", None)
    assert message == f"The contents of the file {file['id']} are not on this server."
    assert (await desk.ada.delete(f"/v1/files/{file['id']}")).status_code == 200


# ---------------------------------------------------------------- room


async def test_an_account_has_so_much_room(desk: Desk) -> None:
    for _ in range(3):
        await uploaded(desk.ada, bytes(2**20))
    answer = await desk.ada.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("a", b"a")})
    refused(answer, 413, "file", None)
    assert len(desk.names) == 3
    await uploaded(desk.bob)


async def test_a_full_disk_is_a_503(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageFull

    monkeypatch.setattr("server.jobs.files.incoming.Incoming.finish", full)
    answer = await desk.ada.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("a", b"a")})
    refused(answer, 503, None, "storage_full")
    assert desk.names == []


async def test_who_hangs_up_leaves_nothing(desk: Desk) -> None:
    body = form(PURPOSE, FILE)
    for end in (1, len(body) // 2, len(body) - 10, len(body)):
        with suppress(ClientDisconnect):
            assert await by_hand(desk, chunk(body[:end])) == []
        assert desk.names == []
    assert [one["type"] for one in await by_hand(desk, chunk(body[:30]), chunk(body[30:], more=False))] == [
        "http.response.start",
        "http.response.body",
    ]
    assert len(desk.names) == 1


async def test_a_body_that_does_not_come_is_a_408_and_leaves_nothing(desk: Desk) -> None:
    headers = {"authorization": f"Bearer {desk.ada_key}", **FORM}
    exchange = Exchange(SlowBodies(desk.fake.app, timeout=0.01), "POST", "/v1/files", b"", headers)
    exchange.hold_body()
    async with exchange:
        assert await exchange.start() == 408
        exchange.let_body()
    assert desk.names == []


async def test_a_server_that_ends_leaves_nothing_of_what_is_on_its_way(desk: Desk) -> None:
    exchange = desk.fake.exchange("POST", "/v1/files", headers={"authorization": f"Bearer {desk.ada_key}", **FORM})
    exchange.hold_body()
    async with exchange:
        while not desk.names:
            await asyncio.sleep(0)
        exchange.cancel()
        with suppress(asyncio.CancelledError):
            await exchange.ended()
    while desk.names:  # a thread deletes it, which whoever is cancelled does not wait for
        await asyncio.sleep(0)


# ---------------------------------------------------------------- operators


async def test_operators_see_and_delete_everybodys(desk: Desk) -> None:
    hers, his = await uploaded(desk.ada, name="a.txt"), await uploaded(desk.bob, name="b.txt", purpose="vision")
    listed = (await desk.admin.get("/admin/v1/files")).json()
    assert [(one["id"], one["account"]["name"]) for one in listed["data"]] == [(his["id"], "bob"), (hers["id"], "ada")]
    assert {name: listed["data"][1][name] for name in hers} == hers
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (his["id"], hers["id"], False)
    page = (await desk.admin.get("/admin/v1/files", params={"limit": 1})).json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == ([his["id"]], True)
    rest = (await desk.admin.get("/admin/v1/files", params={"after": his["id"]})).json()
    assert [one["id"] for one in rest["data"]] == [hers["id"]]
    own = (await desk.admin.get("/admin/v1/files", params={"account": "ada"})).json()
    assert [one["id"] for one in own["data"]] == [hers["id"]]
    pictures = (await desk.admin.get("/admin/v1/files", params={"purpose": "vision"})).json()
    assert [one["id"] for one in pictures["data"]] == [his["id"]]
    assert (await desk.admin.get("/admin/v1/files", params={"account": "nobody"})).status_code == 404
    # What is in them is their account's alone.
    assert (await desk.admin.get(f"/admin/v1/files/{hers['id']}/content")).status_code == 404
    gone = await desk.admin.delete(f"/admin/v1/files/{hers['id']}")
    assert gone.json() == {"id": hers["id"], "object": "file", "deleted": True}
    refused(await desk.admin.delete(f"/admin/v1/files/{hers['id']}"), 404, "id", None)
    assert desk.names == [his["id"]]
    [act] = [one for one in (await desk.admin.get("/admin/v1/audit")).json()["data"] if "file" in one["action"]]
    assert (act["action"], act["target"]) == ("file.delete", hers["id"])
    assert act["details"] == {"account": act["details"]["account"], "filename": "a.txt", "purpose": "user_data"}
