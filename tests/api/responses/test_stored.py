"""Responses are kept, gone on from, listed and deleted; to others as if they were not there."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from openai.types.responses.response_item_list import ResponseItemList
from sqlalchemy import func, select

from server.core import ChatJob
from server.engines.fake.engine import FakeEngine
from server.errors import DatabaseUnavailable
from server.jobs.tables import ConversationItemRow, ResponseItemRow, ResponseRow
from tests.api.filing import refused
from tests.api.responses.asking import answered, ask, check, events_of, streamed, text_of
from tests.api.responses.keeping import Desk, desk, migrated_file

pytestmark = pytest.mark.anyio

__all__ = ["desk", "migrated_file"]

ANSWER = "Hello from the fake engine."


def told(engine: FakeEngine) -> list[tuple[str, Any]]:
    """What the model was last told."""
    job = engine.jobs[-1]
    assert isinstance(job, ChatJob)
    return [(message["role"], message["content"]) for message in job.messages]


async def test_a_response_is_kept_as_it_was_answered(desk: Desk) -> None:
    response = await answered(desk.ada, "hi", metadata={"topic": "tea"})
    assert response["store"] is True
    kept = await desk.ada.get(f"/v1/responses/{response['id']}")
    assert kept.json() == response
    assert kept.headers["cache-control"] == "no-store"
    events = await streamed(desk.ada, "hi")
    kept = await desk.ada.get(f"/v1/responses/{events[-1]['response']['id']}")
    assert kept.json() == events[-1]["response"]


async def test_incomplete_ones_are_kept_too(desk: Desk) -> None:
    response = await answered(desk.ada, "hi", max_output_tokens=2)
    assert response["status"] == "incomplete"
    assert (await desk.ada.get(f"/v1/responses/{response['id']}")).json() == response


async def test_a_failed_stream_is_kept_as_failed(desk: Desk) -> None:
    desk.engine.gate.close()
    async with desk.exchange("/v1/responses", b'{"model":"everything","input":"hi","stream":true}') as exchange:
        await desk.engine.gate.until_waiting()
        desk.engine.gate.let(3)
        await exchange.start()
        desk.engine.die()
        desk.engine.gate.open()
        text = b""
        while (chunk := await exchange.chunk()) is not None:
            text += chunk
    last = events_of(text.decode())[-1]
    assert last["type"] == "response.failed"
    assert (await desk.ada.get(f"/v1/responses/{last['response']['id']}")).json() == last["response"]


async def test_whoever_hangs_up_has_it_neither_made_nor_kept(desk: Desk) -> None:
    desk.engine.gate.close()
    async with desk.exchange("/v1/responses", b'{"model":"everything","input":"hi","stream":true}') as exchange:
        await desk.engine.gate.until_waiting()
        desk.engine.gate.let(4)
        await exchange.start()
        await desk.engine.gate.until_waiting()
    await desk.engine.until_idle()
    assert desk.engine.cut_short == 1
    assert await _rows(desk) == (0, 0, 0)


async def _rows(desk: Desk) -> tuple[int, ...]:
    async with desk.administration.accounts.database.read() as session:
        tables = (ResponseRow, ResponseItemRow, ConversationItemRow)
        return tuple([await session.scalar(select(func.count()).select_from(table)) or 0 for table in tables])


async def test_what_is_not_to_be_stored_is_not(desk: Desk) -> None:
    for response in (
        await answered(desk.ada, "hi", store=False),
        (await streamed(desk.ada, "hi", store=False))[-1]["response"],
    ):
        assert response["store"] is False
        message = refused(await desk.ada.get(f"/v1/responses/{response['id']}"), 404, None, None)
        assert message == f"Response with id '{response['id']}' not found."
        answer = await ask(desk.ada, "on", previous_response_id=response["id"])
        refused(answer, 400, "previous_response_id", "previous_response_not_found")
    assert await _rows(desk) == (0, 0, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_can_not_be_kept_is_an_error_that_is_seen(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    async def keep(*_: object, **__: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(type(desk.responses.store), "keep", keep)
    before, _ = await desk.credits()
    if stream:
        events = await streamed(desk.ada, "hi")
        assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
        assert events[-2]["code"] == "database_unavailable"
        assert "response.completed" not in [event["type"] for event in events]
    else:
        refused(await ask(desk.ada, "hi"), 503, None, "database_unavailable")
    left, held = await desk.credits()
    assert held == 0
    assert (left < before) is stream, "what was delivered is paid, and what was not is free"


@pytest.mark.parametrize("stream", [False, True])
async def test_whoever_hangs_up_while_it_is_written_breaks_nothing_off(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    index = desk.responses.store.index
    before, _ = await desk.credits()

    async def slow(*arguments: Any) -> None:
        begun.set()
        await go_on.wait()
        await index(*arguments)

    monkeypatch.setattr(type(desk.responses.store), "index", lambda _, *arguments: slow(*arguments))
    body = json.dumps({"model": "everything", "input": "hi", "stream": stream}).encode()
    async with desk.exchange("/v1/responses", body) as exchange:
        await begun.wait()
        exchange.hang_up()
        for _ in range(10):
            await asyncio.sleep(0)
        go_on.set()
    assert await _rows(desk) == (1, 2, 0)
    left, held = await desk.credits()
    assert (left < before, held) == (True, 0)


async def test_a_response_goes_on_from_another(desk: Desk) -> None:
    first = await answered(desk.ada, "one", instructions="be brief")
    second = await answered(desk.ada, "two", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    assert told(desk.engine) == [("user", "one"), ("assistant", ANSWER), ("user", "two")], "no instructions"
    events = await streamed(desk.ada, "three", previous_response_id=second["id"], instructions="be kind")
    assert told(desk.engine) == [
        ("system", "be kind"),
        *[("user", "one"), ("assistant", ANSWER), ("user", "two"), ("assistant", ANSWER), ("user", "three")],
    ]
    assert text_of(events[-1]["response"]) == ANSWER
    await answered(desk.ada, "another two", previous_response_id=first["id"])
    assert told(desk.engine) == [("user", "one"), ("assistant", ANSWER), ("user", "another two")]
    counted = await desk.ada.post(
        "/v1/responses/input_tokens", json={"model": "everything", "input": "x", "previous_response_id": second["id"]}
    )
    alone = await desk.ada.post("/v1/responses/input_tokens", json={"model": "everything", "input": "x"})
    assert counted.json()["input_tokens"] > alone.json()["input_tokens"]


async def test_calls_and_their_results_go_on_too(desk: Desk) -> None:
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    called = await answered(desk.ada, "rain?", tools=[tool], tool_choice="required")
    call = next(item for item in called["output"] if item["type"] == "function_call")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    await answered(desk.ada, [result], tools=[tool], tool_choice="none", previous_response_id=called["id"])
    job = desk.engine.jobs[-1]
    assert isinstance(job, ChatJob)
    assert [message["role"] for message in job.messages] == ["user", "assistant", "tool"]
    assert job.messages[1]["tool_calls"][0]["id"] == job.messages[2]["tool_call_id"] == call["call_id"]


async def test_deleted_ones_can_not_be_gone_on_from(desk: Desk) -> None:
    first = await answered(desk.ada, "one")
    second = await answered(desk.ada, "two", previous_response_id=first["id"])
    gone = await desk.ada.delete(f"/v1/responses/{first['id']}")
    assert gone.json() == {"id": first["id"], "object": "response", "deleted": True}
    for answer in (
        await desk.ada.get(f"/v1/responses/{first['id']}"),
        await desk.ada.get(f"/v1/responses/{first['id']}/input_items"),
        await desk.ada.delete(f"/v1/responses/{first['id']}"),
        await desk.ada.post(f"/v1/responses/{first['id']}/cancel"),
    ):
        refused(answer, 404, None, None)
    answer = await ask(desk.ada, "on", previous_response_id=first["id"])
    refused(answer, 400, "previous_response_id", "previous_response_not_found")
    answer = await ask(desk.ada, "on", previous_response_id=second["id"])
    message = refused(answer, 400, "previous_response_id", "previous_response_not_found")
    assert "was deleted or has expired" in message
    assert (await desk.ada.get(f"/v1/responses/{second['id']}")).json() == second


async def test_to_others_there_is_nothing(desk: Desk) -> None:
    response = await answered(desk.ada, "one")
    for named in (response["id"], "resp_none"):
        path = f"/v1/responses/{named}"
        for answer in (
            await desk.bob.get(path),
            await desk.bob.get(f"{path}?stream=true"),
            await desk.bob.get(f"{path}/input_items"),
            await desk.bob.post(f"{path}/cancel"),
            await desk.bob.delete(path),
        ):
            assert refused(answer, 404, None, None) == f"Response with id '{named}' not found."
        answer = await ask(desk.bob, "on", previous_response_id=named)
        refused(answer, 400, "previous_response_id", "previous_response_not_found")
        answer = await ask(desk.bob, [{"type": "item_reference", "id": response["output"][0]["id"]}])
        refused(answer, 404, "input", None)
    assert (await desk.ada.get(f"/v1/responses/{response['id']}")).json() == response


async def test_input_items_are_listed_page_by_page(desk: Desk) -> None:
    given = [{"role": "user", "content": word} for word in ("a", "b", "c")]
    first = await answered(desk.ada, given)
    response = await answered(desk.ada, given, previous_response_id=first["id"])
    path = f"/v1/responses/{response['id']}/input_items"
    page = (await desk.ada.get(path)).json()
    ResponseItemList.model_validate(page)
    assert [item["content"][0]["text"] for item in page["data"]] == ["c", "b", "a"], "its own alone, newest first"
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
    assert page["has_more"] is False
    page = (await desk.ada.get(path, params={"limit": 2, "order": "asc"})).json()
    assert [item["content"][0]["text"] for item in page["data"]] == ["a", "b"]
    assert page["has_more"] is True
    rest = (await desk.ada.get(path, params={"after": page["last_id"], "order": "asc"})).json()
    assert [item["content"][0]["text"] for item in rest["data"]] == ["c"]
    for params, param in (({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"order": "up"}, "order")):
        refused(await desk.ada.get(path, params=params), 400, param)
    refused(await desk.ada.get(path, params={"after": "msg_none"}), 400, "after")


async def test_items_are_referred_to_by_their_ids(desk: Desk) -> None:
    first = await answered(desk.ada, "one")
    (item,) = first["output"]
    await answered(desk.ada, [{"type": "item_reference", "id": item["id"]}, {"role": "user", "content": "two"}])
    assert told(desk.engine) == [("assistant", ANSWER), ("user", "two")]
    given = [{"type": "item_reference", "id": item["id"]}, {"role": "user", "content": "two"}]
    await answered(desk.ada, given, previous_response_id=first["id"])
    assert told(desk.engine) == [("user", "one"), ("assistant", ANSWER), ("user", "two")], "it is there already"


async def test_reasoning_is_sealed_for_its_own_account(desk: Desk) -> None:
    desk.engine.options = type(desk.engine.options)(reasoning="deep thoughts", text="done")
    response = await answered(desk.ada, "think", include=["reasoning.encrypted_content"], store=False)
    sealed = response["output"][0]
    assert sealed["type"] == "reasoning"
    assert "deep" not in sealed["encrypted_content"]
    back = {"type": "reasoning", "id": sealed["id"], "summary": [], "encrypted_content": sealed["encrypted_content"]}
    given = [{"role": "user", "content": "think"}, back, response["output"][1], {"role": "user", "content": "on"}]
    await answered(desk.ada, given, store=False)
    job = desk.engine.jobs[-1]
    assert isinstance(job, ChatJob)
    assert job.messages[1]["reasoning"] == "deep thoughts"
    refused(await ask(desk.bob, given), 400, "input[1].encrypted_content", "invalid_encrypted_content")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"background": True, "store": False}, "store"),
        ({"conversation": "conv_1", "store": False}, "store"),
        ({"conversation": "conv_1", "previous_response_id": "resp_1"}, "previous_response_id"),
    ],
)
async def test_what_does_not_go_together_is_refused(desk: Desk, body: dict[str, Any], param: str) -> None:
    refused(await ask(desk.ada, "hi", **body), 400, param)


async def test_only_a_streamed_background_response_is_streamed_again(desk: Desk) -> None:
    response = await answered(desk.ada, "hi")
    path = f"/v1/responses/{response['id']}"
    assert "with 'background' and 'stream'" in refused(await desk.ada.get(f"{path}?stream=true"), 400, "stream")
    assert "synchronous" in refused(await desk.ada.post(f"{path}/cancel"), 400, None)
    assert (await desk.ada.get(f"{path}?stream=false")).json() == response


async def test_without_a_database_nothing_is_kept(client: httpx.AsyncClient) -> None:
    response = await answered(client, "hi")
    assert response["store"] is False
    for answer in (
        await client.get(f"/v1/responses/{response['id']}"),
        await ask(client, "on", previous_response_id=response["id"]),
        await ask(client, "on", background=True),
    ):
        assert answer.status_code == 503, answer.text
    check(response)
