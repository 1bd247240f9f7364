"""Background responses: answered at once, made without a client, streamed again, cancelled and paid."""

import asyncio
import json
from typing import Any

import pytest

from server.core import Task
from server.jobs.responses import claims
from server.testing import FakeServer
from tests.api.filing import refused
from tests.api.responses.asking import answered, ask, check, events_of, streamed, text_of
from tests.api.responses.keeping import Desk, desk, migrated_file
from tests.api.responses.test_stored import ANSWER, told

pytestmark = pytest.mark.anyio

__all__ = ["desk", "migrated_file"]


async def begun(desk: Desk, given: Any = "hi", **body: Any) -> dict[str, Any]:
    """A background response, queued."""
    response = await answered(desk.ada, given, background=True, **body)
    assert (response["status"], response["background"], response["output"]) == ("queued", True, [])
    return response


async def test_it_is_answered_at_once_and_made_without_its_client(desk: Desk) -> None:
    desk.engine.gate.close()
    response = await begun(desk, "hi", metadata={"a": "b"})
    await desk.engine.gate.until_waiting()
    assert (await desk.ada.get(f"/v1/responses/{response['id']}")).json()["status"] in ("queued", "in_progress")
    answer = await ask(desk.ada, "on", previous_response_id=response["id"])
    refused(answer, 400, "previous_response_id")
    desk.engine.gate.open()
    done = await desk.until(response["id"], "completed")
    check(done)
    assert text_of(done) == ANSWER
    assert done["metadata"] == {"a": "b"}
    assert done["usage"]["output_tokens"] == 5
    assert done["usage"]["credits"] > 0
    await answered(desk.ada, "on", previous_response_id=response["id"])
    assert told(desk.engine) == [("user", "hi"), ("assistant", ANSWER), ("user", "on")]
    items = (await desk.ada.get(f"/v1/responses/{response['id']}/input_items")).json()["data"]
    assert [item["content"][0]["text"] for item in items] == ["hi"]


async def test_it_is_paid_like_any(desk: Desk) -> None:
    before, _ = await desk.credits()
    foreground = await answered(desk.ada, "hi")
    paid = before - (await desk.credits())[0]
    assert foreground["usage"]["credits"] == pytest.approx(paid)
    response = await begun(desk, "hi")
    done = await desk.until(response["id"], "completed")
    assert done["usage"]["credits"] == foreground["usage"]["credits"]
    left, held = await desk.credits()
    assert before - left == pytest.approx(2 * paid)
    assert held == 0


async def test_it_is_counted_once_in_requests_and_in_tokens(desk: Desk) -> None:
    await desk.until((await begun(desk, "hi"))["id"], "completed")
    samples = desk.fake.services.metrics.samples()
    counted = {(name, labels.get("route")): value for name, labels, value in samples if value}
    assert counted["sagehold_requests_total", "/v1/responses"] == 1
    assert counted["sagehold_completion_tokens_total", None] == 5


