"""The user side of the Ask Sage API: datasets, training, logs, chats, keys and credits, as its clients write them."""

import json

import pytest

from tests.api.asksage.conftest import Town, said

pytestmark = pytest.mark.anyio


async def test_a_dataset_is_made_shared_and_deleted(town: Town) -> None:
    ada, bob = town.ada, town.bob
    assert await said(ada, "/user/add-dataset", {"dataset": "handbook", "classification": None}) == "OK"
    [full] = await said(ada, "/server/get-datasets")
    assert full == "user_custom_1_handbook_content"
    assert await said(bob, "/server/get-datasets") == []
    sharing = {"dataset": full, "email": "Bob@example.org"}
    assert await said(ada, "/user/assign-dataset", sharing) == "OK"
    assert await said(bob, "/user/get-datasets-with-permissions") == [
        {"dataset": full, "classification": "Unclassified", "permissions": "read"}
    ]
    await said(ada, "/user/update-permission-dataset", {**sharing, "permissions": "edit"})
    await said(ada, "/user/assign-dataset", sharing)
    assert await said(ada, "/user/get-dataset-permissions", {"dataset": "handbook"}) == [
        {"email": "bob@example.org", "name": "bob", "permissions": "edit"}
    ], "assigning once more takes nothing away"
    await said(bob, "/user/delete-dataset", {"dataset": full}, 403)
    await said(bob, "/user/get-dataset-assignments", {"dataset": full}, 403)
    await said(bob, "/user/deassign-dataset", sharing)
    assert await said(bob, "/server/get-datasets") == []
    await said(ada, "/user/delete-dataset", {"dataset": full})
    assert await said(ada, "/server/get-datasets") == []


async def test_an_unknown_address_is_told_to_the_datasets_admins_alone(town: Town) -> None:
    await said(town.ada, "/user/add-dataset", {"dataset": "handbook"})
    nobody = {"dataset": "handbook", "email": "nobody@example.org"}
    for path in ("assign-dataset", "deassign-dataset", "update-permission-dataset"):
        assert await said(town.ada, f"/user/{path}", nobody, 410) == "No account."
        assert "does not exist" in await said(town.bob, f"/user/{path}", nobody, 404)


async def test_a_text_is_learned_or_only_embedded(town: Town) -> None:
    await said(town.ada, "/user/add-dataset", {"dataset": "handbook"})
    body = {"content": "Leave is 30 days.", "force_dataset": None, "context": "", "skip_vectordb": False}
    answer = (await town.ada.post("/server/train", json=body)).json()
    assert answer["status"] == 200, answer
    assert answer["response"].startswith("Ingesting the following content: Leave is 30 days. \nThank you, I have")
    assert answer["embedding"]
    assert all(isinstance(value, float) for value in answer["embedding"])
    assert await said(town.ada, "/server/get-all-files-ingested") == []
    await said(town.ada, "/server/train", {**body, "force_dataset": "handbook", "skip_vectordb": True})
    assert await said(town.ada, "/server/get-all-files-ingested") == []
    await said(town.ada, "/server/train", {**body, "force_dataset": "handbook", "context": "rules"})
    [row] = await said(town.ada, "/server/get-all-files-ingested", {})
    assert (row["state"], row["context"], row["chunks"]) == ("ready", "rules", 1)
    logs = await said(town.ada, "/user/get-user-logs")
    assert [log["teach"] for log in logs] == [1, 1, 1]
    assert logs[0]["prompt"] == "Leave is 30 days."


async def test_a_file_is_imported_replaced_and_taken_out(town: Town) -> None:
    await said(town.ada, "/user/add-dataset", {"dataset": "handbook"})
    for text in (b"one", b"two"):
        answer = await town.ada.post(
            "/server/train-with-file", data={"dataset": "handbook"}, files={"file": ("rules.txt", text)}
        )
        assert answer.json()["response"] == "Successfully imported", answer.text
    [row] = await said(town.ada, "/server/get-all-files-ingested")
    assert (row["filename"], row["dataset"]) == ("rules.txt", "user_custom_1_handbook_content")
    wrong = await town.ada.post(
        "/server/train-with-file", data={"dataset": "handbook"}, files={"file": ("rules.pdf", b"no pdf")}
    )
    assert wrong.json()["status"] == 400
    gone = {"dataset": "handbook", "filename": "rules.txt"}
    assert await said(town.ada, "/server/delete-filename-from-dataset", gone) == "OK"
    await said(town.ada, "/server/delete-filename-from-dataset", gone, 404)


