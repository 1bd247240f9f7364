"""Log lines and metrics: what is in them, and what must not be."""

import json
import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from server.core import Usage
from server.observability import JsonLines, Metrics, RequestRecord, TextLines, log_request, request_id


class Work:
    usage = Usage(prompt_tokens=10, completion_tokens=25)
    first_event = 100.25


def record(**fields: Any) -> RequestRecord:
    made = RequestRecord(
        id="req_1", method="POST", path="/v1/chat/completions", started=100.0, status=200, route="/v1/chat/completions"
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


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
    told = json.loads(JsonLines().format(line("hello", request={"status": 200, "model": "m"})))
    assert told.pop("time")
    assert told == {
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
    log_request(record(model="m", seconds=1.5, work=Work(), key_id="key_1"))
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


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {(name, frozenset(labels.items())): value for name, labels, value in metrics.samples()}


def test_a_request_is_counted_by_route_status_and_model() -> None:
    metrics = Metrics()
    metrics.request_ended(record(model="m", seconds=1.5, work=Work()))
    metrics.request_ended(record(status=404))
    told = samples(metrics)
    of_model = frozenset({("model", "m")})
    ok = frozenset({("route", "/v1/chat/completions"), ("status", "200"), ("model", "m")})
    assert told["sagehold_requests_total", ok] == 1
    assert told["sagehold_prompt_tokens_total", of_model] == 10
    assert told["sagehold_completion_tokens_total", of_model] == 25
    assert told["sagehold_first_token_seconds_sum", of_model] == 0.25
    route = frozenset({("route", "/v1/chat/completions"), ("model", "m")})
    assert told["sagehold_request_seconds_sum", route] == 1.5


def test_the_models_are_read_at_each_scrape_and_tell_their_prefix_cache() -> None:
    metrics = Metrics()
    states = {
        "chat": SimpleNamespace(state="ready", prefix_cache=SimpleNamespace(looked_up=1552, found=768)),
        "speech": SimpleNamespace(state="asleep", prefix_cache=None),
    }
    metrics.watch(lambda: states, lambda: {"chat": 3})
    found = samples(metrics)
    chat = frozenset({("model", "chat")})
    assert found["sagehold_prefix_cache_looked_up_tokens_total", chat] == 1552
    assert found["sagehold_prefix_cache_found_tokens_total", chat] == 768
    assert found["sagehold_running_jobs", chat] == 3
    assert found["sagehold_model_state", frozenset({("model", "speech"), ("state", "asleep")})] == 1
    assert not [labels for name, labels in found if "prefix_cache" in name and ("model", "speech") in labels]
    states["chat"].prefix_cache.found = 800
    assert samples(metrics)["sagehold_prefix_cache_found_tokens_total", chat] == 800


def test_what_a_client_made_up_is_no_label() -> None:
    """Labels live for ever: a client that asks for a million models must not make a million series."""
    metrics = Metrics()
    for number in range(100):
        metrics.request_ended(record(status=404, asked_model=f"made-up-{number}", route="unknown"))
    exposition, kind = metrics.render()
    assert b"made-up" not in exposition
    assert kind.startswith("text/plain")
    assert b'sagehold_requests_total{model="",route="unknown",status="404"} 100.0' in exposition
