"""Traces, as a collector gets them: which spans, within which, with what; and that no collector hurts a request."""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from server.core import Task
from server.observability import tracing
from server.settings import Settings, SettingsError
from server.testing import FakeServer

pytestmark = pytest.mark.anyio

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@dataclass
class Collector:
    """url: of the collector. got: the paths and bodies of what it was sent."""

    url: str = ""
    status: int = 200
    got: list[tuple[str, bytes]] = field(default_factory=list)

    def spans(self) -> list[Any]:
        found: list[Any] = []
        for _, body in self.got:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                named = {one.key: one.value.string_value for one in resource.resource.attributes}
                assert named["service.name"] == "sagehold"
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(made.status)
            self.send_header("content-length", "0")
            if made.status == 307:
                self.send_header("location", f"{made.url}/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield made
        server.shutdown()
        serving.join()


def traced(settings: Settings, url: str) -> FakeServer:
    return FakeServer(settings.model_copy(update={"otlp_endpoint": url}))


def attributes(span: Any) -> dict[str, Any]:
    values = {}
    for one in span.attributes:
        kind = one.value.WhichOneof("value")
        values[one.key] = getattr(one.value, kind)
    return values


CHAT = {"model": "fake-chat", "messages": [{"role": "user", "content": "a secret question"}]}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_is_a_span_of_stages_that_goes_on_with_the_clients(
    settings: Settings, collector: Collector, stream: bool
) -> None:
    async with traced(settings, collector.url) as fake, fake.client() as client:
        answer = await client.post(
            "/v1/chat/completions",
            json={**CHAT, "stream": stream},
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "other=1"},
        )
        assert answer.status_code == 200
        assert (await client.get("/health")).status_code == 200
    assert {path for path, _ in collector.got} == {"/v1/traces"}
    spans = {span.name: span for span in collector.spans()}
    request = spans.pop("POST /v1/chat/completions")
    assert set(spans) == {"receive", "plan", "limits", "wait", "read", "hold", "prefill", "decode", "settle"}
    assert request.trace_id.hex() == TRACE
    assert request.parent_span_id.hex() == PARENT
    assert request.trace_state == "other=1"
    for span in spans.values():
        assert span.trace_id == request.trace_id
        assert span.parent_span_id == request.span_id
        assert request.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= request.end_time_unix_nano
    assert abs(request.end_time_unix_nano - time.time_ns()) < 60e9
    order = sorted(spans.values(), key=lambda span: span.start_time_unix_nano)
    assert [span.name for span in order if span.name != "settle"] == [
        "receive", "plan", "limits", "wait", "read", "hold", "prefill", "decode",
    ]  # fmt: skip
    assert spans["prefill"].end_time_unix_nano == spans["decode"].start_time_unix_nano
    found = attributes(request)
    assert found.pop("sagehold.request_id") == answer.headers["x-request-id"]
    assert found.pop("sagehold.first_token_seconds") > 0
    used = found.pop("gen_ai.usage.input_tokens"), found.pop("gen_ai.usage.output_tokens")
    assert min(used) > 0
    assert found == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "client.address": "127.0.0.1",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "sagehold",
        "gen_ai.request.model": "fake-chat",
        "gen_ai.response.model": "fake-chat",
        "sagehold.key": "key_test",
    }
    assert all(b"secret" not in body for _, body in collector.got)


async def test_a_refusal_tells_its_code_and_where_it_was_refused(settings: Settings, collector: Collector) -> None:
    async with traced(settings, collector.url) as fake, fake.client() as client:
        fake.registry.failed["fake-chat"] = "why"
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 503
        assert (await client.post("/v1/nothing")).status_code == 404
    spans = {span.name: span for span in collector.spans()}
    assert set(spans) == {"POST /v1/chat/completions", "receive", "plan", "limits", "wait", "POST unknown"}
    request = spans["POST /v1/chat/completions"]
    code = attributes(request)["error.type"]
    assert (request.status.code, spans["wait"].status.code, spans["limits"].status.code) == (2, 2, 0)
    assert attributes(spans["wait"])["error.type"] == code
    lost = spans["POST unknown"]
    assert (lost.status.code, attributes(lost)["error.type"]) == (0, "unknown_url")
    assert lost.trace_id != request.trace_id
    assert lost.parent_span_id == b""


async def test_what_is_no_text_has_no_prefill(settings: Settings, collector: Collector) -> None:
    async with traced(settings, f"{collector.url}/v1/traces") as fake, fake.client() as client:
        sent = await client.post("/v1/audio/speech", json={"model": "fake-speech", "input": "one", "voice": "alloy"})
        assert sent.status_code == 200
    names = {span.name for span in collector.spans()}
    assert "run" in names
    assert not names & {"prefill", "decode"}


@pytest.mark.parametrize("status", [400, 307])
async def test_a_collector_that_refuses_hurts_no_request_and_is_asked_nowhere_else(
    settings: Settings, collector: Collector, status: int
) -> None:
    collector.status = status
    async with traced(settings, collector.url) as fake, fake.client() as client:
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
    assert {path for path, _ in collector.got} == {"/v1/traces"}


async def test_a_collector_that_never_answers_holds_up_neither_request_nor_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracing, "FLUSH", 0.05)
    monkeypatch.setattr(logging.getLogger("opentelemetry"), "level", logging.WARNING)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:  # accepts, and nobody reads
        async with traced(settings, f"http://127.0.0.1:{silent.server_address[1]}") as fake, fake.client() as client:
            assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
        assert fake.services.tracing is not None
        assert fake.engines[Task.CHAT].running == 0
    assert "the last spans are lost" in caplog.text


async def test_a_trace_that_its_client_does_not_record_is_none_here(settings: Settings, collector: Collector) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    async with traced(settings, collector.url) as fake, fake.client() as client:
        assert (await client.post("/v1/chat/completions", json=CHAT, headers=headers)).status_code == 200
    assert collector.got == []


async def test_without_an_endpoint_nothing_is_made(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(tracing, "RequestTrace", None)
    async with FakeServer(settings) as fake, fake.client() as client:
        assert fake.services.tracing is None
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
    assert tracing.stage("hold") is tracing.NOTHING


def test_a_variable_of_opentelemetrys_that_is_wrong_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")  # less than a batch
    with pytest.raises(SettingsError, match="SAGEHOLD_OTLP_ENDPOINT: one of OpenTelemetry's own variables") as raised:
        tracing.tracing_to("http://127.0.0.1:1")
    assert "max_queue_size" in str(raised.value)
