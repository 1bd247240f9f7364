"""POST /tokenize and /detokenize, at the root and under /v1, over the fake engine.

There a text's tokens are characters, and a chat's are words.
"""

from typing import Any

import httpx
import pytest

from server.core import ChatJob, CompletionJob, Task, TokenizeJob
from server.engines.fake.engine import FakeEngine
from server.testing import FakeServer

pytestmark = pytest.mark.anyio

HELLO = [{"role": "user", "content": "hi"}]
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def engine(fake: FakeServer) -> FakeEngine:
    return fake.engines[Task.TOKENIZE]


async def ask(client: httpx.AsyncClient, path: str = "/tokenize", **body: Any) -> httpx.Response:
    return await client.post(path, json={"model": "everything", **body})


def asked(engine: FakeEngine) -> TokenizeJob:
    job = engine.jobs[-1]
    assert isinstance(job, TokenizeJob)
    return job


@pytest.mark.parametrize("root", ["", "/v1", "/server/v1"])
async def test_a_text_becomes_ids_and_a_text_again(client: httpx.AsyncClient, root: str) -> None:
    there = await ask(client, f"{root}/tokenize", prompt="hé!")
    assert there.json() == {"count": 3, "max_model_len": 4096, "tokens": [104, 233, 33], "token_strs": None}
    back = await ask(client, f"{root}/detokenize", tokens=there.json()["tokens"])
    assert back.json() == {"prompt": "hé!"}


async def test_spellings_come_if_asked_for(client: httpx.AsyncClient) -> None:
    assert (await ask(client, prompt="ab", return_token_strs=True)).json()["token_strs"] == ["a", "b"]


async def test_a_chat_is_laid_out_first(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    assert (await ask(client, messages=HELLO, tools=[FUNCTION])).json()["count"] == 1
    chat = asked(engine).of
    assert isinstance(chat, ChatJob)
    assert chat.messages == tuple(HELLO)
    assert [tool.name for tool in chat.tools] == ["f"]
    assert (chat.add_generation_prompt, chat.continue_final_message) == (True, False)
    await ask(client, messages=[*HELLO, {"role": "assistant", "content": "Well,"}], continue_final_message=True)
    chat = asked(engine).of
    assert isinstance(chat, ChatJob)
    assert (chat.add_generation_prompt, chat.continue_final_message) == (False, True)
    await ask(client, messages=HELLO, add_generation_prompt=False)
    chat = asked(engine).of
    assert isinstance(chat, ChatJob)
    assert chat.add_generation_prompt is False


async def test_special_tokens_are_added_to_a_text_unless_the_client_says_no(
    client: httpx.AsyncClient, engine: FakeEngine
) -> None:
    for said, added in ((None, True), (True, True), (False, False)):
        await ask(client, prompt="a", add_special_tokens=said)
        text = asked(engine).of
        assert isinstance(text, CompletionJob)
        assert text.add_special_tokens is added


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": "a", "messages": HELLO}, "prompt"),
        ("/tokenize", {"prompt": ["a"]}, "prompt"),
        ("/tokenize", {"messages": []}, "messages"),
        ("/tokenize", {"messages": HELLO, "add_special_tokens": True}, "add_special_tokens"),
        ("/tokenize", {"messages": HELLO, "chat_template": "{{ messages }}"}, "chat_template"),
        (
            "/tokenize",
            {"messages": HELLO, "continue_final_message": True, "add_generation_prompt": True},
            "continue_final_message",
        ),
        ("/detokenize", {}, "tokens"),
        ("/detokenize", {"tokens": [1.5]}, "tokens[0]"),
        ("/detokenize", {"tokens": [-1]}, "tokens[0]"),
        ("/detokenize", {"tokens": "abc"}, "tokens"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], param: str
) -> None:
    answer = await ask(client, path, **body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


async def test_a_model_without_a_tokenizer_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await ask(client, model="fake-image", prompt="a")).status_code == 404
