"""Traces of requests by OpenTelemetry: what the time of each went into. Off by default, and then nothing is imported.

Spans: the request, and in it receive, plan, limits, wait (with load in it), read, hold, then prefill and decode, or run
for what is no text, and settle; before them, of a question to the Ask Sage API, files, retrieve and live. None of them
holds a prompt, an answer or a key.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any

from server import __version__
from server.observability.record import RequestRecord
from server.settings import PREFIX, SettingsError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

log = logging.getLogger(__name__)

PATH = "/v1/traces"
"""Where collectors take spans by HTTP (the OTLP specification, "OTLP/HTTP Request")."""
TIMEOUT = 5.0
"""Seconds that the collector has to take a batch."""
FLUSH = 3.0
"""Seconds that the end of the server waits for the last spans."""
OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
    "/v1/images/generations": "image_generation",
    "/v1/images/edits": "image_generation",
    "/v1/audio/speech": "speech",
    "/v1/audio/transcriptions": "transcription",
    "/v1/audio/translations": "transcription",
    "/v1/moderations": "moderation",
    "/v1/rerank": "rerank",
    "/v1/score": "rerank",
}
"""`gen_ai.operation.name` by route: the first three from OpenTelemetry's semantic conventions, which have no others."""

NOTHING: AbstractContextManager[None] = nullcontext()


class Tracing:
    """Makes spans and sends them to a collector, in a thread of its own: a request never waits for that.

    While the collector does not answer, spans are kept up to a number (OTEL_BSP_MAX_QUEUE_SIZE) and then dropped.
    """

    def __init__(self, endpoint: str) -> None:
        """endpoint: the collector's base URL, `http://collector:4318`, with or without PATH."""
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        session = requests.Session()
        # The collector and nobody else: no proxy of the environment's, and no redirection.
        session.trust_env = False
        session.max_redirects = 0
        url = endpoint.rstrip("/")
        self._exporter = OTLPSpanExporter(url if url.endswith(PATH) else url + PATH, timeout=TIMEOUT, session=session)
        # What the operator says by OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME stands.
        ours = {"service.name": "sagehold", "service.version": __version__}
        resource = Resource.create(ours).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._processor = BatchSpanProcessor(self._exporter)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("sagehold", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, record: RequestRecord, headers: Iterable[tuple[bytes, bytes]]) -> "RequestTrace | None":
        """The trace of a request, which goes on with the client's where `traceparent` names one.

        None for a request that the sampler leaves out, by chance or because the client's is not recorded either.
        """
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, set_span_in_context

        wanted = (b"traceparent", b"tracestate")
        carrier = {name.decode(): value.decode("latin-1") for name, value in headers if name in wanted}
        theirs = self._propagator.extract(carrier, Context()) if carrier else Context()
        epoch = time.time_ns() - int(time.perf_counter() * 1e9)
        span = self._tracer.start_span(
            record.method, theirs, SpanKind.SERVER, start_time=epoch + int(record.started * 1e9)
        )
        if not span.is_recording():
            return None
        return RequestTrace(self._tracer, span, set_span_in_context(span, theirs), epoch, record)

    async def aclose(self) -> None:
        """Send what is left, within FLUSH seconds."""
        # A daemon: a collector that does not answer must not keep the process.
        ending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, FLUSH)
        if ending.is_alive():
            log.warning("the collector of traces does not answer: the last spans are lost")
            logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # it would say the same, line by line
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # no further try


def tracing_to(endpoint: object | None) -> Tracing | None:
    """By the setting `otlp_endpoint`; None where it is not set.

    Raises SettingsError where a variable of OpenTelemetry's own is wrong.
    """
    if endpoint is None:
        return None
    try:
        return Tracing(str(endpoint))
    except ValueError as error:
        why = f"one of OpenTelemetry's own variables (OTEL_*) is wrong: {error}"
        raise SettingsError(f"{PREFIX}OTLP_ENDPOINT: {why}") from error


