"""The judge itself: it sees each kind of fault, on a scripted server, and passes what is right."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from tests.conformance import sse
from tests.conformance.__main__ import chosen, main, models
from tests.conformance.case import Case, Failed, NotServed, all_cases
from tests.conformance.compare import our_models
from tests.conformance.expect import error
from tests.conformance.known import OURS, PENDING, pending
from tests.conformance.run import Result, judge, one_line, run
from tests.conformance.strict import strictly, undeclared
from tests.conformance.table import table
from tests.conformance.target import Answer, Target

RIGHT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def changed(**fields: Any) -> str:
    return json.dumps(RIGHT | fields)


def choice(**fields: Any) -> str:
    return changed(choices=[RIGHT["choices"][0] | fields])


# ---------------------------------------------------------------- types


def test_a_right_answer_passes() -> None:
    assert strictly(ChatCompletion, json.dumps(RIGHT)).choices[0].message.content == "Hi"


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (changed(created=None), "created"),
        (changed(created="1700000000"), "created"),
        (changed(created=1.5), "created"),
        (changed(id=5), "id"),
        (changed(choices=None), "choices"),
        (changed(object="chat"), "object"),
        (changed(service_tier="priority-plus"), "service_tier"),
        (choice(finish_reason="eos"), "choices[0].finish_reason"),
        (choice(finish_reason=None), "choices[0].finish_reason"),
        (choice(index="0"), "choices[0].index"),
        (choice(message={"content": "Hi"}), "choices[0].message.role"),
        (choice(message={"role": "assistant", "tool_calls": [{"id": "a", "type": "function"}]}), "tool_calls[0]"),
        (changed(usage={"prompt_tokens": 1}), "usage.completion_tokens"),
        ("[]", "the whole"),
        ("no JSON", "the whole"),
    ],
)
def test_what_the_sdk_does_not_declare_is_named(raw: str, named: str) -> None:
    with pytest.raises(Failed) as caught:
        strictly(ChatCompletion, raw)
    assert named in str(caught.value)


def test_fields_beyond_the_types_are_found_by_their_paths() -> None:
    raw = json.dumps(RIGHT | {"usage": {**RIGHT["usage"], "credits": 1}, "odd": 1})
    raw = raw.replace('"logprobs": null', '"stop_reason": null')
    assert undeclared(strictly(ChatCompletion, raw)) == {"odd", "usage.credits", "choices[].stop_reason"}


def test_an_unknown_field_is_a_fault_and_a_known_one_is_noted() -> None:
    with Target("http://127.0.0.1:1/v1") as target:
        target.strict(ChatCompletion, changed(usage={**RIGHT["usage"], "credits": 1}))
        assert target.added == {"ChatCompletion": {"usage.credits"}}
        with pytest.raises(Failed, match="odd"):
            target.strict(ChatCompletion, changed(odd=1))


# ---------------------------------------------------------------- streams


def test_events_are_read() -> None:
    raw = b': ping\n\nevent: done\ndata: {"a": 1}\n\ndata: [DONE]\n\n'
    assert sse.events(raw) == [sse.Event("done", '{"a": 1}'), sse.Event("", "[DONE]")]


@pytest.mark.parametrize(
    "raw",
    [
        b"data: {}",  # not ended
        b"data: {}\n",
        b"data:{}\n\n",  # no space
        b"data: {}\r\n\r\n",
        b"data: a\ndata: b\n\n",  # two lines
        b"id: 1\ndata: {}\n\n",
        b"event: a\n\n",
        b"data: {}\n\n\n\n",
        b"{}\n\n",
        b"data: \xff\n\n",
    ],
)
def test_other_framing_is_a_fault(raw: bytes) -> None:
    with pytest.raises(Failed):
        sse.events(raw)


# ---------------------------------------------------------------- errors


def refusal(status: int = 400, kind: str = "application/json", **fields: Any) -> Answer:
    import httpx

    shown = {"message": "Wrong.", "type": "invalid_request_error", "param": "n", "code": None} | fields
    return Answer(status, httpx.Headers({"content-type": kind}), json.dumps({"error": shown}).encode())


def test_a_refusal_in_the_envelope_passes() -> None:
    assert error(refusal(), 400, param="n").message == "Wrong."


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        (refusal(422), {}),
        (refusal(kind="text/html"), {}),
        (refusal(code=400), {}),
        (refusal(param=["n"]), {}),
        (refusal(message=None), {}),
        (refusal(message=" "), {}),
        (refusal(message="1 validation error for ValidationError"), {}),
        (refusal(), {"param": "top_p"}),
        (refusal(), {"code": "invalid_value"}),
        (Answer(400, refusal().headers, b'{"detail": "no"}'), {}),
        (Answer(400, refusal().headers, b'{"error": "no"}'), {}),
        (Answer(400, refusal().headers, b'{"error": {"message": "m", "type": "t"}}'), {}),
    ],
)
def test_other_refusals_are_faults(answer: Answer, options: dict[str, str]) -> None:
    with pytest.raises(Failed):
        error(answer, 400, **options)


# ---------------------------------------------------------------- a scripted server


@contextmanager
def scripted(answer: Callable[[str, bytes], tuple[int, str, bytes]]) -> Iterator[Target]:
    """A server that answers `answer(path, body)` by status, content type and body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, kind, content = answer(self.path, body)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 - the name that the server looks for

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with Target(f"http://127.0.0.1:{server.server_port}/v1", "k", {"chat": "m"}) as target:
                yield target
        finally:
            server.shutdown()
            thread.join()


