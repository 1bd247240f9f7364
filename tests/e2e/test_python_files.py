"""Files through the OpenAI SDK for Python: kept, listed, read in parts, used, deleted."""

import base64
import io
import time
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.e2e.live import LiveServer

LINE = b'{"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o-mini"}}\n'
FACT = "The capital of Atlantis is Poseidonis. The capital of Atlantis has a large harbour."
MODEL = "gpt-4o-mini"


def test_a_file_is_kept_and_read_back(sdk: OpenAI, http: httpx.Client) -> None:
    data = bytes(range(256)) * 1000
    before = int(time.time())
    kept = sdk.files.create(file=("../a name\u2028.bin", data), purpose="user_data")
    assert kept.id.startswith("file-")
    assert (kept.object, kept.bytes, kept.purpose, kept.status) == ("file", len(data), "user_data", "processed")
    assert before - 1 <= kept.created_at <= time.time() + 1
    assert kept.expires_at is None
    assert sdk.files.retrieve(kept.id) == kept
    assert sdk.files.content(kept.id).read() == data
    part = http.get(f"/v1/files/{kept.id}/content", headers={"Range": "bytes=250-259"})
    assert (part.status_code, part.content) == (206, data[250:260])
    assert part.headers["content-range"] == f"bytes 250-259/{len(data)}"
    whole = http.get(f"/v1/files/{kept.id}/content")
    assert whole.headers["content-disposition"].startswith("attachment")
    assert whole.headers["x-content-type-options"] == "nosniff"
    deleted = sdk.files.delete(kept.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (kept.id, "file", True)
    for gone in (sdk.files.retrieve, sdk.files.content, sdk.files.delete):
        with pytest.raises(openai.NotFoundError):
            gone(kept.id)


def test_files_are_listed_in_pages_by_purpose_and_order(sdk: OpenAI) -> None:
    kept = [sdk.files.create(file=(f"{n}.jsonl", LINE * n), purpose="batch") for n in (1, 2, 3)]
    ours = {one.id for one in kept}
    assert [one.id for one in sdk.files.list(purpose="batch", order="asc", limit=1) if one.id in ours] == [
        one.id for one in kept
    ]
    newest = sdk.files.list(purpose="batch", limit=2)
    assert [one.id for one in newest.data] == [kept[2].id, kept[1].id]
    assert newest.has_more is True
    assert not ours & {one.id for one in sdk.files.list(purpose="vision")}
    for one in kept:
        sdk.files.delete(one.id)


def test_a_file_says_when_it_expires(sdk: OpenAI) -> None:
    kept = sdk.files.create(
        file=("a.txt", b"text"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert kept.expires_at == kept.created_at + 3600
    sdk.files.delete(kept.id)
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.files.create(
            file=("a.txt", b"text"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 1}
        )
    assert caught.value.param == "expires_after[seconds]"


@pytest.mark.parametrize(
    ("file", "purpose", "param"),
    [(("a.txt", b"text"), "nothing", "purpose"), (("a.txt", b"text"), None, "purpose"), (None, "user_data", "file")],
)
def test_what_lacks_something_is_refused_by_name(
    http: httpx.Client, file: Any, purpose: str | None, param: str
) -> None:
    parts: Any = {"purpose": (None, purpose)} if purpose is not None else {}
    answer = http.post("/v1/files", files=parts | ({"file": file} if file else {}))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_stranger_sees_what_never_was(sdk: OpenAI, server: LiveServer) -> None:
    kept = sdk.files.create(file=("a.txt", b"secret"), purpose="user_data")
    server.command("accounts", "create", "stranger to files", "--unmetered")
    stranger = sdk.with_options(api_key=server.command("keys", "create", "--account", "stranger to files"))
    assert list(stranger.files.list()) == []
    said = []
    for name in (kept.id, "file-" + "0" * (len(kept.id) - 5)):
        for use in (stranger.files.retrieve, stranger.files.content, stranger.files.delete):
            with pytest.raises(openai.NotFoundError) as caught:
                use(name)
            said.append((caught.value.code, caught.value.message.replace(name, "…")))
    assert len(set(said)) == 1
    assert sdk.files.content(kept.id).read() == b"secret"
    sdk.files.delete(kept.id)


def test_a_text_is_read_in_a_response_and_in_a_chat(sdk: OpenAI) -> None:
    kept = sdk.files.create(file=("atlantis.txt", FACT.encode()), purpose="user_data")
    question = "What is the capital of Atlantis?"
    asked: Any = [
        {
            "role": "user",
            "content": [{"type": "input_file", "file_id": kept.id}, {"type": "input_text", "text": question}],
        }
    ]
    answer = sdk.responses.create(model=MODEL, input=asked, temperature=0, max_output_tokens=60)
    plain = sdk.responses.create(model=MODEL, input=question, temperature=0, max_output_tokens=60)
    assert answer.usage is not None
    assert plain.usage is not None
    assert answer.usage.input_tokens > plain.usage.input_tokens + 15
    assert "Poseidonis" in answer.output_text
    messages: Any = [
        {
            "role": "user",
            "content": [{"type": "file", "file": {"file_id": kept.id}}, {"type": "text", "text": question}],
        }
    ]
    chat = sdk.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=60)
    assert "Poseidonis" in (chat.choices[0].message.content or "")
    sdk.files.delete(kept.id)
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.responses.create(model=MODEL, input=asked)
    assert caught.value.param == "input[0].content[0].file_id"


def test_a_file_within_the_request_is_read_alike(sdk: OpenAI) -> None:
    data = f"data:text/plain;base64,{base64.b64encode(FACT.encode()).decode()}"
    part = {"type": "input_file", "filename": "atlantis.txt", "file_data": data}
    asked: Any = [
        {"role": "user", "content": [part, {"type": "input_text", "text": "What is the capital of Atlantis?"}]}
    ]
    answer = sdk.responses.create(model=MODEL, input=asked, temperature=0, max_output_tokens=60)
    assert "Poseidonis" in answer.output_text


@pytest.mark.anyio
async def test_the_asynchronous_client(server: LiveServer) -> None:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, timeout=100) as sdk:
        kept = await sdk.files.create(file=io.BytesIO(b"some text"), purpose="user_data")
        assert (await sdk.files.wait_for_processing(kept.id)).status == "processed"
        assert (await sdk.files.content(kept.id)).read() == b"some text"
        async with sdk.files.with_streaming_response.content(kept.id) as streamed:
            assert b"".join([piece async for piece in streamed.iter_bytes()]) == b"some text"
        assert kept.id in [one.id async for one in sdk.files.list()]
        assert (await sdk.files.delete(kept.id)).deleted is True
