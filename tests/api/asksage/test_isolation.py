"""Ada's things as Bob meets them: datasets, documents, chats, logs, keys. Hers look like what is not there."""

import httpx
import pytest

from tests.api.asksage.conftest import Town, said

pytestmark = pytest.mark.anyio

ABSENT = "0b6c1d1e-1111-4222-8333-444455556666"


async def test_what_is_anothers_looks_like_what_is_not_there(town: Town) -> None:
    ada, bob = town.ada, town.bob
    await said(ada, "/user/add-dataset", {"dataset": "secret"})
    [full] = await said(ada, "/server/get-datasets")
    await said(ada, "/server/train", {"content": "The code is 4711.", "force_dataset": "secret"})
    chat = await said(ada, "/user/append-chat", {"chat_title": "t", "chats": ["x"]})
    [log] = await said(ada, "/user/get-user-logs")
    [key] = await said(ada, "/user/get-user-api-keys")
    [document] = await said(ada, "/server/get-all-files-ingested")

    mail = {"email": "bob@example.org"}
    by_dataset = [
        ("/user/delete-dataset", {}),
        ("/user/delete-datasets", {}),
        ("/user/assign-dataset", mail),
        ("/user/deassign-dataset", mail),
        ("/user/update-permission-dataset", {**mail, "permissions": "admin"}),
        ("/user/get-dataset-permissions", {}),
        ("/user/get-dataset-assignments", {}),
        ("/server/get-dataset-info", {}),
        ("/server/get-all-files-ingested", {}),
        ("/server/delete-filename-from-dataset", {"filename": document["filename"]}),
        ("/server/train-with-array", {"data": ["x"]}),
    ]
    for theirs, none in ((full, full.replace("secret", "absent")), ("secret", "absent")):
        for path, more in by_dataset:
            await _alike(bob, path, {**more, "dataset": theirs}, {**more, "dataset": none}, theirs, none)
        await _alike(
            bob,
            "/server/train",
            {"content": "x", "force_dataset": theirs},
            {"content": "x", "force_dataset": none},
            theirs,
            none,
        )
    for path, field, more in (
        ("/user/get-chat-session", "session_id", {}),
        ("/user/delete-chat-session", "session_id", {}),
        ("/user/append-chat", "session_id", {"message": "y"}),
        ("/user/update-chat-session-title", "session_id", {"new_title": "mine"}),
        ("/user/update-chat-session-json", "session_id", {"json_data": []}),
        ("/user/copy-chat", "chat_id", mail),
    ):
        await _alike(bob, path, {**more, field: chat}, {**more, field: ABSENT}, chat, ABSENT)
    await _alike(bob, "/server/vote-down", {"uuid": log["uuid"]}, {"uuid": ABSENT}, log["uuid"], ABSENT)
    answers = {(await bob.request("DELETE", "/user/user-api-key", json={"id": one})).content for one in (key["id"], 1)}
    assert len(answers) == 1
    for path in ("/server/get-datasets", "/server/get-all-files-ingested", "/user/get-user-logs"):
        assert await said(bob, path) == []

    assert await said(ada, "/server/get-datasets") == [full]
    assert await said(ada, "/server/get-all-files-ingested") == [document]
    assert (await said(ada, "/user/get-chat-session", {"session_id": chat}))["json_data"] == ["x"]
    assert [one["downvoted"] for one in await said(ada, "/user/get-user-logs")] == [False]


async def _alike(client: httpx.AsyncClient, path: str, one: object, other: object, name: str, instead: str) -> None:
    first, second = await client.post(path, json=one), await client.post(path, json=other)
    assert first.json()["status"] >= 400, (path, first.text)
    assert first.content.replace(name.encode(), b"*") == second.content.replace(instead.encode(), b"*"), path
    assert first.status_code == second.status_code
