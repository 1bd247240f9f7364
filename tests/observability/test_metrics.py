"""Metrics: what is counted, and what must be no label."""

from types import SimpleNamespace

from server.observability import Metrics
from tests.observability.records import Ran, record


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {(name, frozenset(labels.items())): value for name, labels, value in metrics.samples()}


def test_a_request_is_counted_by_route_status_and_model() -> None:
    metrics = Metrics()
    metrics.request_ended(record(model="m", seconds=1.5, run=Ran()))
    metrics.request_ended(record(status=404))
    found = samples(metrics)
    of_model = frozenset({("model", "m")})
    ok = frozenset({("route", "/v1/chat/completions"), ("status", "200"), ("model", "m")})
    assert found["sagehold_requests_total", ok] == 1
    assert found["sagehold_prompt_tokens_total", of_model] == 10
    assert found["sagehold_completion_tokens_total", of_model] == 25
    assert found["sagehold_first_token_seconds_sum", of_model] == 0.25
    route = frozenset({("route", "/v1/chat/completions"), ("model", "m")})
    assert found["sagehold_request_seconds_sum", route] == 1.5


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