def named(name: str) -> Case:
    return next(case for case in all_cases() if case.id == name)


def test_a_right_server_passes() -> None:
    with scripted(lambda *_: (200, "application/json", json.dumps(RIGHT).encode())) as target:
        assert judge(target, named("chat.model_echo")) == Result(named("chat.model_echo"), "pass")


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        ((200, "application/json", changed(model="n").encode()), "fail", "model is 'n', not 'm'"),
        ((500, "text/plain", b"oops"), "fail", "HTTP 500: oops"),
        ((404, "application/json", b'{"detail": "Not Found"}'), "not served", "no POST /v1/chat/completions"),
        ((404, "text/html", b"<html>"), "not served", "no POST /v1/chat/completions"),
    ],
)
def test_outcomes(answer: tuple[int, str, bytes], outcome: str, reason: str) -> None:
    with scripted(lambda *_: answer) as target:
        result = judge(target, named("chat.model_echo"))
    assert (result.outcome, result.reason) == (outcome, reason)


def test_a_model_that_is_missing_is_no_missing_route() -> None:
    body = (
        b'{"error": {"message": "The model `m` does not exist", "type": "t", "param": null, "code": "model_not_found"}}'
    )
    with scripted(lambda *_: (404, "application/json", body)) as target:
        assert judge(target, named("chat.model_echo")).outcome == "fail"


def test_a_server_without_the_model_is_not_asked() -> None:
    with Target("http://127.0.0.1:1/v1") as target:
        assert judge(target, named("embeddings.form")).reason == "no embedding model"


def test_a_server_that_is_gone_fails() -> None:
    with Target("http://127.0.0.1:1/v1", models={"chat": "m"}) as target:
        assert judge(target, named("chat.form")).reason == "POST /chat/completions: no whole answer (ConnectError)"


def stream(*datas: str) -> bytes:
    return "".join(f"data: {data}\n\n" for data in datas).encode()


CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "system_fingerprint": "f"}


def chunk(finish: str | None = None, **delta: Any) -> str:
    return json.dumps({**CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


GOOD = (chunk(role="assistant", content=""), chunk(content="Hi"), chunk("stop"), "[DONE]")


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("framing", GOOD[:-1]),
        ("framing", (*GOOD, "[DONE]")),
        ("same_head", (GOOD[0], GOOD[1].replace("chatcmpl-1", "chatcmpl-2"), *GOOD[2:])),
        ("role_first", GOOD[1:]),
        ("role_first", (GOOD[0], *GOOD)),
        ("finish_once", (*GOOD[:2], "[DONE]")),
        ("finish_once", (*GOOD[:3], *GOOD[2:])),
        ("no_empty_choices", (*GOOD[:3], json.dumps({**CHUNK, "choices": []}), "[DONE]")),
        ("form", (*GOOD[:2], chunk("eos"), "[DONE]")),
    ],
)
def test_faults_of_streams_are_seen(name: str, sent: tuple[str, ...]) -> None:
    case = named(f"chat_stream.{name}")
    with scripted(lambda *_: (200, "text/event-stream", stream(*GOOD))) as target:
        assert judge(target, case) == Result(case, "pass")
    with scripted(lambda *_: (200, "text/event-stream", stream(*sent))) as target:
        assert judge(target, case).outcome == "fail"


