"""truncation: what is left out of a conversation that is too long, and what never is."""

import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.api.openai.responses.truncation import droppable
from server.core import ChatJob, Task
from server.settings import Settings
from server.testing import FakeServer
from tests.api.responses.asking import answered, ask

U, A, S = ({"role": role, "content": "x"} for role in ("user", "assistant", "system"))


P = {"role": "user", "content": [{"type": "image_url"}]}


def C(*ids: str) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": [{"id": call_id} for call_id in ids]}


def T(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "x"}


def test_thousands_of_calls_and_turns_take_no_time() -> None:
    """As many as a request may have: each turn looked at all calls again, for a second in which nobody else ran."""
    calls = C(*(f"call_{number}" for number in range(8000)))
    messages = [U, calls, *([U, A] * 1000), U]
    begun = time.thread_time()
    assert len(droppable(messages)) == 1001
    assert time.thread_time() - begun < 0.2


@pytest.mark.parametrize(
    ("messages", "groups"),
    [
        ([], []),
        ([U], []),
        ([S, U], []),
        ([S, A], []),
        ([U, A, U], [[0, 1]]),
        ([A, U, A, U], [[0], [1, 2]]),
        ([S, U, A, S, U, A, U], [[1, 2], [4, 5]]),
        ([U, A, U, A], [[0, 1]]),
        ([S, U, A, U, C("a"), T("a"), C("b"), T("b")], [[1, 2], [4, 5]]),
        ([U, C("a", "b"), T("a"), T("b"), C("c"), T("c"), C("d"), T("d")], [[1, 2, 3], [4, 5]]),
        ([U, C("a"), U, T("a"), U], [[0, 1, 2, 3]]),  # a result that came late
        ([U, C("a"), U, T("a")], []),
        ([U, A, U, C("a"), U, T("a")], [[0, 1]]),
        ([U, C("a"), T("a"), P, C("b"), T("b"), P], [[1, 2, 3]]),
        ([U, C("a"), T("a"), P, U], [[0, 1, 2, 3]]),
    ],
)
def test_what_may_go(messages: list[dict[str, Any]], groups: list[list[int]]) -> None:
    assert droppable(messages) == groups


@given(st.lists(st.sampled_from(["user", "assistant", "system", "call", "result", "late"]), max_size=30))
def test_no_result_is_ever_without_its_call(kinds: list[str]) -> None:
    messages: list[dict[str, Any]] = []
    called: list[str] = []
    for place, kind in enumerate(kinds):
        if kind == "call":
            called.append(f"c{place}")
            messages.append(C(called[-1]))
        elif kind in ("result", "late"):
            if called:
                messages.append(T(called[-1 if kind == "result" else 0]))
        else:
            messages.append({"role": kind, "content": "x"})
    groups = droppable(messages)
    assert [number for group in groups for number in group] == sorted({n for group in groups for n in group})
    for count in range(len(groups) + 1):
        gone = {number for group in groups[:count] for number in group}
        kept = [message for number, message in enumerate(messages) if number not in gone]
        assert [one for one in kept if one["role"] == "system"] == [one for one in messages if one["role"] == "system"]
        assert messages[-1:] == kept[-1:]
        users = [number for number, one in enumerate(messages) if one["role"] == "user"]
        assert not users or users[-1] not in gone
        ids: set[str] = set()
        for message in kept:
            ids |= {one["id"] for one in message.get("tool_calls", ())}
            assert message["role"] != "tool" or message["tool_call_id"] in ids


# ---------------------------------------------------------------- over the fake engine, whose tokens are words

TURN = [{"role": "user", "content": "one two three"}, {"role": "assistant", "content": "four five"}]
LAST = {"role": "user", "content": "and now"}


def server_with(settings: Settings, context: int) -> FakeServer:
    return FakeServer(settings, {Task.CHAT: {"context": context}, Task.TOKENIZE: {"context": context}})


def read(server: FakeServer) -> list[Any]:
    job = server.engines[Task.CHAT].jobs[-1]
    assert isinstance(job, ChatJob)
    return [message["content"] for message in job.messages]


@pytest.mark.anyio
async def test_the_oldest_turns_go_and_leave_room_for_an_answer(settings: Settings) -> None:
    async with server_with(settings, context=400) as server, server.client() as client:
        given = [{"role": "developer", "content": "stay"}, *TURN * 100, LAST]
        body = await answered(client, given, truncation="auto", instructions="be brief", max_output_tokens=50)
        # 3 + 2 words stay, and 50 are for the answer: 69 of the turns have room in the rest.
        assert read(server) == ["be brief\n\nstay", *["one two three", "four five"] * 69, "and now"]
        assert body["usage"]["input_tokens"] == 3 + 69 * 5 + 2
        assert body["truncation"] == "auto"
        assert (body["status"], server.engines[Task.CHAT].running) == ("completed", 0)
        counted = await client.post(
            "/v1/responses/input_tokens",
            json={"model": "everything", "input": given, "instructions": "be brief", "truncation": "auto"}
            | {"max_output_tokens": 50},
        )
        assert counted.json()["input_tokens"] == body["usage"]["input_tokens"]


@pytest.mark.anyio
async def test_what_fits_stays_whole(settings: Settings) -> None:
    async with server_with(settings, context=400) as server, server.client() as client:
        await answered(client, [*TURN * 79, LAST], truncation="auto")
        assert len(read(server)) == 159
        assert server.engines[Task.CHAT].started == 1


@pytest.mark.anyio
async def test_without_it_and_where_nothing_may_go_it_is_too_long(settings: Settings) -> None:
    async with server_with(settings, context=20) as server, server.client() as client:
        for given, truncation in (
            ([*TURN * 10, LAST], "disabled"),
            ("word " * 21, "auto"),
            ([*TURN, {"role": "user", "content": "word " * 21}], "auto"),
        ):
            answer = await ask(client, given, truncation=truncation)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "input")
        assert server.engines[Task.CHAT].running == 0


@pytest.mark.anyio
async def test_however_many_tries_it_takes_it_is_one_request(client: httpx.AsyncClient, settings: Settings) -> None:
    from server.core import Caller, Limits

    async with server_with(settings, context=400) as server:
        caller = Caller(key_id="key_few", account_id="acct_test", limits=Limits(requests_per_minute=1))
        server.accounts.keys["few"] = caller  # type: ignore[union-attr]
        async with server.client(key="few") as few:
            body = await answered(few, [*TURN * 100, LAST], truncation="auto")
            assert body["status"] == "completed"
            assert (await ask(few, "again")).status_code == 429


@pytest.mark.anyio
async def test_a_stream_is_shortened_too(settings: Settings) -> None:
    async with server_with(settings, context=300) as server, server.client() as client:
        answer = await ask(client, [*TURN * 100, LAST], truncation="auto", stream=True)
        assert "response.completed" in answer.text
        assert read(server)[-1] == "and now"