async def test_a_files_text(town: Town) -> None:
    answer = await town.ada.post("/server/file", data={"strategy": "auto"}, files={"file": ("my notes.txt", b"Hello")})
    found = answer.json()
    assert (found["response"], found["status"], found["sent_filename"]) == ("OK", 200, "mynotes.txt")
    _, about, text = found["ret"].split("\n", 2)
    assert json.loads(about) == {"asksage_metadata": {"filename": "mynotes.txt"}}
    assert text == "Hello"


async def test_chats(town: Town) -> None:
    ada, bob = town.ada, town.bob
    body = {"chat_title": "plans", "chats": {"chats": [{"user": "me", "message": "Hello"}]}}
    chat = await said(ada, "/user/append-chat", body)
    assert (
        await said(ada, "/user/append-chat", {"session_id": chat, "message": {"user": "gpt", "message": "Hi"}}) == chat
    )
    found = await said(ada, "/user/get-chat-session", {"session_id": chat})
    assert found["json_data"] == [{"user": "me", "message": "Hello"}, {"user": "gpt", "message": "Hi"}]
    listed = await said(ada, "/user/get-chats")
    assert isinstance(listed, str)
    assert [row["title"] for row in json.loads(listed)["chats"]] == ["plans"]
    assert await said(ada, "/user/update-chat-session-title", {"session_id": chat, "new_title": "t"}) == "Title updated"
    assert await said(ada, "/user/update-chat-session-title", {"session_id": chat}, 400) == "Missing data"
    retitled = {"session_id": chat, "new_title": "mine"}
    assert await said(bob, "/user/update-chat-session-title", retitled, 404) == "Session not found"
    assert await said(bob, "/user/update-chat-session-json", {"session_id": chat}, 400) == "Invalid session_id"
    assert await said(ada, "/user/update-chat-session-json", {"session_id": chat, "json_data": 5}, 400)
    assert await said(ada, "/user/copy-chat", {"chat_id": chat, "email": "bob@example.org"}) == "Chats copied"
    assert len(json.loads(await said(bob, "/user/get-chats"))["chats"]) == 1
    # The service's specification has no other status here than these two.
    nobody = {"chat_id": chat, "email": "nobody@example.org"}
    assert await said(ada, "/user/copy-chat", nobody, 400) == "No account."
    await said(ada, "/user/copy-chat", {**nobody, "chat_id": "0b6c1d1e-1111-4222-8333-444455556666"}, 400)
    assert await said(ada, "/user/update-chat-session-json", {"session_id": chat}) == "Chat content updated"
    assert (await said(ada, "/user/get-chat-session", {"session_id": chat}))["title"] == "New Chat"
    assert await said(ada, "/user/delete-chat-session", {"session_id": chat}) == "OK"
    await said(ada, "/user/get-chat-session", {"session_id": chat}, 404)


async def test_keys_of_the_account(town: Town) -> None:
    made = (await town.ada.post("/user/user-api-key", json={"name": "laptop"})).json()
    caller = await town.administration.accounts.authenticate(made["response"])
    assert caller is not None
    assert caller.scopes == {"inference"}
    listed = await said(town.ada, "/user/get-user-api-keys")
    assert made["response"] not in json.dumps(listed)
    assert [row["name"] for row in listed] == ["", "laptop"]
    other = (await town.bob.request("DELETE", "/user/user-api-key", json={"id": made["id"]})).json()
    assert other["status"] == 404
    ended = (await town.ada.request("DELETE", "/user/user-api-key", json={"id": made["id"]})).json()
    assert ended["status"] == 200
    assert await town.administration.accounts.authenticate(made["response"]) is None


async def test_tokens_are_credits(town: Town) -> None:
    await town.administration.create_account("payer", email="p@example.org")
    users = await said(town.admin, "/user/admin-get-all-users-with-tokens", {"email": " P@example.org "})
    [user] = users
    set_to = {"id": str(user["id"]), "tokens": 200000}
    assert await said(town.admin, "/user/admin-update-user-tokens", set_to) == "OK"
    assert await said(town.admin, "/user/admin-update-user-tokens", {**set_to, "tokens": 150000}) == "OK"
    assert await said(town.admin, "/user/admin-update-user-train-tokens", {**set_to, "tokens": 100000}) == "OK"
    account = await town.administration.accounts.account_of("p@example.org")
    assert account is not None
    assert (await town.administration.ledger.balance(account.id)).balance == 150
    [user] = await said(town.admin, "/user/admin-get-all-users-with-tokens", {"email": "p@example.org"})
    assert (user["tokens"], user["tokens_used"]) == (150000, 0)
    await said(town.admin, "/user/admin-update-user-tokens", {"id": 1, "tokens": 5}, 409)
    await said(town.ada, "/user/admin-update-user-tokens", set_to, 403)