# ---------------------------------------------------------------- runs and tables


def case_of(name: str, check: Callable[[Target], None], *, alone: bool = False) -> Case:
    return Case(f"chat.{name}", "Chat", f"Title of {name} | <b>", "OpenAI", (), alone, check)


def fails(_: Target) -> None:
    raise Failed("it has a | bar")


def absent(_: Target) -> None:
    raise NotServed("no route")


def breaks(_: Target) -> None:
    raise KeyError("data")


def test_results_come_in_the_order_of_the_cases_whatever_runs_alone() -> None:
    cases = [case_of("one", fails, alone=True), case_of("two", breaks), case_of("three", lambda _: None, alone=True)]
    told: list[Result] = []
    with Target("http://127.0.0.1:1/v1") as target:
        results = run(target, cases, told=told.append)
    assert [result.case.id for result in results] == ["chat.one", "chat.two", "chat.three"]
    assert [result.outcome for result in results] == ["fail", "fail", "pass"]
    assert results[1].reason == "an answer of another form: KeyError: 'data'"
    assert [result.case.id for result in told] == ["chat.two", "chat.one", "chat.three"]


def test_reasons_hold_nothing_of_one_run() -> None:
    reason = one_line('{"id":"chatcmpl-0123456789abcdef","created":1764100000}\n at http://127.0.0.1:4711/v1')
    assert reason == '{"id":"chatcmpl-…","created":…} at http://…/v1'


def test_the_table_has_a_row_a_case_and_a_reason_for_what_is_not_green() -> None:
    cases = [case_of("one", fails), case_of("two", absent), case_of("three", lambda _: None)]
    with Target("http://127.0.0.1:1/v1") as target:
        results = run(target, cases)
    text = table(["sagehold 1"], "m", {"sagehold": results, "vLLM": results}, {}, {"chat.two": "Not yet."})
    assert "| **all** | 3 | 1 ✓ 1 ✗ 1 – | 1 ✓ 1 ✗ 1 – |" in text
    assert "| `chat.one` | Title of one \\| &lt;b> (OpenAI) | ✗ | ✗ |" in text
    assert "- `chat.one`, sagehold: it has a \\| bar" in text
    assert "- `chat.two`, sagehold: Not yet." in text
    assert "- `chat.two`, vLLM" not in text


def test_what_is_known_is_a_case() -> None:
    ids = {case.id for case in all_cases()}
    waiting = {f"{file}.{name}" for file, names in PENDING.items() for name in names.split()}
    assert set(OURS) | waiting <= ids
    assert waiting == {name for name in ids if pending(name)}
    assert not waiting & set(OURS)


def test_every_need_is_a_kind() -> None:
    assert set(models([f"{kind}=a" for case in all_cases() for kind in case.needs]))
    assert set(our_models("m")) == set(models([f"{kind}=a" for kind in our_models("m")]))


def test_kinds_are_checked() -> None:
    with pytest.raises(ValueError, match="unknown kinds: poem"):
        models(["chat=a,poem=b"])


def test_cases_are_chosen_by_how_their_ids_begin() -> None:
    assert {case.id for case in chosen(all_cases(), ["models.form", "tokens"])} >= {"models.form", "tokens.prompt"}
    assert all(case.id.startswith("tokens") for case in chosen(all_cases(), ["tokens"]))


def test_the_command_ends_with_one_where_a_case_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(lambda *_: (200, "application/json", changed(model="n").encode())) as target:
        code = main(["--base-url", target.base_url, "--model", "chat=m", "chat.model_echo"])
    assert code == 1
    assert capsys.readouterr().out.splitlines() == [
        "✗ chat.model_echo: model is 'n', not 'm'",
        "0 passed, 1 failed, 0 not served, of 1",
    ]