async def test_its_stream_is_that_of_any_but_for_its_beginning(desk: Desk) -> None:
    events = await streamed(desk.ada, "hi", background=True)
    types = [event["type"] for event in events]
    assert types[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert [event["response"]["status"] for event in events[:3]] == ["queued", "queued", "in_progress"]
    plain = await streamed(desk.ada, "hi")
    assert types[3:] == [event["type"] for event in plain[2:]]
    last = events[-1]["response"]
    assert (await desk.ada.get(f"/v1/responses/{last['id']}")).json() == last
    for after in range(len(events)):
        answer = await desk.ada.get(f"/v1/responses/{last['id']}", params={"stream": True, "starting_after": after})
        assert answer.headers["content-type"].startswith("text/event-stream")
        read = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        assert read == events[after + 1 :]
    whole = await desk.ada.get(f"/v1/responses/{last['id']}?stream=true")
    assert events_of(whole.text) == events


async def test_whoever_hangs_up_on_the_stream_ends_nothing_and_takes_it_up_again(desk: Desk) -> None:
    desk.engine.gate.close()
    body = b'{"model":"everything","input":"hi","stream":true,"background":true}'
    async with desk.exchange("/v1/responses", body) as exchange:
        await desk.engine.gate.until_waiting()
        desk.engine.gate.let(3)
        await exchange.start()
        text = b""
        while b"output_text.delta" not in text:
            text += await exchange.chunk() or b""
    data = [json.loads(line[6:]) for line in text.decode().splitlines() if line.startswith("data: ")]
    assert [event["sequence_number"] for event in data] == list(range(len(data)))
    named = data[0]["response"]["id"]
    following = asyncio.create_task(
        desk.ada.get(f"/v1/responses/{named}?stream=true&starting_after={data[-1]['sequence_number']}")
    )
    await asyncio.sleep(0)
    desk.engine.gate.open()
    rest = [json.loads(line[6:]) for line in (await following).text.splitlines() if line.startswith("data: ")]
    events = [*data, *rest]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    assert desk.engine.cut_short == 0
    assert text_of(events[-1]["response"]) == ANSWER


async def test_cancelled_work_ends_and_what_was_made_is_kept_and_paid(desk: Desk) -> None:
    before, _ = await desk.credits()
    desk.engine.gate.close()
    response = await begun(desk, "hi", stream=False)
    await desk.engine.gate.until_waiting()
    desk.engine.gate.let(3)
    await desk.engine.gate.until_waiting()
    assert (await desk.credits())[1] > 0
    answer = await desk.ada.post(f"/v1/responses/{response['id']}/cancel")
    cancelled = answer.json()
    assert (answer.status_code, cancelled["status"]) == (200, "cancelled"), answer.text
    check(cancelled)
    assert desk.engine.running == 0
    assert desk.engine.cut_short == 1
    assert text_of(cancelled) == "Hello from"
    left, held = await desk.credits()
    assert held == 0
    assert before - left == pytest.approx(0.01 * cancelled["usage"]["input_tokens"] + 0.5 * 2)
    assert (await desk.ada.post(f"/v1/responses/{response['id']}/cancel")).json() == cancelled
    assert (await desk.ada.get(f"/v1/responses/{response['id']}")).json() == cancelled


async def test_one_that_waits_for_its_model_is_cancelled_for_nothing(desk: Desk) -> None:
    before, _ = await desk.credits()
    desk.fake.registry.loaded.clear()
    response = await begun(desk, "hi")
    while not desk.fake.registry.waiting:
        await asyncio.sleep(0)
    cancelled = (await desk.ada.post(f"/v1/responses/{response['id']}/cancel")).json()
    assert (cancelled["status"], cancelled["output"], cancelled["usage"]) == ("cancelled", [], None)
    assert desk.fake.registry.waiting == 0
    assert await desk.credits() == (before, 0)


async def test_deleting_ends_the_work(desk: Desk) -> None:
    desk.engine.gate.close()
    response = await begun(desk, "hi")
    await desk.engine.gate.until_waiting()
    desk.engine.gate.let(3)
    await desk.engine.gate.until_waiting()
    assert (await desk.ada.delete(f"/v1/responses/{response['id']}")).json()["deleted"] is True
    async with asyncio.timeout(5):
        await desk.engine.until_idle()
    refused(await desk.ada.get(f"/v1/responses/{response['id']}"), 404, None, None)
    while (await desk.credits())[1]:
        await asyncio.sleep(0.005)


async def test_an_engine_that_fails_fails_it_free_of_charge(desk: Desk) -> None:
    before, _ = await desk.credits()
    desk.engine.options = type(desk.engine.options)(die_after=3)
    events = await streamed(desk.ada, "hi", background=True)
    last = events[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["code"] == "server_error"
    failed = await desk.until(last["response"]["id"], "failed")
    assert failed == last["response"]
    assert await desk.credits() == (before, 0)


async def test_what_can_be_known_is_refused_at_once(desk: Desk) -> None:
    for body, status, param in (
        ({"model": "nothing"}, 404, None),
        ({"tools": [{"type": "web_search"}]}, 400, "tools[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, 400, "input[0].content[0].image_url"),
    ):
        answer = await desk.ada.post(
            "/v1/responses", json={"model": "everything", "input": "hi", "background": True, **body}
        )
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text
    poor = await desk.administration.accounts.create_account("poor")
    key = (await desk.administration.accounts.create_key(account=poor.id)).key
    async with desk.fake.client(key=key) as client:
        assert (await ask(client, "hi", background=True)).status_code == 402
    assert desk.responses.background.open == 0


async def test_what_is_too_long_fails_in_this_apis_words(desk: Desk) -> None:
    response = await begun(desk, "word " * 5000)
    failed = await desk.until(response["id"], "failed")
    assert failed["error"]["code"] == "invalid_prompt"
    assert "maximum context length" in failed["error"]["message"]


async def test_a_keys_own_limit_counts_them(desk: Desk) -> None:
    await desk.administration.accounts.change_account("ada", limits={"concurrent_requests": 1})
    desk.engine.gate.close()
    response = await begun(desk, "hi")
    await desk.engine.gate.until_waiting()
    for body in ({"background": True}, {}):
        refused(await ask(desk.ada, "hi", **body), 429, None, "rate_limit_exceeded")
    desk.engine.gate.open()
    await desk.until(response["id"], "completed")
    await answered(desk.ada, "hi")


async def test_an_account_has_a_bound_of_them(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MOST_OPEN", 1)
    desk.engine.gate.close()
    response = await begun(desk, "hi")
    await desk.engine.gate.until_waiting()
    answer = await ask(desk.ada, "hi", background=True)
    message = refused(answer, 429, None, "rate_limit_exceeded")
    assert "1 background responses" in message
    assert answer.headers["retry-after"] == "5"
    desk.engine.gate.open()
    await desk.until(response["id"], "completed")


async def test_its_turn_is_added_to_its_conversation_when_it_is_done(desk: Desk) -> None:
    talk = (await desk.ada.post("/v1/conversations", json={})).json()["id"]
    desk.engine.gate.close()
    kept = await begun(desk, "one", conversation=talk)
    cut = await begun(desk, "two", conversation=talk)
    await desk.engine.gate.until_waiting(2)
    await desk.ada.post(f"/v1/responses/{cut['id']}/cancel")
    desk.engine.gate.open()
    await desk.until(kept["id"], "completed")
    items = (await desk.ada.get(f"/v1/conversations/{talk}/items?order=asc")).json()["data"]
    assert [item["content"][0]["text"] for item in items] == ["one", ANSWER]


async def test_another_server_reads_streams_and_cancels_it(desk: Desk) -> None:
    accounts = desk.administration.accounts
    other = FakeServer(desk.fake.services.settings, accounts=accounts, knowledge=accounts.database)
    desk.engine.gate.close()
    async with other, other.client(key=desk.ada_key) as client:
        events = asyncio.create_task(streamed(desk.ada, "hi", background=True))
        await desk.engine.gate.until_waiting()
        desk.engine.gate.let(3)
        await desk.engine.gate.until_waiting()
        (named,) = desk.responses.background._works
        following = asyncio.create_task(client.get(f"/v1/responses/{named}?stream=true"))
        async with asyncio.timeout(5):
            while (await client.get(f"/v1/responses/{named}")).json()["status"] != "in_progress":
                await asyncio.sleep(0.005)
            cancelled = (await client.post(f"/v1/responses/{named}/cancel")).json()
            assert (cancelled["status"], text_of(cancelled)) == ("cancelled", "Hello from")
            here, there = await events, events_of((await following).text)
        assert here == there
        assert here[-1]["response"] == cancelled
        assert desk.engine.running == 0
        assert other.engines[Task.CHAT].started == 0


async def test_the_servers_end_fails_what_waits_for_a_model(desk: Desk) -> None:
    desk.fake.registry.loaded.clear()
    response = await begun(desk, "hi")
    while not desk.fake.registry.waiting:
        await asyncio.sleep(0)
    desk.fake.services.shutdown.begin()
    async with asyncio.timeout(5):
        while desk.responses.background.open:
            await asyncio.sleep(0.005)
    kept = await desk.responses.store.find(desk.ada_id, response["id"])
    assert kept.status == "failed"
    assert (await desk.credits())[1] == 0
