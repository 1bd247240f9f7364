"""What a response asks of whatever remembers responses: history before, items by reference, the row before the end."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from server.api.openai.responses import input_tokens, route
from server.api.openai.responses.items import Item, items_of
from server.api.openai.responses.turn import Before, Turn
from server.core import ChatJob, Task
from server.errors import InvalidRequest, NotFound, StorageFull
from server.settings import Settings
from server.testing import FakeServer
from tests.api.responses.asking import answered, ask, events_of, streamed

pytestmark = pytest.mark.anyio


@dataclass
class Memory:
    """Remembers in a dictionary. full: whether nothing more can be written."""

    items: list[Item] = field(default_factory=list)
    kept: list[tuple[Turn, Mapping[str, Any]]] = field(default_factory=list)
    full: bool = False

    async def history(self, account_id: str, previous_id: str | None, conversation_id: str | None) -> Before:
        if account_id != "acct_test" or previous_id == "resp_unknown":
            raise NotFound("Previous response with id 'resp_unknown' not found.", param="previous_response_id")
        assert (previous_id, conversation_id) in (("resp_1", None), (None, "conv_1"))
        return Before(self.items)

    async def referred(self, account_id: str, ids: Sequence[str]) -> Mapping[str, Item]:
        assert account_id == "acct_test"
        return {"msg_far": items_of("from afar")[0]}

    async def keep(self, turn: Turn, response: Mapping[str, Any]) -> None:
        if self.full:
            raise StorageFull
        self.kept.append((turn, response))

    def sealed(self, account_id: str, text: str) -> str:
        return f"{account_id}:{text[::-1]}"

    def opened(self, account_id: str, sealed: str, param: str) -> str:
        if not sealed.startswith(account_id):
            raise InvalidRequest("It is another's.", param=param, code="invalid_encrypted_content")
        return sealed.removeprefix(f"{account_id}:")[::-1]


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def server(settings: Settings, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeServer]:
    for module in (route, input_tokens):
        monkeypatch.setattr(module, "keeper_of", lambda _: memory)
    async with FakeServer(settings, {Task.CHAT: {"reasoning": "so it is"}}) as server:
        yield server


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[httpx.AsyncClient]:
    async with server.client() as opened:
        yield opened


def read(server: FakeServer) -> list[Any]:
    job = server.engines[Task.CHAT].jobs[-1]
    assert isinstance(job, ChatJob)
    return [message["content"] for message in job.messages]


@pytest.mark.parametrize("before", [{"previous_response_id": "resp_1"}, {"conversation": {"id": "conv_1"}}])
async def test_what_came_before_is_read_first(
    server: FakeServer, client: httpx.AsyncClient, memory: Memory, before: dict[str, Any]
) -> None:
    memory.items = items_of([{"role": "user", "content": "first"}, {"role": "assistant", "content": "second"}])
    body = await answered(client, "third", instructions="be brief", **before)
    assert read(server) == ["be brief", "first", "second", "third"]
    assert body["previous_response_id"] == before.get("previous_response_id")
    assert body["conversation"] == before.get("conversation")
    await answered(client, None, **before)
    assert read(server) == ["first", "second"]


async def test_what_is_kept_is_what_the_client_gets(client: httpx.AsyncClient, memory: Memory) -> None:
    body = await answered(client, "hello", metadata={"a": "b"})
    events = await streamed(client, "hello")
    assert [response for _, response in memory.kept] == [body, events[-1]["response"]]
    assert all(response["store"] for _, response in memory.kept)
    turn, _ = memory.kept[0]
    assert (turn.id, turn.account_id) == (body["id"], "acct_test")
    assert [item["content"] for item in turn.own] == [[{"type": "input_text", "text": "hello"}]]


async def test_what_is_not_to_be_stored_is_not_kept(client: httpx.AsyncClient, memory: Memory) -> None:
    assert (await answered(client, store=False))["store"] is False
    await streamed(client, store=False)
    assert memory.kept == []


async def test_what_can_not_be_kept_is_an_error(client: httpx.AsyncClient, memory: Memory) -> None:
    memory.full = True
    answer = await ask(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_full")
    events = events_of((await ask(client, stream=True)).text)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["code"] == "storage_full"
    assert events[-1]["response"]["output"], "what was said is shown all the same"


async def test_items_are_referred_to(server: FakeServer, client: httpx.AsyncClient, memory: Memory) -> None:
    memory.items = items_of([{"role": "user", "content": "first", "id": "msg_1"}])
    given = [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_far"}, {"role": "user", "content": "now"}]
    await answered(client, given, previous_response_id="resp_1")
    assert read(server) == ["first", "from afar", "now"]  # what is there already is not said twice
    assert [item["type"] for item in memory.kept[0][0].own] == ["message", "message"]
    answer = await ask(client, [{"id": "msg_nobodys"}])
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "input")


async def test_a_history_that_is_not_there_is_told(client: httpx.AsyncClient) -> None:
    answer = await ask(client, previous_response_id="resp_unknown")
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "previous_response_id")


async def test_reasoning_is_sealed_for_the_client_and_opened_again(
    server: FakeServer, client: httpx.AsyncClient
) -> None:
    include = ["reasoning.encrypted_content"]
    body = await answered(client, include=include, store=False)
    reasoning, message = body["output"]
    assert reasoning["encrypted_content"] == "acct_test:si ti os"
    done = [event for event in await streamed(client, include=include) if event["type"] == "response.output_item.done"]
    assert done[0]["item"]["encrypted_content"] == "acct_test:si ti os"
    assert "encrypted_content" not in (await answered(client))["output"][0]
    user = {"role": "user", "content": "and?"}
    await answered(client, [user, {**reasoning, "content": None}, message, user])
    job = server.engines[Task.CHAT].jobs[-1]
    assert isinstance(job, ChatJob)
    assert job.messages[1]["reasoning"] == "so it is"
    sealed = {**reasoning, "content": None, "encrypted_content": "acct_other:si ti os"}
    answer = await ask(client, [user, sealed])
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_encrypted_content")
    assert error["param"] == "input[1].encrypted_content"
