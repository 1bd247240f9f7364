"""Batches through the OpenAI SDK for Python, on the real starter models: each kind of request, and its ends."""

import asyncio
import json
import re
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Batch

from tests.e2e.conftest import FOX
from tests.e2e.live import LiveServer, until
from tests.e2e.test_python_audio import words

MODEL = "gpt-4o-mini"
JAPAN = "What is the capital of Japan?"
TOKYO = "The capital of Japan is Tokyo."
CHATS = "/v1/chat/completions"
OVER = ("completed", "failed", "expired", "cancelled")
Rows = dict[str, Any]


def chat(content: str = JAPAN, **fields: Any) -> Rows:
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
        "max_tokens": 20,
    } | fields


def lines(endpoint: str, bodies: list[Any]) -> bytes:
    """A line a body; custom ids are `line 0`, `line 1` …"""
    rows = [
        {"custom_id": f"line {place}", "method": "POST", "url": endpoint, "body": body}
        for place, body in enumerate(bodies)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def started(sdk: OpenAI, endpoint: str, data: bytes, **fields: Any) -> Batch:
    kept = sdk.files.create(file=("input.jsonl", data), purpose="batch")
    chosen: Any = {"endpoint": endpoint, "input_file_id": kept.id, "completion_window": "24h"} | fields
    batch: Batch = sdk.batches.create(**chosen)
    assert batch.id.startswith("batch_")
    assert (batch.object, batch.endpoint, batch.input_file_id) == ("batch", endpoint, kept.id)
    assert batch.status in ("validating", "in_progress")
    return batch


def over(sdk: OpenAI, batch: Batch) -> Batch:
    def done() -> Batch | None:
        now = sdk.batches.retrieve(batch.id)
        return now if now.status in OVER else None

    found = until(done, "the batch is over", within=90, every=0.1)
    assert found is not None
    return found


def rows(sdk: OpenAI, file: str | None) -> Rows:
    """By custom id, each there once."""
    assert file is not None
    found = [json.loads(line) for line in sdk.files.content(file).text.splitlines()]
    by_id = {row["custom_id"]: row for row in found}
    assert len(by_id) == len(found)
    return by_id


def answered(sdk: OpenAI, endpoint: str, bodies: list[Any]) -> list[Any]:
    """The bodies of the answers, in the order of the lines; every line succeeded."""
    batch = over(sdk, started(sdk, endpoint, lines(endpoint, bodies)))
    assert batch.status == "completed", batch
    assert batch.request_counts is not None
    counts = (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed)
    assert counts == (len(bodies), len(bodies), 0), sdk.files.content(batch.error_file_id or "").text
    assert batch.error_file_id is None
    found = rows(sdk, batch.output_file_id)
    for row in found.values():
        assert row["id"].startswith("batch_req_")
        assert (row["error"], row["response"]["status_code"]) == (None, 200)
        place = row["custom_id"].removeprefix("line ")
        assert row["response"]["request_id"] == f"{batch.id}-{int(place) + 1}", "its name in the ledger and in the log"
    return [found[f"line {place}"]["response"]["body"] for place in range(len(bodies))]


def test_chats_are_answered_as_if_each_was_asked_alone(sdk: OpenAI) -> None:
    answers = answered(sdk, CHATS, [chat(), chat("How many days are in a week?"), chat(model="acme/chat")])
    texts = [answer["choices"][0]["message"]["content"] for answer in answers]
    assert texts[0] == texts[2] == TOKYO
    assert "7" in texts[1]
    assert [answer["model"] for answer in answers] == [MODEL, MODEL, "acme/chat"]
    assert answers[0]["usage"]["completion_tokens"] == 8


def test_completions(sdk: OpenAI) -> None:
    body = {"model": MODEL, "prompt": "The capital of Japan is", "max_tokens": 4, "temperature": 0}
    (answer,) = answered(sdk, "/v1/completions", [body])
    alone = sdk.completions.create(**body)
    assert answer["choices"][0]["text"] == alone.choices[0].text


def test_embeddings(sdk: OpenAI) -> None:
    body = {"model": "text-embedding-3-small", "input": "Hello", "encoding_format": "float"}
    (answer,) = answered(sdk, "/v1/embeddings", [body])
    assert answer["data"][0]["embedding"] == pytest.approx(
        sdk.embeddings.create(**body).data[0].embedding,
        abs=1e-5,  # type: ignore[arg-type]
    )


def test_responses(sdk: OpenAI) -> None:
    bodies = [
        {"model": MODEL, "input": JAPAN, "temperature": 0, "max_output_tokens": 20},
        {"model": MODEL, "input": JAPAN, "temperature": 0, "max_output_tokens": 20, "store": False},
    ]
    answers = answered(sdk, "/v1/responses", bodies)
    assert [answer["output"][0]["content"][0]["text"] for answer in answers] == [TOKYO, TOKYO]
    assert sdk.responses.retrieve(answers[0]["id"]).output_text == TOKYO
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(answers[1]["id"])


def test_images(sdk: OpenAI) -> None:
    names = [model.id for model in sdk.models.list() if "image" in model.to_dict()["capabilities"]]  # type: ignore[operator]
    if not names:
        pytest.skip("NO IMAGE MODEL IS INSTALLED: scripts/models brings it; nothing of images was tested for real")
    body = {"model": names[0], "prompt": "red heart", "response_format": "b64_json"}
    (answer,) = answered(sdk, "/v1/images/generations", [body])
    assert len(answer["data"][0]["b64_json"]) > 1000


def test_transcriptions_by_file_id(sdk: OpenAI, fox: bytes) -> None:
    kept = sdk.files.create(file=("fox.mp3", fox), purpose="user_data")
    bodies = [{"model": "whisper-1", "file_id": kept.id}, {"model": "whisper-1", "file_id": "file-none"}]
    endpoint = "/v1/audio/transcriptions"
    batch = over(sdk, started(sdk, endpoint, lines(endpoint, bodies)))
    assert batch.status == "completed"
    assert words(rows(sdk, batch.output_file_id)["line 0"]["response"]["body"]["text"]) == words(FOX)
    failed = rows(sdk, batch.error_file_id)["line 1"]
    assert failed["response"]["body"]["error"]["param"] == "file_id"


def test_lines_that_fail_are_in_a_file_of_their_own(sdk: OpenAI) -> None:
    batch = over(sdk, started(sdk, CHATS, lines(CHATS, [chat(), chat(temperature=5), chat()])))
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (2, 1)
    assert set(rows(sdk, batch.output_file_id)) == {"line 0", "line 2"}
    (failed,) = rows(sdk, batch.error_file_id).values()
    assert failed["custom_id"] == "line 1"
    assert failed["response"]["status_code"] == 400
    assert failed["response"]["body"]["error"]["param"] == "temperature"


def test_a_file_that_is_wrong_is_refused_by_its_lines(sdk: OpenAI) -> None:
    good = lines(CHATS, [chat()])
    wrong = good + b"no JSON\n" + good + lines("/v1/embeddings", [{}]).replace(b"line 0", b"other")
    batch = over(sdk, started(sdk, CHATS, wrong))
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [one.line for one in batch.errors.data] == [2, 3, 4]
    assert all(one.code and one.message for one in batch.errors.data)
    assert batch.output_file_id is None
    assert batch.failed_at is not None


def test_a_batch_is_cancelled_and_keeps_what_is_done(sdk: OpenAI, server: LiveServer) -> None:
    endless = chat(max_tokens=6000, ignore_eos=True)
    batch = started(sdk, CHATS, lines(CHATS, [chat(), *[endless] * 20]), metadata={"night": "one"})

    def first_done() -> bool:
        now = sdk.batches.retrieve(batch.id)
        return now.request_counts is not None and now.request_counts.completed >= 1

    until(first_done, "the first line is done", within=60, every=0.1)
    assert sdk.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    ended = over(sdk, batch)
    assert (ended.status, ended.metadata) == ("cancelled", {"night": "one"})
    assert ended.cancelled_at is not None
    assert rows(sdk, ended.output_file_id)["line 0"]["response"]["body"]["choices"][0]["message"]["content"] == TOKYO
    until(lambda: server.running("smollm2-135m-instruct") == 0, "nothing runs any more", within=10)


def test_a_batch_pauses_and_goes_on(sdk: OpenAI) -> None:
    batch = started(sdk, CHATS, lines(CHATS, [chat("Tell me a story.", max_tokens=60, ignore_eos=True)] * 40))
    until(lambda: sdk.batches.retrieve(batch.id).status == "in_progress", "it runs", within=30)
    paused: Any = sdk.post(f"/batches/{batch.id}/pause", cast_to=object)
    assert (paused["status"], paused["paused"]["reason"]) == ("in_progress", "user")
    resumed: Any = sdk.post(f"/batches/{batch.id}/resume", cast_to=object)
    assert resumed["paused"] is None
    ended = over(sdk, batch)
    assert ended.status == "completed"
    assert ended.request_counts is not None
    assert ended.request_counts.completed == 40


def test_half_the_price_is_charged_and_told(sdk: OpenAI, server: LiveServer) -> None:
    server.command("accounts", "create", "night shift", "--credits", "5")
    sdk = sdk.with_options(api_key=server.command("keys", "create", "--account", "night shift"))
    alone = sdk.chat.completions.create(**chat())
    batch = over(sdk, started(sdk, CHATS, lines(CHATS, [chat()])))
    assert alone.usage is not None
    assert batch.usage is not None
    assert (batch.usage.input_tokens, batch.usage.output_tokens) == (
        alone.usage.prompt_tokens,
        alone.usage.completion_tokens,
    )
    whole, half = (float(str(one.to_dict()["credits"])) for one in (alone.usage, batch.usage))
    assert whole == pytest.approx(0.0008 * alone.usage.total_tokens)
    assert half == pytest.approx(whole / 2)
    left: Any = sdk.get("/credits", cast_to=object)
    assert left["balance"] == pytest.approx(5 - whole - half)


def test_the_output_answers_though_the_input_is_gone(sdk: OpenAI) -> None:
    batch = started(sdk, CHATS, lines(CHATS, [chat()] * 8))
    sdk.files.delete(batch.input_file_id)
    ended = over(sdk, batch)
    assert ended.status == "completed"
    assert len(rows(sdk, ended.output_file_id)) == 8
    output = sdk.files.retrieve(ended.output_file_id or "")
    assert output.purpose == "batch_output"
    assert re.search(r"\.jsonl$", output.filename)


def test_batches_are_listed_newest_first(sdk: OpenAI) -> None:
    ids = [started(sdk, CHATS, lines(CHATS, [chat()])).id for _ in range(3)]
    page = sdk.batches.list(limit=2)
    assert [one.id for one in page.data] == [ids[2], ids[1]]
    assert page.has_more is True
    assert ids[0] in [one.id for one in sdk.batches.list(limit=2)]
    for one in ids:
        over(sdk, sdk.batches.retrieve(one))


def test_a_stranger_sees_what_never_was(sdk: OpenAI, server: LiveServer) -> None:
    batch = started(sdk, CHATS, lines(CHATS, [chat()]))
    server.command("accounts", "create", "stranger to batches", "--unmetered")
    stranger = sdk.with_options(api_key=server.command("keys", "create", "--account", "stranger to batches"))
    assert list(stranger.batches.list()) == []
    said = []
    for name in (batch.id, "batch_" + "0" * (len(batch.id) - 6)):
        for use in (stranger.batches.retrieve, stranger.batches.cancel):
            with pytest.raises(openai.NotFoundError) as caught:
                use(name)
            said.append((caught.value.code, caught.value.message.replace(name, "…")))
    assert len(set(said)) == 1
    made: Any = {"endpoint": CHATS, "input_file_id": batch.input_file_id, "completion_window": "24h"}
    with pytest.raises(openai.NotFoundError) as refused:
        stranger.batches.create(**made)
    assert refused.value.param == "input_file_id"
    over(sdk, batch)


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"endpoint": "/v1/models"}, openai.BadRequestError, "endpoint"),
        ({"completion_window": "1y"}, openai.BadRequestError, "completion_window"),
        ({"input_file_id": "file-none"}, openai.NotFoundError, "input_file_id"),
    ],
)
def test_refusals_name_the_field(sdk: OpenAI, fields: Rows, error: type[openai.APIStatusError], param: str) -> None:
    kept = sdk.files.create(file=("input.jsonl", lines(CHATS, [chat()])), purpose="batch")
    body: Any = {"endpoint": CHATS, "input_file_id": kept.id, "completion_window": "24h"} | fields
    with pytest.raises(error) as caught:
        sdk.batches.create(**body)
    assert caught.value.param == param


@pytest.mark.anyio
async def test_the_asynchronous_client(server: LiveServer) -> None:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, timeout=100) as sdk:
        kept = await sdk.files.create(file=("input.jsonl", lines(CHATS, [chat()])), purpose="batch")
        batch = await sdk.batches.create(endpoint=CHATS, input_file_id=kept.id, completion_window="24h")  # type: ignore[arg-type]
        async with asyncio.timeout(90):
            while batch.status not in OVER:
                await asyncio.sleep(0.1)
                batch = await sdk.batches.retrieve(batch.id)
        assert batch.status == "completed"
        content = await sdk.files.content(batch.output_file_id or "")
        row = json.loads(content.text)
        assert row["response"]["body"]["choices"][0]["message"]["content"] == TOKYO
        assert batch.id in [one.id async for one in sdk.batches.list()]
