"""Batches. /v1/batches."""

import json
from collections.abc import Sequence
from typing import Any

from openai.types import Batch

from tests.conformance.asks import QUESTION, chat_body
from tests.conformance.case import Failed, case
from tests.conformance.cases.files import kept
from tests.conformance.expect import equal, error, ok, that
from tests.conformance.response_asks import response_body, waited
from tests.conformance.target import Answer, Target

CHATS = "/v1/chat/completions"
OVER = ("completed", "failed", "expired", "cancelled")
NOWHERE = "batch_0000000000000000000000000000000000000000000000"
Row = dict[str, Any]


def line(body: Any, name: str = "one", url: str = CHATS, **fields: Any) -> Row:
    return {"custom_id": name, "method": "POST", "url": url, "body": body} | fields


def created(target: Target, rows: Sequence[Row | str], endpoint: str = CHATS, **fields: Any) -> Answer:
    """rows: lines of the file, as objects or as they are."""
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    name = kept(target, text.encode(), "batch", name="input.jsonl").id
    body = {"input_file_id": name, "endpoint": endpoint, "completion_window": "24h"} | fields
    return target.post("/batches", body)


def begun(target: Target, rows: Sequence[Row | str], endpoint: str = CHATS, **fields: Any) -> Batch:
    value: Batch = target.strict(Batch, ok(created(target, rows, endpoint, **fields)).raw)
    return value


def over(target: Target, batch: Batch) -> Batch:
    """It, once it is over."""
    found = waited(
        lambda: ok(target.get(f"/batches/{batch.id}")).json(), lambda one: one["status"] in OVER, "the batch's end"
    )
    value: Batch = target.strict(Batch, json.dumps(found))
    return value


def rows_of(target: Target, file: str | None) -> dict[str, Row]:
    """By custom id."""
    if file is None:
        raise Failed("the batch has no such file")
    found = [json.loads(text) for text in ok(target.get(f"/files/{file}/content")).text.splitlines()]
    by_name = {row["custom_id"]: row for row in found}
    equal(len(by_name), len(found), "the number of different custom ids")
    return by_name


def problems(target: Target, rows: Sequence[Row | str]) -> list[tuple[int | None, str | None]]:
    """Line and param of each error of a batch that is refused by its file."""
    batch = over(target, begun(target, rows))
    equal(batch.status, "failed", "status")
    that(batch.errors and batch.errors.data, "no errors")
    found = (batch.errors and batch.errors.data) or []
    that(all(one.code and one.message for one in found), f"an error without code or message: {found}")
    return [(one.line, one.param) for one in found]


@case("OpenAI", needs="chat")
def form(target: Target) -> None:
    """A batch begins as `validating` or `in_progress` with every field of the SDK's type."""
    batch = begun(target, [line(chat_body(target))], metadata={"a": "b"})
    that(batch.id.startswith("batch_"), f"the id is {batch.id}")
    equal((batch.endpoint, batch.completion_window, batch.metadata), (CHATS, "24h", {"a": "b"}), "what was asked")
    that(batch.expires_at and batch.expires_at - batch.created_at == 86_400, f"expires_at is {batch.expires_at}")
    equal(over(target, batch).status, "completed", "status")


@case("OpenAI", needs="chat")
def answers(target: Target) -> None:
    """Each line has one line of output: custom_id, status, request id, and the body that the request alone has."""
    names = ["a", "b", "c"]
    batch = over(target, begun(target, [line(chat_body(target), name) for name in names]))
    counts = batch.request_counts
    equal(counts and (counts.total, counts.completed, counts.failed), (3, 3, 0), "request_counts")
    found = rows_of(target, batch.output_file_id)
    equal(sorted(found), names, "the custom ids")
    alone = ok(target.post("/chat/completions", chat_body(target))).json()
    for row in found.values():
        that(row["id"].startswith("batch_req_"), f"the id is {row['id']}")
        equal((row["error"], row["response"]["status_code"]), (None, 200), "error and status_code")
        that(row["response"]["request_id"], "no request_id")
        body = row["response"]["body"]
        equal(body["choices"][0]["message"], alone["choices"][0]["message"], "the message")
    that(batch.in_progress_at and batch.finalizing_at and batch.completed_at, "a time is missing")


@case("OpenAI", needs="chat")
def usage(target: Target) -> None:
    """`usage` of the batch sums up that of its lines."""
    batch = over(target, begun(target, [line(chat_body(target), name) for name in "ab"]))
    rows = rows_of(target, batch.output_file_id).values()
    found = batch.usage
    that(found is not None, "no usage")
    if found is not None:
        wanted = sum(row["response"]["body"]["usage"]["prompt_tokens"] for row in rows)
        equal(found.input_tokens, wanted, "input_tokens")
        equal(found.total_tokens, found.input_tokens + found.output_tokens, "total_tokens")


@case("OpenAI", needs="chat")
def failed_lines(target: Target) -> None:
    """A line that is refused is in the error file, with the status and the envelope; the others are answered."""
    batch = over(
        target, begun(target, [line(chat_body(target), "good"), line(chat_body(target, temperature=5), "bad")])
    )
    equal(batch.status, "completed", "status")
    equal(list(rows_of(target, batch.output_file_id)), ["good"], "the custom ids of the output")
    row = rows_of(target, batch.error_file_id)["bad"]
    equal(row["response"]["status_code"], 400, "status_code")
    equal(row["response"]["body"]["error"]["param"], "temperature", "param")


