"""/v1/conversations as the official client uses it, and responses that go on with them."""

from typing import Any

import pytest
from openai import AsyncOpenAI, NotFoundError
from openai.types.responses import Response

from tests.api.filing import refused
from tests.api.listening import listening
from tests.api.responses.asking import answered, ask
from tests.api.responses.keeping import Desk, desk, migrated_file
from tests.api.responses.test_stored import ANSWER, told

pytestmark = pytest.mark.anyio

__all__ = ["desk", "migrated_file"]

HELLO: dict[str, Any] = {"type": "message", "role": "user", "content": "hello"}


async def test_a_conversation_is_what_the_client_makes_of_it(desk: Desk) -> None:
    answer = await desk.ada.post("/v1/conversations", json={"metadata": {"topic": "tea"}, "items": [HELLO]})
    made = answer.json()
    path = f"/v1/conversations/{made['id']}"
    assert made == {**made, "object": "conversation", "metadata": {"topic": "tea"}}
    assert set(made) == {"id", "object", "created_at", "metadata"}
    assert (await desk.ada.get(path)).json() == made
    changed = (await desk.ada.post(path, json={"metadata": {"topic": "coffee"}})).json()
    assert changed == {**made, "metadata": {"topic": "coffee"}}
    added = (
        await desk.ada.post(f"{path}/items", json={"items": [HELLO, {"role": "assistant", "content": "yes"}]})
    ).json()
    assert (added["object"], added["has_more"]) == ("list", False)
    assert [item["role"] for item in added["data"]] == ["user", "assistant"]
    listed = (await desk.ada.get(f"{path}/items", params={"limit": 2})).json()
    assert [item["content"][0]["text"] for item in listed["data"]] == ["yes", "hello"]
    assert listed["has_more"] is True
    rest = (await desk.ada.get(f"{path}/items", params={"after": listed["last_id"]})).json()
    assert [item["content"][0]["text"] for item in rest["data"]] == ["hello"]
    item = added["data"][1]
    assert (await desk.ada.get(f"{path}/items/{item['id']}")).json() == item
    assert (await desk.ada.delete(f"{path}/items/{item['id']}")).json() == changed
    refused(await desk.ada.get(f"{path}/items/{item['id']}"), 404, None, None)
    gone = await desk.ada.delete(path)
    assert gone.json() == {"id": made["id"], "object": "conversation.deleted", "deleted": True}
    assert refused(await desk.ada.get(path), 404, None, None) == f"Conversation with id '{made['id']}' not found."


async def test_the_official_client_goes_through_all_of_it(desk: Desk) -> None:
    async with (
        listening(desk.fake) as plain,
        AsyncOpenAI(api_key=desk.ada_key, base_url=f"{plain.base_url}/v1") as client,
    ):
        made = await client.conversations.create(items=[{"type": "message", "role": "user", "content": "hello"}])
        assert made.metadata == {}
        for place in range(3):
            response = await client.responses.create(model="everything", input=f"q{place}", conversation=made.id)
            assert isinstance(response, Response)
            assert response.conversation is not None
            assert response.conversation.id == made.id
        said = [item async for item in client.conversations.items.list(made.id, limit=2, order="asc")]
        assert [item.type for item in said] == ["message"] * 7
        items = [item.model_dump() for item in said]
        assert [item["content"][0]["text"] for item in items] == [
            *["hello", "q0", ANSWER, "q1", ANSWER, "q2", ANSWER],
        ]
        one = await client.conversations.items.retrieve(items[0]["id"], conversation_id=made.id)
        assert one == said[0]
        await client.conversations.items.delete(items[0]["id"], conversation_id=made.id)
        added = await client.conversations.items.create(made.id, items=[{"role": "user", "content": "bye"}])
        assert added.first_id == added.last_id == added.data[0].model_dump()["id"]
        updated = await client.conversations.update(made.id, metadata={"a": "b"})
        assert updated.metadata == {"a": "b"}
        assert (await client.conversations.delete(made.id)).deleted is True
        with pytest.raises(NotFoundError):
            await client.conversations.retrieve(made.id)


async def test_a_response_goes_on_with_a_conversation_and_adds_its_turn(desk: Desk) -> None:
    made = (await desk.ada.post("/v1/conversations", json={"items": [HELLO]})).json()
    for named in (made["id"], {"id": made["id"]}):
        response = await answered(desk.ada, "on", conversation=named)
        assert response["conversation"] == {"id": made["id"]}
    turns = [("user", "hello"), ("user", "on"), ("assistant", ANSWER), ("user", "on")]
    assert told(desk.engine) == turns
    apart = await answered(desk.ada, "apart", previous_response_id=response["id"])
    assert apart["conversation"] is None
    assert told(desk.engine) == [*turns, ("assistant", ANSWER), ("user", "apart")]
    listed = (await desk.ada.get(f"/v1/conversations/{made['id']}/items?order=asc")).json()["data"]
    assert len(listed) == 5, "the one apart is not in it"


