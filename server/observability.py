"""Logs, request ids and metrics: what the operator sees. Keys, prompts and answers are in none of them."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.core import Usage

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that this task works for; in every log line."""

access = logging.getLogger("sagehold.access")

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
STATES = ("unloaded", "loading", "ready", "asleep", "draining", "failed")


class Work(Protocol):
    """What the record reads from a Run."""

    @property
    def usage(self) -> Usage | None: ...

    @property
    def first_event(self) -> float | None:
        """When the engine's first event came, by time.perf_counter()."""
        ...


@dataclass(slots=True)
class RequestRecord:
    """What is known of a request. Filled in as it goes through the layers; told once, at its end."""

    id: str
    method: str
    path: str
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    route: str = "unknown"
    seconds: float = 0.0
    key_id: str | None = None
    asked_model: str | None = None
    model: str | None = None
    work: Work | None = None

    @property
    def first_token_seconds(self) -> float | None:
        """From the request's arrival to the engine's first event."""
        if self.work is None or self.work.first_event is None:
            return None
        return self.work.first_event - self.started

    @property
    def usage(self) -> Usage | None:
        return self.work.usage if self.work else None


# ---------------------------------------------------------------- logs


def configure_logging(level: str, style: str) -> None:
    """Send every logger to stderr, each line with its request id. style: text or json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in ("vllm", "httpx", "httpcore", "asyncio", "multipart", "python_multipart", "aiosqlite", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    logging.getLogger("uvicorn.error").addFilter(_not_told_already)


def _not_told_already(line: logging.LogRecord) -> bool:
    """The guard (server/api/errors.py) has logged it, with the request's id."""
    return not str(line.msg).startswith("Exception in ASGI application")


class TextLines(logging.Formatter):
    """`2026-01-31 12:00:00.123 INFO req_… server.app: message`; line breaks in messages are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created).astimezone()
        stamp = when.isoformat(sep=" ", timespec="milliseconds")
        message = record.getMessage().replace("\n", "\\n").replace("\r", "\\r")
        line = f"{stamp} {record.levelname} {request_id.get()} {record.name}: {message}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, request_id, message, the request's own fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": request_id.get(),
            "message": record.getMessage(),
            **getattr(record, "request", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def log_request(record: RequestRecord) -> None:
    """The request's own line: method, path, status, milliseconds, and model and tokens where there are any."""
    if not access.isEnabledFor(logging.INFO):
        return
    facts: dict[str, Any] = {
        "method": record.method,
        "path": record.path[:200],
        "status": record.status,
        "ms": round(record.seconds * 1000, 1),
    }
    if model := record.model or record.asked_model:
        facts["model"] = model[:128]
    if record.key_id is not None:
        facts["key"] = record.key_id
    if (first := record.first_token_seconds) is not None:
        facts["first_ms"] = round(first * 1000, 1)
    if usage := record.usage:
        facts |= {name: value for name, value in _amounts(usage).items() if value}
    text = " ".join(f"{name}={_plain(value)}" for name, value in facts.items())
    access.info("%s", text, extra={"request": facts})


def _plain(value: object) -> str:
    """As it is, or quoted if it holds spaces or worse: what clients send must not look like other fields."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def _amounts(usage: Usage) -> dict[str, float]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "audio_seconds": usage.audio_seconds,
        "characters": usage.characters,
        "images": usage.images,
    }


# ---------------------------------------------------------------- metrics


class CacheCounts(Protocol):
    @property
    def looked_up(self) -> int: ...

    @property
    def found(self) -> int: ...


class ModelGauges(Protocol):
    """What is asked of the registry at each scrape."""

    @property
    def state(self) -> str: ...

    @property
    def prefix_cache(self) -> CacheCounts | None: ...


@dataclass(frozen=True, slots=True)
class _Live:
    """Reads the models' states and running jobs when it is scraped, so that they can't be stale."""

    states: Callable[[], Mapping[str, ModelGauges]]
    running: Callable[[], Mapping[str, int]]

    def collect(self) -> Iterable[Metric]:
        state = GaugeMetricFamily(
            "sagehold_model_state", "1 for the state that the model is in", labels=["model", "state"]
        )
        looked_up = CounterMetricFamily(
            "sagehold_prefix_cache_looked_up_tokens", "Prompt tokens looked for in the prefix cache", labels=["model"]
        )
        found = CounterMetricFamily(
            "sagehold_prefix_cache_found_tokens", "Prompt tokens found in the prefix cache", labels=["model"]
        )
        for model, at in self.states().items():
            for name in STATES:
                state.add_metric([model, name], float(at.state == name))
            if (cache := at.prefix_cache) is not None:
                looked_up.add_metric([model], cache.looked_up)
                found.add_metric([model], cache.found)
        yield from (state, looked_up, found)
        running = GaugeMetricFamily("sagehold_running_jobs", "Jobs inside the model's engine", labels=["model"])
        for model, count in self.running().items():
            running.add_metric([model], count)
        yield running


class Metrics:
    """The server's Prometheus metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double every counter for no one
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "sagehold_requests", "Requests answered", ["route", "status", "model"], registry=self._registry
        )
        self._seconds = Histogram(
            "sagehold_request_seconds",
            "Time from arrival to the answer's end",
            ["route", "model"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._first = Histogram(
            "sagehold_first_token_seconds",
            "Time from arrival to the engine's first event",
            ["model"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._amounts = {
            name: Counter(f"sagehold_{name}", help_, ["model"], registry=self._registry)
            for name, help_ in (
                ("prompt_tokens", "Prompt tokens read"),
                ("completion_tokens", "Tokens generated"),
                ("audio_seconds", "Seconds of audio transcribed"),
                ("characters", "Characters spoken"),
                ("images", "Images drawn"),
            )
        }

    def watch(self, states: Callable[[], Mapping[str, ModelGauges]], running: Callable[[], Mapping[str, int]]) -> None:
        """Add the models' states and running jobs, read at each scrape."""
        self._registry.register(_Live(states, running))

    def add(self, collector: Collector) -> None:
        """Add metrics that another part of the server keeps."""
        self._registry.register(collector)

    def request_ended(self, record: RequestRecord) -> None:
        model = record.model or ""
        self._requests.labels(record.route, str(record.status), model).inc()
        self._seconds.labels(record.route, model).observe(record.seconds)
        if (first := record.first_token_seconds) is not None:
            self._first.labels(model).observe(first)
        if usage := record.usage:
            for name, amount in _amounts(usage).items():
                if amount:
                    self._amounts[name].labels(model).inc(amount)

    def render(self) -> tuple[bytes, str]:
        """The exposition and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Every sample as (name, labels, value), for tests and the CLI."""
        for metric in self._registry.collect():
            for sample in metric.samples:
                yield sample.name, sample.labels, sample.value
