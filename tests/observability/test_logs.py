"""Log lines: what is in them, and what must not be."""

import json
import logging
import sys
from typing import Any

import pytest

from server.observability import JsonLines, TextLines, log_request, request_id
from tests.observability.records import Ran, record


def line(message: str, *arguments: object, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("server.x", logging.WARNING, __file__, 1, message, arguments, None)
    vars(made).update(fields)
    return made


@pytest.fixture
def _named() -> Any:
    token = request_id.set("req_1")
    yield
    request_id.reset(token)


@pytest.mark.usefixtures("_named")
def test_a_text_line_has_the_request_id_and_stays_one_line() -> None:
    text = TextLines().format(line("model %s", "a\nFAKE LINE"))
    assert text.endswith(" WARNING req_1 server.x: model a\\nFAKE LINE")
    assert len(text.splitlines()) == 1


@pytest.mark.usefixtures("_named")
def test_a_json_line_is_an_object_with_the_requests_facts() -> None:
    written = json.loads(JsonLines().format(line("hello", request={"status": 200, "model": "m"})))
    assert written.pop("time")
    assert written == {
        "level": "warning",
        "logger": "server.x",
        "request_id": "req_1",
        "message": "hello",
        "status": 200,
        "model": "m",
    }


@pytest.mark.parametrize("style", [TextLines(), JsonLines()])
def test_a_trace_is_kept(style: logging.Formatter) -> None:
    try:
        raise RuntimeError("why")
    except RuntimeError:
        text = style.format(line("broken", exc_info=sys.exc_info()))
    assert "RuntimeError: why" in text


def test_the_request_line_tells_model_and_tokens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sagehold.access")
    log_request(record(model="m", seconds=1.5, run=Ran(), key_id="key_1"))
    [message] = caplog.messages
    assert message == (
        "method=POST path=/v1/chat/completions status=200 ms=1500.0 model=m key=key_1 first_ms=250.0 "
        "prompt_tokens=10 completion_tokens=25"
    )


def test_a_refused_request_tells_what_was_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sagehold.access")
    log_request(record(status=404, asked_model="no such\nmodel" + "x" * 500))
    [message] = caplog.messages
    assert r"model='no such\nmodel" in message
    assert len(message) < 300


def test_what_a_client_sends_ends_no_line_and_steers_no_terminal() -> None:
    trace = None
    try:
        raise ValueError("no\n2026-01-01 INFO req_1 server.x: forged \x1b[2J")
    except ValueError:
        trace = sys.exc_info()
    text = TextLines().format(line("%s", "a\x1b[2J\x85\u2028\x00b\tc", exc_info=trace))
    first, *rest = text.splitlines()
    assert first.endswith(r"a\x1b[2J\x85\u2028\x00b" + "\tc")
    assert all(one.startswith("    ") for one in rest)
    assert "\x1b" not in text


def test_what_no_json_can_hold_is_still_one_object() -> None:
    read = json.loads(JsonLines().format(line("%s", "\ud800", request={"big": 2**70})))
    assert (read["message"], read["big"]) == ("\ud800", 2**70)


@pytest.mark.parametrize("route", ["/health", "/ready", "/metrics"])
def test_probes_are_for_those_who_debug(caplog: pytest.LogCaptureFixture, route: str) -> None:
    caplog.set_level(logging.DEBUG, "sagehold.access")
    log_request(record(route=route, status=503))
    assert [one.levelno for one in caplog.records] == [logging.DEBUG]
    caplog.set_level(logging.INFO, "sagehold.access")
    caplog.clear()
    log_request(record(route=route, status=503))
    assert caplog.records == []


def test_the_request_line_tells_the_code_and_the_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sagehold.access")
    log_request(record(status=429, code="rate_limit_exceeded", client="198.51.100.7"))
    assert " status=429 ms=0.0 code=rate_limit_exceeded client=198.51.100.7" in caplog.text