async def test_a_response_without_input_answers_what_was_said(desk: Desk) -> None:
    made = (await desk.ada.post("/v1/conversations", json={"items": [HELLO]})).json()
    response = await desk.ada.post("/v1/responses", json={"model": "everything", "conversation": made["id"]})
    assert response.status_code == 200, response.text
    assert told(desk.engine) == [("user", "hello")]


async def test_what_fails_adds_nothing(desk: Desk) -> None:
    made = (await desk.ada.post("/v1/conversations", json={})).json()
    desk.engine.options = type(desk.engine.options)(fail=True)
    assert (await ask(desk.ada, "hi", conversation=made["id"])).status_code == 500
    refused(await ask(desk.ada, "hi", conversation="conv_none"), 404, "conversation", None)
    assert (await desk.ada.get(f"/v1/conversations/{made['id']}/items")).json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


async def test_to_others_there_is_no_conversation(desk: Desk) -> None:
    made = (await desk.ada.post("/v1/conversations", json={"items": [HELLO]})).json()
    item = (await desk.ada.get(f"/v1/conversations/{made['id']}/items")).json()["data"][0]["id"]
    for named in (made["id"], "conv_none"):
        path = f"/v1/conversations/{named}"
        for answer in (
            await desk.bob.get(path),
            await desk.bob.post(path, json={"metadata": {}}),
            await desk.bob.delete(path),
            await desk.bob.get(f"{path}/items"),
            await desk.bob.post(f"{path}/items", json={"items": [HELLO]}),
            await desk.bob.get(f"{path}/items/{item}"),
            await desk.bob.delete(f"{path}/items/{item}"),
        ):
            assert refused(answer, 404, None, None) == f"Conversation with id '{named}' not found."
        refused(await ask(desk.bob, "hi", conversation=named), 404, "conversation", None)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": [HELLO] * 21}, "items"),
        ({"items": "hello"}, "items"),
        ({"items": [{"type": "dance"}]}, "items[0].type"),
        ({"items": [HELLO, {"type": "item_reference", "id": "msg_1"}]}, "items[1].type"),
        ({"items": [{"type": "message", "role": "user"}]}, "items[0].content"),
        ({"items": [{"type": "reasoning", "summary": [], "encrypted_content": "x"}]}, "items[0].encrypted_content"),
        ({"metadata": {"a": "b" * 513}}, "metadata.a"),
        ({"metadata": {"a" * 65: "b"}}, f"metadata.{'a' * 65}"),
        ({"metadata": {f"{place}": "b" for place in range(17)}}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata.a"),
    ],
)
async def test_what_is_wrong_is_named(desk: Desk, body: dict[str, Any], param: str) -> None:
    answer = await desk.ada.post("/v1/conversations", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    if "items" in body:
        made = (await desk.ada.post("/v1/conversations", json={})).json()
        answer = await desk.ada.post(f"/v1/conversations/{made['id']}/items", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
        assert (await desk.ada.get(f"/v1/conversations/{made['id']}/items")).json()["data"] == []
    else:
        made = (await desk.ada.post("/v1/conversations", json={})).json()
        answer = await desk.ada.post(f"/v1/conversations/{made['id']}", json=body)
        assert answer.status_code == 400


async def test_nulls_and_no_body_are_nothing(desk: Desk) -> None:
    for made in (
        await desk.ada.post("/v1/conversations"),
        await desk.ada.post("/v1/conversations", json={"metadata": None, "items": None}),
    ):
        assert made.status_code == 200, made.text
        assert made.json()["metadata"] == {}
    path = f"/v1/conversations/{made.json()['id']}"
    refused(await desk.ada.post(path, json={}), 400, "metadata", "missing_required_parameter")
    refused(await desk.ada.post(f"{path}/items", json={}), 400, "items", "missing_required_parameter")


async def test_an_id_that_no_database_holds_is_replaced(desk: Desk) -> None:
    """PostgreSQL takes no NUL: the answer would be made, paid, and lost when it is written."""
    made = (await desk.ada.post("/v1/conversations", json={"items": [{**HELLO, "id": "a\0b"}]})).json()
    [item] = (await desk.ada.get(f"/v1/conversations/{made['id']}/items")).json()["data"]
    assert item["id"].startswith("msg_")
    response = await answered(desk.ada, [{**HELLO, "id": "a\0b"}])
    [sent] = (await desk.ada.get(f"/v1/responses/{response['id']}/input_items")).json()["data"]
    assert sent["id"].startswith("msg_")
    for path in ("/v1/responses/a%00b", "/v1/conversations/a%00b", f"/v1/conversations/{made['id']}/items/a%00b"):
        refused(await desk.ada.get(path), 404, None, None)