@case("OpenAI", needs="chat")
def completions(target: Target) -> None:
    """A batch of /v1/completions."""
    body = {"model": target.model("chat"), "prompt": "The capital of Japan is", "max_tokens": 4, "temperature": 0}
    batch = over(target, begun(target, [line(body, url="/v1/completions")], "/v1/completions"))
    that(rows_of(target, batch.output_file_id)["one"]["response"]["body"]["choices"][0]["text"], "no text")


@case("OpenAI", needs="chat")
def responses(target: Target) -> None:
    """A batch of /v1/responses."""
    batch = over(target, begun(target, [line(response_body(target), url="/v1/responses")], "/v1/responses"))
    equal(rows_of(target, batch.output_file_id)["one"]["response"]["body"]["object"], "response", "object")


@case("OpenAI", needs="embedding")
def embeddings(target: Target) -> None:
    """A batch of /v1/embeddings."""
    body = {"model": target.model("embedding"), "input": QUESTION}
    batch = over(target, begun(target, [line(body, url="/v1/embeddings")], "/v1/embeddings"))
    found = rows_of(target, batch.output_file_id)["one"]["response"]["body"]
    equal(found["data"][0]["object"], "embedding", "object")


@case("OpenAI", needs="chat")
def wrong_lines(target: Target) -> None:
    """What is wrong with a file is told by line: no JSON, a custom_id twice or missing, another url, a body missing."""
    good = line(chat_body(target))
    rows = [good, "no JSON", good, line(chat_body(target), "b", "/v1/embeddings"), line(None, "c"), {"method": "POST"}]
    found = problems(target, rows)
    equal(sorted({place for place, _ in found if place is not None}), [2, 3, 4, 5, 6], "the lines")


@case("OpenAI", needs="chat")
def streams(target: Target) -> None:
    """A line that asks for a stream is refused."""
    equal([place for place, _ in problems(target, [line(chat_body(target, stream=True))])], [1], "the lines")


@case("OpenAI")
def empty(target: Target) -> None:
    """A file of empty lines alone is refused."""
    answer = created(target, ["", ""])
    if answer.status == 200:
        equal(over(target, target.strict(Batch, answer.raw)).status, "failed", "status")
    else:
        error(answer, 400)


@case("OpenAI", needs="chat")
def refused(target: Target) -> None:
    """An unknown endpoint or window, or a file of another purpose: 400 that names the field; no such file: or 404."""
    rows = [line(chat_body(target))]
    for name, value in (("endpoint", "/v1/models"), ("completion_window", "soon")):
        error(created(target, rows, **{name: value}), 400, param=name)
    error(created(target, rows, input_file_id="file-none"), (400, 404), param="input_file_id")
    other = kept(target, b"{}", "vision", name="a.png").id
    error(created(target, rows, input_file_id=other), 400, param="input_file_id")
    error(created(target, rows, metadata={"a": 5}), 400)


@case("OpenAI", needs="chat")
def cancelled(target: Target) -> None:
    """A batch is cancelled: cancelling, then cancelled; cancelling what is over is refused, or changes nothing."""
    rows = [line(chat_body(target, "Tell me a story.", max_tokens=200), str(number)) for number in range(40)]
    batch = begun(target, rows)
    answer = ok(target.post(f"/batches/{batch.id}/cancel", {}))
    that(answer.json()["status"] in ("cancelling", "cancelled"), f"status is {answer.json()['status']}")
    equal(over(target, batch).status, "cancelled", "status")
    again = target.post(f"/batches/{batch.id}/cancel", {})
    if again.status == 200:
        equal(again.json()["status"], "cancelled", "status")
    else:
        error(again, (400, 409))


@case("OpenAI", needs="chat")
def listed(target: Target) -> None:
    """The list is newest first, in pages by `after` and `limit`, which is 1 to 100."""
    ids = [begun(target, [line(chat_body(target))]).id for _ in range(2)]
    page = ok(target.get("/batches?limit=1")).json()
    equal((page["object"], len(page["data"]), page["has_more"]), ("list", 1, True), "object, the count and has_more")
    whole = [row["id"] for row in ok(target.get("/batches?limit=100")).json()["data"]]
    equal([name for name in whole if name in ids], ids[::-1], "the batches in the order of the list")
    rest = ok(target.get(f"/batches?after={ids[1]}&limit=100")).json()["data"]
    that(
        ids[0] in [row["id"] for row in rest] and ids[1] not in [row["id"] for row in rest], "the page after the newest"
    )
    for query in ("limit=0", "limit=101"):
        error(target.get(f"/batches?{query}"), 400, param="limit")


@case("OpenAI")
def unknown(target: Target) -> None:
    """A batch that never was: 404 in the envelope."""
    error(target.get(f"/batches/{NOWHERE}"), 404)
    error(target.post(f"/batches/{NOWHERE}/cancel", {}), 404)


@case("sagehold", needs="chat")
def paused(target: Target) -> None:
    """POST …/pause and …/resume: `paused` says since when and why; the status stays."""
    for count in (20, 400, 4000):  # a fake may be done with a few before it can be asked to pause
        rows = [line(chat_body(target, "Tell me a story.", max_tokens=100), str(number)) for number in range(count)]
        batch = begun(target, rows)
        answer = target.post(f"/batches/{batch.id}/pause", {})
        if answer.status == 200:
            break
    found = ok(answer).json()
    equal(found["paused"] and found["paused"]["reason"], "user", "the reason")
    answer = target.post(f"/batches/{batch.id}/resume", {})
    if answer.status == 200:
        equal(answer.json()["paused"], None, "paused")
    else:  # what was under way when it was paused was all of it
        error(answer, 400)
    equal(over(target, batch).status, "completed", "status")