class RequestTrace:
    """A request's span, and those in it. Times are those of time.perf_counter()."""

    def __init__(self, tracer: Any, span: "Span", context: "Context", epoch: int, record: RequestRecord) -> None:
        """epoch: nanoseconds between the clock's zero and that of Unix time."""
        self._tracer = tracer
        self._span = span
        self._context = context
        self._epoch = epoch
        self.record = record
        self.received = False
        self._entered = _current.set((self, context))

    def begun(self, name: str, within: "Context", started: float | None = None) -> "Span":
        span: Span = self._tracer.start_span(name, within, start_time=self._at(started))
        return span

    def add(self, name: str, started: float, ended: float) -> None:
        """A span of what is over."""
        self.begun(name, self._context, started).end(self._at(ended))

    def end(self) -> None:
        """Once the record is complete."""
        from opentelemetry.trace import Status, StatusCode

        record, span = self.record, self._span
        _current.reset(self._entered)
        span.update_name(f"{record.method} {record.route}")
        span.set_attributes({name: value for name, value in _attributes(record).items() if value is not None})
        if record.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._at(record.started + record.seconds))

    def _at(self, moment: float | None) -> int:
        return self._epoch + int((time.perf_counter() if moment is None else moment) * 1e9)


_current: "ContextVar[tuple[RequestTrace, Context] | None]" = ContextVar("trace", default=None)
"""The trace of the request that this task works for, and where in it the next span belongs."""


def stage(name: str) -> AbstractContextManager[None]:
    """A span for the length of the block; nothing where requests are not traced."""
    at = _current.get()
    return NOTHING if at is None else _Stage(name, *at)


def received() -> None:
    """The request has been read and its caller is known: all until now, the first time, was `receive`."""
    if (at := _current.get()) is not None and not at[0].received:
        at[0].received = True
        at[0].add("receive", at[0].record.started, time.perf_counter())


def answered(begun: float, first_event: float | None, ended: float | None, *, text: bool) -> None:
    """An engine has worked from `begun` to `ended` (None: until now), and given its first event in between, or none.

    text: whether tokens were read and made, so that the first event parts prefill from decode.
    """
    if (at := _current.get()) is None:
        return
    trace, until = at[0], time.perf_counter() if ended is None else ended
    if not text:
        trace.add("run", begun, until)
        return
    trace.add("prefill", begun, until if first_event is None else first_event)
    if first_event is not None:
        trace.add("decode", first_event, until)


class _Stage:
    def __init__(self, name: str, trace: RequestTrace, within: "Context") -> None:
        self._name = name
        self._trace = trace
        self._within = within

    def __enter__(self) -> None:
        from opentelemetry.trace import set_span_in_context

        self._span = self._trace.begun(self._name, self._within)
        self._token: Token[tuple[RequestTrace, Context] | None] = _current.set(
            (self._trace, set_span_in_context(self._span, self._within))
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from opentelemetry.trace import Status, StatusCode

        _current.reset(self._token)
        if kind is not None:
            self._span.set_attribute("error.type", getattr(error, "code", None) or kind.__name__)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _attributes(record: RequestRecord) -> dict[str, Any]:
    """By the semantic conventions for HTTP and for generative AI; `sagehold.` before what is ours."""
    model = record.model or record.asked_model
    usage = record.usage
    return {
        "http.request.method": record.method,
        "http.route": record.route,
        "http.response.status_code": record.status,
        "url.path": record.path[:200],
        "client.address": record.client,
        "error.type": record.code,
        "gen_ai.operation.name": None if model is None else OPERATIONS.get(record.route),
        "gen_ai.provider.name": None if model is None else "sagehold",
        "gen_ai.request.model": None if record.asked_model is None else record.asked_model[:128],
        "gen_ai.response.model": record.model,
        "gen_ai.usage.input_tokens": (usage and usage.prompt_tokens) or None,
        "gen_ai.usage.output_tokens": (usage and usage.completion_tokens) or None,
        "sagehold.first_token_seconds": record.first_token_seconds,
        "sagehold.key": record.key_id,
        "sagehold.request_id": record.id,
    }
